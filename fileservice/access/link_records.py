"""The records in which links are kept, as JSON."""

import json
from typing import Any

from fileservice.access.link_uses import Use
from fileservice.access.links import DownloadGrant, Link, Maker, MakerKind, UploadGrant
from fileservice.names import BadName, FileName


def to_bytes(link: Link) -> bytes:
    """Return the link as JSON."""
    fields = {
        "id": link.id,
        "digest": link.digest.hex(),
        "maker": _members(link.maker),
        "created": link.created,
        "expires": link.expires,
        "note": link.note,
        "password": link.password,
        "download": link.download and _members(link.download),
        "upload": link.upload and _members(link.upload),
        "uses": [_members(use) for use in link.uses],
        "revoked": link.revoked,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def from_bytes(data: bytes) -> Link | None:
    """Return the link that `to_bytes` turned into `data`; None if it is not one."""
    try:
        fields: dict[str, Any] = json.loads(data)
        maker = fields["maker"]
        fields["maker"] = Maker(
            **maker | {"kind": MakerKind(maker["kind"]), "groups": tuple(maker["groups"])}
        )
        fields["digest"] = bytes.fromhex(fields["digest"])
        if download := fields["download"]:
            name = FileName.parse(download["name"])
            fields["download"] = DownloadGrant(**download | {"name": name})
        if upload := fields["upload"]:
            fields["upload"] = UploadGrant(**upload)
        fields["uses"] = tuple(Use(**use) for use in fields["uses"])
        return Link(**fields)
    except (ValueError, KeyError, TypeError, AttributeError, BadName):
        return None


def _members(value: Maker | DownloadGrant | UploadGrant | Use) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}
