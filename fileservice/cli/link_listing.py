"""How `fileservice link list` describes links."""

import time
from datetime import UTC, datetime

from fileservice.access import Link
from fileservice.quantities import format_size


def to_json(link: Link) -> dict[str, object]:
    """Return the object that describes a link to programs."""
    described: dict[str, object] = {
        "id": link.id,
        "maker": link.maker.id,
        "created": _time(link.created),
        "expires": _time(link.expires),
        "over": link.over is not None and link.over <= time.time(),
        "revoked": link.revoked is not None,
        "note": link.note,
        "password": bool(link.password),
    }
    if link.download:
        return described | {"name": link.download.name, "uses": link.download.uses}
    assert link.upload is not None
    upload = {name: getattr(link.upload, name) for name in ("prefix", "files", "bytes")}
    return described | {"upload": upload}


def to_row(link: Link) -> tuple[str, ...]:
    """Return a row: the id, the maker, what the link gives, until when, and the note."""
    state = "revoked" if link.revoked is not None else _time(link.expires) or "never"
    if link.revoked is None and link.over is not None and link.over <= time.time():
        state += " (expired)"
    return link.id, link.maker.id, _gives(link), state, link.note or "-"


def _gives(link: Link) -> str:
    if link.download:
        uses = link.download.uses
        return str(link.download.name) + (f" ({uses} times)" if uses is not None else "")
    assert link.upload is not None
    limits = [
        f"{link.upload.files} files" if link.upload.files is not None else "",
        format_size(link.upload.bytes) if link.upload.bytes is not None else "",
    ]
    limited = ", ".join(filter(None, limits))
    return f"uploads {link.upload.prefix}*" + (f" ({limited})" if limited else "")


def _time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
