"""Location: the bucket and the prefix that a URL names."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PARAMETERS = {"endpoint", "region", "copy"}


@dataclass(frozen=True, slots=True)
class Location:
    """`prefix` is empty or ends with a slash; `endpoint` is that of AWS if it is None.

    `copy` is whether the bucket may copy bytes itself (UploadPartCopy). A store that syncs what it
    receives but not what it copies, as SeaweedFS does, has to be sent the bytes once more.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None
    copy: bool = True

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read s3://bucket/prefix?endpoint=…&region=…&copy=…; raise ValueError otherwise."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
            raise ValueError("must be s3://bucket/prefix, with a bucket's name as S3 allows it")
        fields = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        unknown = fields.keys() - _PARAMETERS
        if unknown or parts.fragment or any(len(values) > 1 for values in fields.values()):
            raise ValueError("takes ?endpoint=http://…, &region=… and &copy=false, each once")
        endpoint = fields.get("endpoint", [None])[0]
        if endpoint is not None and not re.fullmatch(r"https?://[^/?#\s]+/?", endpoint):
            raise ValueError("the endpoint must be a URL such as http://127.0.0.1:8333")
        copy = fields.get("copy", ["true"])[0]
        if copy not in ("true", "false"):
            raise ValueError("copy must be true or false")
        path = unquote(parts.path).strip("/")
        return cls(
            bucket=parts.netloc,
            prefix=f"{path}/" if path else "",
            endpoint=endpoint,
            region=fields.get("region", [None])[0],
            copy=copy == "true",
        )
