"""The file of a link as a response, which takes a use of the link if it has bytes of the file."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from fileservice.access import (
    AccessError,
    Link,
    LinkGone,
    LinkTransfer,
    Outcome,
    begin_transfer,
    end_of_transfer,
)
from fileservice.events import NO_EVENTS, Events
from fileservice.executor import Executor
from fileservice.integrity import DamageMarks
from fileservice.protocols.ranges import ByteRange
from fileservice.request_record import RequestIds, record_of
from fileservice.storage import (
    NotFound,
    Opened,
    StorageError,
    Store,
    StoredFile,
    VersionChanged,
    describe_error,
)
from fileservice.web.errors import Unasked
from fileservice.web.file_requests import FileRequest
from fileservice.web.file_response import not_modified, send
from fileservice.web.link_access import LinkAccess
from fileservice.web.link_credentials import link_of, link_secret_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(__name__)


class LinkTransfers:
    """Sends files by links, and counts the uses."""

    def __init__(
        self,
        access: LinkAccess,
        store: Store,
        executor: Executor,
        events: Events,
        marks: DamageMarks,
    ) -> None:
        self._links = access.links
        self._cookies = access.cookies
        self._store = store
        self._executor = executor
        self._events = events
        self._marks = marks

    def file(self, link: Link) -> StoredFile:
        """Return the file of a link for downloads. Raise LinkGone if it is not there any more."""
        assert link.download
        try:
            file = self._store.stat(link.download.name)
        except NotFound:
            raise LinkGone from None
        return _same_file(link, file)

    def respond(self, environ: "WSGIEnvironment") -> Response:
        """Return the response to GET or HEAD by a link for downloads.

        Raise LinkGone, also if no use is left for the client.
        """
        link, wanted = link_of(environ), FileRequest.of(environ)
        assert link.download
        try:
            opened = self._store.open(link.download.name, sequential=wanted.wants_whole_file)
        except NotFound:
            raise LinkGone from None
        try:
            return self._respond(environ, link, wanted, opened)
        except VersionChanged:
            opened.body.close()
            raise LinkGone from None
        except BaseException:
            opened.body.close()
            raise

    def _respond(
        self, environ: "WSGIEnvironment", link: Link, wanted: FileRequest, opened: Opened
    ) -> Response:
        file = _same_file(link, opened.file)
        if not wanted.is_modified(file):
            opened.body.close()
            return not_modified(file)
        self._marks.require_intact(file)
        ranges = wanted.begin_ranges(opened)
        on_close = None
        if wanted.method == "GET":
            client = self._cookies.client(environ, link_secret_of(environ))
            on_close = self._begin(link, client, ranges, file, record_of(environ).ids)
        try:
            return send(environ, opened, ranges, inline=wanted.inline, on_close=on_close)
        except BaseException:
            if on_close:
                on_close(0, False)  # the client gets nothing for its use
            raise

    def _begin(
        self,
        link: Link,
        client: str,
        ranges: tuple[ByteRange, ...],
        file: StoredFile,
        ids: RequestIds,
    ) -> Callable[[int, bool], None] | None:
        """Take a use; return what is to be told how many bytes were sent, and whether all were."""
        resumes = bool(ranges) and all(part.first > 0 for part in ranges)
        transfer = self._executor.run_io(begin_transfer, self._links, link, client, resumes=resumes)
        if self._events is not NO_EVENTS and (transfer.is_first if transfer else not resumes):
            self._executor.run_io(self._events.link_used, link.id, file, ids)
        if transfer is None:
            return None
        size = file.size
        has_all = not ranges or (len(ranges) == 1 and ranges[0].length == size)
        sent = Outcome.WHOLE if has_all else Outcome.PART
        # What breaks off in the order of the file lacks its end. In any other order, the client may
        # have the part that it wanted: two such responses would give it the file for nothing.
        in_order = not ranges or (len(ranges) == 1 and ranges[0].first == 0)

        def end(count: int, is_sent: bool) -> None:
            # Most of a file may be all that a client wants of it, such as a film without its end.
            is_lost = in_order and 2 * count < size
            self._end(transfer, sent if is_sent else Outcome.BROKEN if is_lost else Outcome.PART)

        return end

    def _end(self, transfer: LinkTransfer, outcome: Outcome) -> None:
        """Record the end. It is too late for an error: the response has been sent."""
        try:
            self._executor.run_io(end_of_transfer, self._links, transfer, outcome)
        except (StorageError, AccessError) as error:
            reason = describe_error(error) if isinstance(error, StorageError) else error
            _log.error(
                "the end of a download by link %s could not be recorded, so it counts: %s",
                transfer.link_id,
                reason,
            )


def _same_file(link: Link, file: StoredFile) -> StoredFile:
    """Return the file. Raise LinkGone if it is another one than when the link was made."""
    if not (link.download and link.download.is_for(file)):
        raise LinkGone
    return file


def require_asked(environ: "WSGIEnvironment") -> None:
    """Raise Unasked if a browser fetches the file for anything but a person who opens it.

    A page of another site that has the URL, be it in an image or a frame, would take a use without
    its reader, and so would a browser that fetches in advance (Sec-Purpose, Fetch standard).
    """
    purpose = environ.get("HTTP_SEC_PURPOSE") or environ.get("HTTP_PURPOSE") or ""
    if "prefetch" in purpose.lower():
        raise Unasked
    site = environ.get("HTTP_SEC_FETCH_SITE", "none").strip().lower()
    destination = environ.get("HTTP_SEC_FETCH_DEST", "").strip().lower()
    if site in ("cross-site", "same-site") and destination != "document":
        raise Unasked
