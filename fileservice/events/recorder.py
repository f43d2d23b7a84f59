"""EventRecorder: writes what happens to files into the queue.

An event that a file was stored is written before the file is published, and its id is kept with the
file. So if the process dies, the store says whether it has happened:

    1. the event is written, durably, as a pending one
    2. the file is published with the id of the event
    3. the event is renamed: it has happened
    4. the client gets its answer

A process that dies before 2 leaves a pending event without a file, which is never delivered. One
that dies after 2 leaves one whose file is there. Whoever repeats the upload, or replaces or removes
that file, settles the event before, so that it is not lost with the file. Removals are written in
the same way, and have happened if the file is not there any more, and was not replaced: the event
of a file that replaces another withdraws the removals of that one which have failed.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from fileservice.events.event import Event, EventKind, FileIdentity, id_of, new_id, removal_key
from fileservice.events.interface import NO_EVENT, PendingEvent
from fileservice.events.queue import EventQueue
from fileservice.names import FileName
from fileservice.request_record import NO_REQUEST, RequestIds
from fileservice.storage import (
    Content,
    NameReserved,
    NotFound,
    Owner,
    StorageError,
    StoredFile,
    describe_error,
)

_log = logging.getLogger(__name__)
_LINK = "link:"
_SETTLED_SECONDS = 1800.0
"""For so long at least, a pending event is not given up (see `delivery`)."""


class EventRecorder:
    """Writes events into a queue; `source` is that of the events."""

    def __init__(self, queue: EventQueue, source: str) -> None:
        self._queue = queue
        self._source = source

    def begin_storing(
        self,
        name: FileName,
        size: int,
        content: Content,
        principal: str,
        owner: Owner | None,
        *,
        expires: int | None = None,
        replaces: StoredFile | None = None,
        upload: str = "",
        ids: RequestIds = NO_REQUEST,
    ) -> PendingEvent:
        if replaces:
            self.settle(replaces)
        data = _data(size, content, principal)
        if owner and owner.principal != principal:
            data["owner"] = owner.principal
        if expires is not None:
            data["expires"] = datetime.fromtimestamp(expires, UTC).isoformat()
        data["replaced"] = replaces is not None
        event_id = id_of("upload", upload) if upload else new_id()
        identity = FileIdentity.of(replaces) if replaces else None
        return self._begin(
            Event(event_id, EventKind.STORED, self._source, name, data, replaces=identity, ids=ids)
        )

    def settle(self, file: StoredFile) -> None:
        if file.event:
            self._queue.settle_stored(file.name, file.event)

    def remove(
        self,
        kind: EventKind,
        file: StoredFile,
        principal: str,
        remove: Callable[[], StoredFile],
        ids: RequestIds = NO_REQUEST,
    ) -> StoredFile:
        pending = self._begin_removal(kind, file, principal, ids)
        try:
            removed = remove()
        except (NotFound, NameReserved):
            pending.withdraw()
            raise
        try:
            pending.complete()
        except StorageError as error:  # the delivery finds that the file is gone
            _log.warning("an event is delayed: %s", describe_error(error))
        return removed

    def link_used(self, link: str, file: StoredFile, ids: RequestIds = NO_REQUEST) -> None:
        data = _data(file.size, file.content, _LINK + link)
        event = Event(new_id(), EventKind.LINK_USED, self._source, file.name, data, ids=ids)
        try:
            self._queue.add(event)
        except StorageError as error:
            _log.error("a use of the link %s is not reported: %s", link, describe_error(error))

    def _begin(self, event: Event) -> PendingEvent:
        self._queue.add_pending(event)
        return _Pending(self._queue, event)

    def _begin_removal(
        self, kind: EventKind, file: StoredFile, principal: str, ids: RequestIds
    ) -> PendingEvent:
        identity = FileIdentity.of(file)
        # All that try to remove this file write the same pending event, and one of them succeeds.
        key = removal_key(kind, file.name, identity)
        # A file expires once, but another program may put a file there again that was deleted.
        event_id = key if kind is EventKind.EXPIRED else new_id()
        data = _data(file.size, file.content, principal)
        try:
            self.settle(file)
            return self._begin(
                Event(
                    event_id,
                    kind,
                    self._source,
                    file.name,
                    data,
                    removes=identity,
                    key=key,
                    ids=ids,
                    begun_ns=time.time_ns(),  # after the time of the event that was settled
                )
            )
        except StorageError as error:
            _log.error(
                "it is not reported that %r is removed (%s): %s",
                file.name,
                kind,
                describe_error(error),
            )
            return NO_EVENT


class _Pending:
    """See `PendingEvent`."""

    def __init__(self, queue: EventQueue, event: Event) -> None:
        self._queue = queue
        self._event = event
        self._began = time.monotonic()

    @property
    def id(self) -> str:
        return self._event.id

    def complete(self) -> None:
        event = self._event
        if self._queue.settle(event):
            return
        # Somebody who found the file has settled the event, unless this has taken so long that it
        # was given up. Another process that tried the same removal may have withdrawn it.
        if event.removes or time.monotonic() - self._began > _SETTLED_SECONDS:
            self._queue.add(event)

    def withdraw(self) -> None:
        try:
            self._queue.withdraw(self._event)
        except StorageError as error:  # the delivery finds that it has not happened
            _log.warning("an event could not be withdrawn: %s", describe_error(error))


def _data(size: int, content: Content, principal: str) -> dict[str, object]:
    """Return what an event says about a file and about who has changed or fetched it."""
    data: dict[str, object] = {"size": size, "type": content.media_type}
    if content.sha256:
        data["sha256"] = content.sha256.hex()
    if principal:
        data["principal"] = principal
    if principal.startswith(_LINK):
        data["link"] = principal.removeprefix(_LINK)
    return data
