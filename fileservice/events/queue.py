"""EventQueue: the events that are to be delivered, each in a private file of the store.

    events/TIME-NAME-ID       has happened; the names of the files sort by TIME, in nanoseconds
    events/pending-NAME-ID    has happened if the store says so

NAME is a hash of the name of the file that the event is about. The events of one file are therefore
found, in their order, by one listing.
"""

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Self

from fileservice.events.event import Event, EventKind, removal_key
from fileservice.names import FileName
from fileservice.storage import PrivateFiles, PrivateLock

_FOLDER = "events"
_LOCK = "event-delivery"
_READY = re.compile(r"([0-9]{20})-([0-9a-f]{16})-([0-9a-f]{32})")
_PENDING = re.compile(r"pending-([0-9a-f]{16})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True, order=True)
class QueuedEvent:
    """An event that has happened, as the name of its file describes it."""

    time_ns: int
    """When it was known to have happened, or when the removal began that it is about, in
    nanoseconds since the Unix epoch."""
    name_hash: str
    queue_id: str

    @property
    def key(self) -> str:
        """The key of its private file."""
        return f"{_FOLDER}/{self.time_ns:020}-{self.name_hash}-{self.queue_id}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the event whose file has this name; None for other files."""
        match = _READY.fullmatch(text)
        return cls(int(match[1]), match[2], match[3]) if match else None


class EventQueue:
    """The queue, over all processes that share the store. Every call may block."""

    def __init__(self, files: PrivateFiles) -> None:
        self._files = files

    def try_lock_delivery(self) -> PrivateLock | None:
        """Take the lock of the process that delivers the events; see `PrivateFiles.try_lock`."""
        return self._files.try_lock(_LOCK)

    def add(self, event: Event) -> None:
        """Add an event that has happened, durably. Raise StorageError."""
        # Not by `PrivateFiles.add`: another process may deliver it before all of it is written.
        self._files.create(_ready_key(event), event.to_bytes())

    def add_pending(self, event: Event) -> None:
        """Add an event that is about to happen, durably. Raise StorageError."""
        self._files.add(pending_key(event.name, event.queue_id), event.to_bytes())

    def settle(self, event: Event) -> bool:
        """Make a pending event one that has happened; return False if it is not pending.

        Raise StorageError.
        """
        if event.replaces:  # then it was not deleted, whoever has tried that
            key = removal_key(EventKind.DELETED, event.name, event.replaces)
            self._files.remove(pending_key(event.name, key))
        new_key = _ready_key(event)
        return self._files.rename(
            pending_key(event.name, event.queue_id), new_key, event.to_bytes()
        )

    def settle_stored(self, name: FileName, event_id: str) -> None:
        """Do the same with the event that a file was stored. Raise StorageError."""
        event = self.read(pending_key(name, event_id))
        if event:
            self.settle(event)

    def withdraw(self, event: Event) -> None:
        """Remove a pending event that has not happened. Raise StorageError."""
        self._files.remove(pending_key(event.name, event.queue_id))

    def list(self) -> tuple[list[QueuedEvent], list[str]]:
        """Return the events that have happened, in their order, and the keys of those pending.

        What was added since the call is left out. Otherwise an event could be returned while an
        earlier one of the same file is not, as one of them may be added while the folder is read.
        """
        before = time.time_ns()
        names = self._files.list(_FOLDER)
        queued = filter(None, map(QueuedEvent.parse, names))
        ready = sorted(event for event in queued if event.time_ns < before)
        return ready, [f"{_FOLDER}/{name}" for name in names if _PENDING.fullmatch(name)]

    def read(self, key: str) -> Event | None:
        """Return the event in a file; None if there is none, or if a part of it is missing."""
        data = self._files.read(key)
        return Event.from_bytes(data) if data is not None else None

    def remove(self, key: str) -> None:
        """Remove an event, whether it is there or not."""
        self._files.remove(key)


def pending_key(name: FileName, queue_id: str) -> str:
    """Return the key of the private file of a pending event."""
    return f"{_FOLDER}/pending-{_hash(name)}-{queue_id}"


def name_hash_of(key: str) -> str:
    """Return the hash of the name that is in the key of a pending event."""
    return key.split("-")[1]


def _ready_key(event: Event) -> str:
    # A removal comes before what happens to the next file of the name, whenever it is settled.
    time_ns = event.begun_ns or time.time_ns()
    return QueuedEvent(time_ns, _hash(event.name), event.queue_id).key


def _hash(name: FileName) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
