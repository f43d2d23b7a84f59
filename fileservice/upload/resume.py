"""Resume: the way in for files that come in several requests, which may be cut and go on later.

The bytes and a record of each upload lie in the store, and the offset is what lies there. What a
process remembers beside, how far a file was examined, only saves it reading the bytes again.

What may be raised, besides the errors of the store (NoSuchUpload and Locked among them) and those
of `receive`:

    Gone             the upload was refused, or it has expired
    TakenOver        another request went on with it while this one was silent; a kind of Locked
    OffsetMismatch   the bytes do not begin where the upload stands
    LengthConflict   the length is not the one declared before
    Sealed           it was joined from others and takes no bytes
    NotJoinable      the parts cannot be joined
    TooManyUnfinished, TooManyOfClient
                     no more uploads can be begun just now
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from fileservice.storage import NoSuchUpload, StorageError, Store
from fileservice.upload import joining
from fileservice.upload.admission import Offer, Rules, TooLarge, admit
from fileservice.upload.bounds import Bounds, TooManyOfClient, TooManyUnfinished
from fileservice.upload.census import Census
from fileservice.upload.examination import Block
from fileservice.upload.examinations import Examinations
from fileservice.upload.joining import NotJoinable
from fileservice.upload.ledger import Gone, Ledger, Status
from fileservice.upload.offloading import Offload
from fileservice.upload.records import Record
from fileservice.upload.takeover import Interruption, TakenOver, Takeover
from fileservice.upload.turn import REFUSALS, LengthConflict, Means, OffsetMismatch, Turn

_log = logging.getLogger(__name__)

__all__ = [
    "REFUSALS",
    "Gone",
    "LengthConflict",
    "NotJoinable",
    "OffsetMismatch",
    "Resumption",
    "Sealed",
    "Status",
    "TakenOver",
    "TooManyOfClient",
    "TooManyUnfinished",
]


class Sealed(Exception):
    def __init__(self) -> None:
        super().__init__("this upload was joined from others; nothing can be added to it")


class Resumption:
    """All uploads that can be resumed, as one process sees them.

    `expiry` is for how long, in seconds, an upload that nobody touches is kept.
    """

    def __init__(self, store: Store, rules: Rules, offload: Offload, expiry: float) -> None:
        self._store = store
        self._rules = rules
        self._offload = offload
        self._ledger = Ledger(store.uploads, offload, expiry)
        self._takeover = Takeover(store.uploads, offload)
        self._examinations = Examinations(rules)
        self._census = Census(store)
        self._bounds = Bounds(store, rules, self._census)
        self._creating = threading.Lock()
        self._means = Means(store, rules, offload, self._ledger, self._examinations, self._bounds)

    def create(
        self,
        offer: Offer | None,
        length: int | None,
        labels: Mapping[str, str],
        *,
        awaits_word: bool = False,
        client: str = "",
    ) -> Status:
        """Begin an upload; without an `offer` it is a part that others will be joined with.

        It is complete with its last byte, an empty one at once, or else, if it `awaits_word`, with
        blocks that are called the last. `client` is the address of who begins it. Raises what
        admission raises, StorageFull, TooManyUnfinished and TooManyOfClient.
        """
        stored = None
        if offer:
            _, stored = admit(offer, self._rules, self._store, self._offload)
        elif length is not None and length > self._rules.max_size:
            raise TooLarge(self._rules.max_size)
        record = Record(
            name=offer.name if offer else None,
            length=length,
            labels=labels,
            digests=offer.digests if offer else {},
            finished=stored,
            awaits_word=awaits_word,
            client=client,
        )
        with self._creating:  # here: those who wait for the other processes take a thread each
            upload = self._offload(self._bounds.create, record)
        return self.status(upload)

    def status(self, upload: str) -> Status:
        """How it stands. Raises NoSuchUpload, Gone; and Locked while it is being published.

        All bytes being there is no success yet, and clients take it for one.

        An upload whose last byte is there but which was not published, since its process died just
        then, is published now; so this may raise what `append` does at the end of an upload.
        """
        found = self._ledger.read(upload)
        if not found.ready:
            return found
        try:
            with self._takeover.free_writer(upload) as writer:
                return Turn(self._means, upload, writer).finish()
        except NoSuchUpload:
            return self._ended(upload)

    def settle(self, upload: str) -> Status:
        """How it stands once no request is adding to it any more: one that is, is ended."""
        found = self._ledger.read(upload)
        if not found.record.open:
            return found
        try:
            with self._takeover.writer(upload, _nothing, at_once=True):
                pass
        except NoSuchUpload:
            return self._ended(upload)
        return self.status(upload)

    def _ended(self, upload: str) -> Status:
        """How an upload ended of which a record was found, but no bytes any more.

        Raises NoSuchUpload where nothing tells.
        """
        found = self._ledger.read(upload)
        if found.record.open:
            raise NoSuchUpload
        return found

    def append(
        self,
        upload: str,
        offset: int,
        blocks: Iterable[Block],
        *,
        coming: int | None,
        interrupt: Callable[[], None],
        length: int | None = None,
        whole: bool = False,
        last: bool = False,
        at_once: bool = False,
    ) -> Status:
        """Add `blocks`, of which `coming` bytes are announced, from `offset` on.

        What arrived before an error stays, unless the blocks count only as a `whole`. `length`
        says how long the file is, if that was left open; so does the end of blocks that are the
        `last`. `interrupt` has to make `blocks` end: another request takes over. `at_once`, this
        one does, from any other.
        """
        found = self._ledger.read(upload)
        if found.record.joined:
            raise Sealed
        if found.record.finished:
            return _finished(found, offset, coming)
        interruption = Interruption(interrupt)
        with ExitStack() as stack:
            try:
                writer = stack.enter_context(
                    self._takeover.writer(upload, interruption, at_once=at_once)
                )
            except NoSuchUpload:
                return _finished(self._ended(upload), offset, coming)
            turn = Turn(self._means, upload, writer)
            if turn.found.record.finished:  # by the request that had the writer before
                return _finished(turn.found, offset, coming)
            blocks = interruption.explained(blocks)
            turn.append(offset, blocks, coming=coming, length=length, whole=whole)
            self._takeover.received(upload)
            if last:
                turn.close()
            return turn.finish()

    def join(self, offer: Offer, parts: Sequence[str], labels: Mapping[str, str]) -> Status:
        """Publish complete parts as one file; see `joining`."""
        return joining.join(
            offer,
            parts,
            labels,
            ledger=self._ledger,
            rules=self._rules,
            store=self._store,
            offload=self._offload,
        )

    def cancel(self, upload: str, *, at_once: bool = False) -> None:
        """End an upload and free what it holds; a published file stays. Raises Locked, Gone."""
        found = self._ledger.read(upload)
        with ExitStack() as stack:
            if not found.record.finished:
                try:
                    stack.enter_context(self._takeover.writer(upload, _nothing, at_once=at_once))
                except NoSuchUpload:
                    self._ended(upload)
            self.discard(upload)

    def cancel_if_empty(self, upload: str) -> None:
        """End an upload that broke off before its first byte: who begins anew loses nothing."""
        try:
            found = self._ledger.read(upload)
            if found.record.open and found.offset == 0:
                self.cancel(upload)
        except (Gone, StorageError) as error:
            _log.info("the upload %s stays until it expires: %s", upload, error)

    def discard(self, upload: str) -> None:
        """Remove all of an upload of which nobody was told, and its record."""
        self._examinations.forget(upload)
        self._ledger.remove(upload)

    def sweep(self) -> None:
        """Remove what nobody has touched for longer than the expiry. Blocks."""
        self._ledger.sweep()

    def sweep_unbegun(self) -> None:
        """Remove only those to which no byte was sent in time, which is cheaper. Blocks."""
        self._ledger.sweep_all(self._census.perhaps_unbegun())


def _finished(found: Status, offset: int, coming: int | None) -> Status:
    if (offset, coming) != (found.offset, 0):
        raise OffsetMismatch(found.offset)
    return found


def _nothing() -> None:
    """For those who do not read a body, and end by themselves."""
