"""Endpoint: where a bucket is, and how requests to it are signed, as botocore decides it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import botocore.session
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.httpsession import get_cert_path

from fileservice.storage.s3.location import Location

_DEFAULT_REGION = "us-east-1"
_KEY = "key"
# The service computes a SHA-256 itself; another would cost half the throughput.
_SIGNING = Config(s3={"payload_signing_enabled": False})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A bucket in a region, and the credentials for it."""

    location: Location
    region: str
    url: str
    """The URL of the bucket, without a slash at its end."""
    ca_file: str
    """The certificates of the authorities that a TLS server is verified by."""
    credentials: Any
    """botocore's; they may be those of a role, and are renewed before they expire."""

    @classmethod
    def of(cls, location: Location) -> Self:
        """Read the configuration that botocore reads: environment, files, and the metadata service.

        Raises BotoCoreError where it is incomplete.
        """
        session = botocore.session.get_session()
        ca_file = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        region = location.region or session.get_config_variable("region") or _DEFAULT_REGION
        return cls(
            location=location,
            region=region,
            url=_bucket_url(location, region),
            ca_file=ca_file or get_cert_path(True),
            credentials=session.get_credentials(),
        )

    def in_region(self, region: str) -> Self:
        """Return where the bucket is if it is in another region."""
        return replace(self, region=region, url=_bucket_url(self.location, region))

    def signed(self, method: str, url: str, fields: Mapping[str, str]) -> Mapping[str, str]:
        """Return the header fields of a request with its signature, which leaves out the body."""
        request = AWSRequest(method, url, headers=fields)
        request.context["client_config"] = _SIGNING
        S3SigV4Auth(self._frozen(), "s3", self.region).add_auth(request)
        return dict(request.headers.items())

    def presigned(self, url: str, seconds: int, query: Mapping[str, str]) -> str:
        """Return a URL with which anybody may make a GET request for so long."""
        request = AWSRequest("GET", url, params=dict(query))
        S3SigV4QueryAuth(self._frozen(), "s3", self.region, expires=seconds).add_auth(request)
        return str(request.url)

    def _frozen(self) -> Any:
        """Return the credentials as they are now; the signer raises BotoCoreError for None."""
        return self.credentials.get_frozen_credentials() if self.credentials else None


def _bucket_url(location: Location, region: str) -> str:
    if location.endpoint:  # names of buckets below it may not resolve
        return f"{location.endpoint.rstrip('/')}/{location.bucket}"
    # Only botocore's client knows the hosts of all partitions, and how they are configured.
    client = botocore.session.get_session().create_client(
        "s3", region_name=region, config=Config(signature_version=UNSIGNED)
    )
    urls: list[str] = []

    def answer(params: Mapping[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        """Take the place of the request."""
        urls.append(params["url"])
        return AWSResponse(params["url"], 200, {}, None), {}

    client.meta.events.register("before-call.s3.HeadObject", answer)
    client.head_object(Bucket=location.bucket, Key=_KEY)
    client.close()
    return urls[0].removesuffix(f"/{_KEY}")
