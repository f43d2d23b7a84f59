"""Bounds: how many uploads may be unfinished, and how much room may be promised to them.

An upload that is created and never sent takes a place in the store, and the room for its declared
length. So their number has a bound, in all and for each client address; and a client with more than
one of them cannot have most of the room promised to it.
"""

from collections.abc import Sequence

from fileservice.storage import ResumableWriter, StorageFull, Store, UnfinishedUpload
from fileservice.upload.errors import TooManyUnfinished, TooManyUnfinishedOfClient
from fileservice.upload.policy import UploadPolicy, leave_free
from fileservice.upload.resumable.record import Record
from fileservice.upload.resumable.unfinished import UnfinishedUploads, owner_of

_OF_ONE_CLIENT = 1 / 2
_OF_ALL = 3 / 4
"""The unfinished uploads of a client that holds room for more than one may hold half of what
uploads may use, and all clients' together three quarters of it."""


class UploadLimits:
    """Lets uploads begin. What it checks and what it does are one step over all processes."""

    def __init__(
        self, store: Store, policy: UploadPolicy, unfinished_uploads: UnfinishedUploads
    ) -> None:
        self._store = store
        self._policy = policy
        self._unfinished_uploads = unfinished_uploads

    def create(self, record: Record) -> str:
        """Begin an upload; its id. Raises TooManyUnfinished, TooManyOfClient, StorageFull."""
        length = record.length
        leave_free(self._store, self._policy, length or 0)
        with self._store.locker.exclusive():
            self._admit(record)
            upload = self._store.uploads.create(
                record.to_bytes(), length, min_free=self._policy.min_free
            )
            self._unfinished_uploads.add(upload, record)
        return upload

    def keep_ended(self, record: Record) -> str:
        """Keep an upload that ended as it began, which counts as none; its id.

        Raises StorageFull.
        """
        leave_free(self._store, self._policy, 0)  # what is stored already needs no room
        return self._store.uploads.create_ended(record.to_bytes())

    def extend(self, upload: str, record: Record, writer: ResumableWriter, length: int) -> None:
        """Take the room for a `length` that was left open so far. Raises StorageFull."""
        more = length - writer.size
        with self._store.locker.exclusive():
            if more > 0:
                others = [
                    pair
                    for pair in self._unfinished_uploads.unfinished()
                    if pair[0].upload != upload
                ]
                self._admit_room(record, more, others)
            self._store.reserve_space(writer, length, min_free=self._policy.min_free)

    def _admit(self, record: Record) -> None:
        unfinished = self._unfinished_uploads.unfinished()
        refusal = self._too_many(record, unfinished)
        if refusal and self._unfinished_uploads.ask_again():
            unfinished = self._unfinished_uploads.unfinished()
            refusal = self._too_many(record, unfinished)
        if refusal:
            raise refusal
        if record.length:
            self._admit_room(record, record.length, unfinished)

    def _too_many(
        self, record: Record, unfinished: Sequence[tuple[UnfinishedUpload, str]]
    ) -> Exception | None:
        in_all, of_client = self._policy.max_unfinished, self._policy.max_unfinished_of_client
        if in_all is not None and len(unfinished) >= in_all:
            return TooManyUnfinished(in_all)
        owner = owner_of(record)
        if of_client is not None and sum(whose == owner for _, whose in unfinished) >= of_client:
            return TooManyUnfinishedOfClient(of_client)
        return None

    def _admit_room(
        self, record: Record, more: int, others: Sequence[tuple[UnfinishedUpload, str]]
    ) -> None:
        """Let the only upload for which a client has room promised have all that is there."""
        free, owner = self._store.free_space(), owner_of(record)
        if free is None:
            return
        own = [
            found.reserved for found, whose in others if whose == owner and found.has_reservation
        ]
        held = sum(found.reserved for found, _ in others)
        usable = free + held - self._policy.min_free
        if own and (sum(own) + more > usable * _OF_ONE_CLIENT or held + more > usable * _OF_ALL):
            raise StorageFull(
                "too much room is promised to unfinished uploads already, of this address or of"
                " all; finish them, end them (DELETE), or try again later"
            )
