"""UploadLimits: how many uploads may be unfinished, and how much space may be reserved for them.

An upload that is created and never sent takes a file in the store, and the space for its declared
length. So the number of unfinished uploads is limited, in all and for each client, and a client
with more than one of them cannot reserve most of the space.
"""

from collections.abc import Sequence

from fileservice.addresses import client_key
from fileservice.storage import ResumableWriter, StorageFull, UnfinishedUpload
from fileservice.upload.admit import check_free_space
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import TooManyUnfinished, TooManyUnfinishedOfClient
from fileservice.upload.resumable.record import UploadRecord
from fileservice.upload.resumable.unfinished import UnfinishedUploads

_MAX_SHARE_OF_CLIENT = 1 / 2
_MAX_SHARE_OF_ALL = 3 / 4
"""If a client has reserved space for more than one unfinished upload, those may hold half of the
usable space, and those of all clients three quarters of it."""


class UploadLimits:
    """Creates uploads. A check and what it allows are one step over all processes."""

    def __init__(self, context: UploadContext, unfinished_uploads: UnfinishedUploads) -> None:
        self._context = context
        self._store = context.store
        self._policy = context.policy
        self._unfinished_uploads = unfinished_uploads

    def create(self, record: UploadRecord) -> str:
        """Create an upload and return its id. Blocks.

        Raise TooManyUnfinished, TooManyUnfinishedOfClient or StorageFull.
        """
        check_free_space(self._context, record.length or 0)
        with self._store.locker.exclusive():
            self._check(record)
            upload = self._store.uploads.create(
                record.to_bytes(), record.length, min_free=self._policy.min_free
            )
            self._unfinished_uploads.add(upload, record)
        return upload

    def create_ended(self, record: UploadRecord) -> str:
        """Store the record of an upload that is published already, and return its id. Blocks.

        The upload does not count as unfinished. Raise StorageFull.
        """
        check_free_space(self._context, 0)  # the file is stored, so it needs no more space
        return self._store.uploads.create_ended(record.to_bytes())

    def reserve(
        self, upload: str, record: UploadRecord, writer: ResumableWriter, length: int
    ) -> None:
        """Reserve space for an upload whose `length` was unknown. Blocks. Raise StorageFull."""
        missing = length - writer.size
        with self._store.locker.exclusive():
            if missing > 0:
                others = [
                    (other, client)
                    for other, client in self._unfinished_uploads.counted()
                    if other.upload != upload
                ]
                self._check_space(record, missing, others)
            self._store.reserve_space(writer, length, min_free=self._policy.min_free)

    def _check(self, record: UploadRecord) -> None:
        unfinished = self._unfinished_uploads.counted()
        error = self._check_number(record, unfinished)
        if error and self._unfinished_uploads.refresh():
            unfinished = self._unfinished_uploads.counted()
            error = self._check_number(record, unfinished)
        if error:
            raise error
        if record.length:
            self._check_space(record, record.length, unfinished)

    def _check_number(
        self, record: UploadRecord, unfinished: Sequence[tuple[UnfinishedUpload, str]]
    ) -> Exception | None:
        """Return the error that refuses one more upload, or None if it is allowed."""
        of_all, of_client = self._policy.max_unfinished, self._policy.max_unfinished_of_client
        if of_all is not None and len(unfinished) >= of_all:
            return TooManyUnfinished(of_all)
        key = client_key(record.client)
        if of_client is not None and sum(other == key for _, other in unfinished) >= of_client:
            return TooManyUnfinishedOfClient(of_client)
        return None

    def _check_space(
        self,
        record: UploadRecord,
        missing: int,
        others: Sequence[tuple[UnfinishedUpload, str]],
    ) -> None:
        """Raise StorageFull if `missing` bytes more are too much for the client, or for all.

        The only upload for which a client has reserved space may have all the space there is.
        """
        free = self._store.free_space()
        if free is None:
            return
        key = client_key(record.client)
        by_client = [
            upload.reserved for upload, client in others if client == key and upload.has_reservation
        ]
        by_all = sum(upload.reserved for upload, _ in others)
        usable = free + by_all - self._policy.min_free
        if by_client and (
            sum(by_client) + missing > usable * _MAX_SHARE_OF_CLIENT
            or by_all + missing > usable * _MAX_SHARE_OF_ALL
        ):
            raise StorageFull(
                "too much space is already reserved for unfinished uploads, of this client or of"
                " all; finish them, end them (DELETE), or try again later"
            )
