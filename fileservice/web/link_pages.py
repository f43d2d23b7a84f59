"""What a link says about itself to programs."""

from datetime import UTC, datetime

from fileservice.access import Link, UploadGrant
from fileservice.storage import StoredFile
from fileservice.upload import UploadPolicy
from fileservice.web.representations import to_json


def download_to_json(
    link: Link, file: StoredFile, uses_left: int | None, url: str, base: str
) -> dict[str, object]:
    """Return the JSON object of a link for downloads; `url` is where the file is."""
    expires = _expiry(download_expires(link, file))
    return to_json(file, base) | {"url": url, "uses_left": uses_left, **expires}


def download_expires(link: Link, file: StoredFile) -> int | None:
    """Return until when the file can be had by the link; None if neither of them expires."""
    return min(
        (moment for moment in (link.expires, file.expires) if moment is not None), default=None
    )


def upload_to_json(link: Link, grant: UploadGrant, policy: UploadPolicy) -> dict[str, object]:
    """Return the JSON object of a link for uploads."""
    upload = {
        "prefix": grant.prefix,
        "files": grant.files,
        "bytes": grant.bytes,
        "max_size": policy.max_size,
        "extensions": list(policy.types),
    }
    return {"upload": upload, **_expiry(link.expires)}


def _expiry(expires: int | None) -> dict[str, object]:
    if expires is None:
        return {"expires": None}
    moment = datetime.fromtimestamp(expires, UTC)
    return {"expires": moment.isoformat().replace("+00:00", "Z")}
