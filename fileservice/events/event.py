"""Event: what happened to a file, in the form of CloudEvents 1.0 (structured mode, JSON)."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from fileservice.names import FileName
from fileservice.request_record import NO_REQUEST, RequestIds
from fileservice.storage import StoredFile

_JSON = "application/json"
_REQUEST_ID, _TRACE_PARENT = "requestid", "traceparent"
"""Extension attributes; the second is of the Distributed Tracing extension of CloudEvents."""


class EventKind(StrEnum):
    """The `type` of an event."""

    STORED = "fileservice.file.stored"
    DELETED = "fileservice.file.deleted"
    EXPIRED = "fileservice.file.expired"
    LINK_USED = "fileservice.link.used"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Distinguishes a file from others that had its name before, or will have it."""

    event: str
    version: str
    modified_ns: int

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        """Return the identity of this file."""
        return cls(file.event, file.version, file.modified_ns)


@dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    id: str
    """32 hexadecimal digits, the same at every delivery."""
    kind: EventKind
    source: str
    """Which service it is from: a URI reference."""
    name: FileName
    """The file that it is about."""
    data: Mapping[str, object]
    """What the receiver learns about it; no secret."""
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    removes: FileIdentity | None = None
    """The file that was removed if this has happened; not sent."""
    replaces: FileIdentity | None = None
    """The file whose place another one has taken if this has happened; not sent."""
    key: str = ""
    """Identifies the event in the queue in place of its id: 32 hexadecimal digits; not sent."""
    ids: RequestIds = NO_REQUEST
    """Of the request that has caused it."""
    begun_ns: int = 0
    """When the removal began, in nanoseconds since the Unix epoch; 0 for other events; not sent."""

    @property
    def queue_id(self) -> str:
        """What identifies the event in the queue."""
        return self.key or self.id

    def to_cloud_event(self) -> bytes:
        """Return the body of the request that reports the event."""
        return json.dumps(self._cloud_event()).encode()

    def to_bytes(self) -> bytes:
        """Return what is kept of the event in the queue."""
        record: dict[str, object] = {"event": self._cloud_event(), "key": self.key}
        if self.removes:
            record |= {"removes": astuple(self.removes), "begun": self.begun_ns}
        if self.replaces:
            record["replaces"] = astuple(self.replaces)
        return json.dumps(record).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self | None:
        """Return the event that `to_bytes` turned into this; None if a part of it is missing."""
        try:
            record = json.loads(data)
            event: dict[str, Any] = record["event"]
            removes, replaces = record.get("removes"), record.get("replaces")
            return cls(
                event["id"],
                EventKind(event["type"]),
                event["source"],
                FileName.parse(event["subject"]),
                event["data"],
                datetime.fromisoformat(event["time"]),
                FileIdentity(*removes) if removes else None,
                FileIdentity(*replaces) if replaces else None,
                record["key"],
                RequestIds(event.get(_REQUEST_ID, ""), event.get(_TRACE_PARENT, "")),
                record.get("begun", 0),
            )
        except (ValueError, KeyError, TypeError):
            return None

    def _cloud_event(self) -> dict[str, object]:
        ids = {_REQUEST_ID: self.ids.request, _TRACE_PARENT: self.ids.trace_parent}
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": str(self.kind),
            "subject": self.name,
            "time": self.time.isoformat(timespec="milliseconds"),
            **{name: value for name, value in ids.items() if value},
            "datacontenttype": _JSON,
            "data": dict(self.data),
        }


def new_id() -> str:
    """Return an id that no other event has."""
    return secrets.token_hex(16)


def id_of(*parts: object) -> str:
    """Return the same id for the same parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def removal_key(kind: EventKind, name: FileName, file: FileIdentity) -> str:
    """Return the key of the event that this file is removed, the same for all that try it."""
    return id_of(kind, name, file)
