"""boto3: how its client is set up, and its parameters."""

from typing import Any

import boto3
from botocore.config import Config

from fileservice.storage.s3.errors import translate_errors
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.timing import Timing


def connect(location: Location, timing: Timing) -> Any:
    """Return boto3's client for a location. Raises StorageUnavailable where it cannot be made."""
    options: dict[str, Any] = {"payload_signing_enabled": False}
    if location.endpoint:  # names of buckets below it may not resolve
        options["addressing_style"] = "path"
    config = Config(
        connect_timeout=timing.connect,
        read_timeout=timing.read,
        retries={"total_max_attempts": 1},  # see retries
        signature_version="s3v4",
        max_pool_connections=256,
        user_agent="fileservice",  # shorter than botocore's, which takes time to make
        # The service computes a SHA-256 itself; two more would cost half the throughput.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3=options,
    )
    with translate_errors():
        return boto3.session.Session().client(
            "s3", endpoint_url=location.endpoint, region_name=location.region, config=config
        )


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that are not None; botocore refuses the others."""
    return {name: value for name, value in parameters.items() if value is not None}


def byte_range(first: int | None, end: int | None) -> str | None:
    """Return the Range of the bytes from `first` to before `end` (RFC 9110, 14.2)."""
    return None if first is None else f"bytes={first}-{'' if end is None else end - 1}"
