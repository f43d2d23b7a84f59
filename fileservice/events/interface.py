"""What the rest of the service reports, and what reports nothing where there is no receiver."""

from collections.abc import Callable
from typing import Protocol

from fileservice.events.event import EventKind
from fileservice.names import FileName
from fileservice.request_record import NO_REQUEST, RequestIds
from fileservice.storage import Content, Owner, StoredFile


class PendingEvent(Protocol):
    """An event that is about to happen."""

    @property
    def id(self) -> str:
        """Its id; empty if there is no event."""

    def complete(self) -> None:
        """Say that it has happened. Raise StorageError."""

    def withdraw(self) -> None:
        """Say that it has not happened, and will not. Raises nothing."""


class Events(Protocol):
    """What the rest of the service reports. Every call may block.

    `ids` are those of the request that causes an event.
    """

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
        """Write that a file is about to be published. Raise StorageError.

        `upload` identifies a resumable upload, which several processes may try to publish.
        """

    def settle(self, file: StoredFile) -> None:
        """See that it is reported that this file, which was found in the store, was stored.

        Raise StorageError.
        """

    def remove(
        self,
        kind: EventKind,
        file: StoredFile,
        principal: str,
        remove: Callable[[], StoredFile],
        ids: RequestIds = NO_REQUEST,
    ) -> StoredFile:
        """Remove a file by `remove`, report it, and return what `remove` returned.

        Raise what `remove` raises. An event that cannot be written, as on a disk that is full, does
        not keep a file from being removed.
        """

    def link_used(self, link: str, file: StoredFile, ids: RequestIds = NO_REQUEST) -> None:
        """Report that a download by the link with this id begins. Raises nothing."""


class _Nothing:
    """No event."""

    id = ""

    def complete(self) -> None:
        pass

    def withdraw(self) -> None:
        pass


NO_EVENT: PendingEvent = _Nothing()


class _NoEvents:
    """Reports nothing, and costs nothing, where there is no receiver."""

    def begin_storing(
        self,
        name: FileName,  # noqa: ARG002
        size: int,  # noqa: ARG002
        content: Content,  # noqa: ARG002
        principal: str,  # noqa: ARG002
        owner: Owner | None,  # noqa: ARG002
        *,
        expires: int | None = None,  # noqa: ARG002
        replaces: StoredFile | None = None,  # noqa: ARG002
        upload: str = "",  # noqa: ARG002
        ids: RequestIds = NO_REQUEST,  # noqa: ARG002
    ) -> PendingEvent:
        return NO_EVENT

    def settle(self, file: StoredFile) -> None:
        pass

    def remove(
        self,
        kind: EventKind,  # noqa: ARG002
        file: StoredFile,  # noqa: ARG002
        principal: str,  # noqa: ARG002
        remove: Callable[[], StoredFile],
        ids: RequestIds = NO_REQUEST,  # noqa: ARG002
    ) -> StoredFile:
        return remove()

    def link_used(self, link: str, file: StoredFile, ids: RequestIds = NO_REQUEST) -> None:
        pass


NO_EVENTS: Events = _NoEvents()
"""Where nothing is reported."""
