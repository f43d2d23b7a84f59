"""S3ExpiredFiles: removes files whose time is over.

Every request for bytes of an object that was removed fails, also those of a download that began
before. So an object stays for `Timing.expired_file` seconds in which nobody can find it.
"""

from collections.abc import Callable, Iterator

from fileservice.names import FileName
from fileservice.storage.errors import NotFound
from fileservice.storage.files import StoredFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.expiry_index import Entry, ExpiryIndex
from fileservice.storage.s3.metadata import ID, MetadataStore
from fileservice.storage.s3.name_lock import remove_locked
from fileservice.storage.s3.objects import ObjectHead

_STALE_SECONDS = 600.0
"""An entry stays for so long after its file was removed: the file may be in a page of a list that
was read before, which would show it without its entry."""


class S3ExpiredFiles:
    """See `storage.interface.ExpiredFiles`; `clock` returns seconds since the Unix epoch."""

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        index: ExpiryIndex,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._index = index
        self._clock = clock
        self._stale: frozenset[Entry] = frozenset()
        """The entries that had no file when they were looked at last."""

    def due(self) -> Iterator[StoredFile]:
        before = self._clock() - self._client.timing.expired_file
        stale: set[Entry] = set()
        for entry in self._index.expired(before):
            file = None if entry in self._stale else self._find(entry)
            if file:
                yield file
            elif entry.expires < before - _STALE_SECONDS:
                self._index.discard(entry)
            else:
                stale.add(entry)
        self._stale = frozenset(stale)

    def find(self, name: FileName) -> StoredFile:
        _, file = self._find_expired(name)
        return file

    def remove(self, file: StoredFile) -> StoredFile:
        def find() -> tuple[ObjectHead, StoredFile]:
            head, current = self._find_expired(file.name)
            if (current.version, current.expires) != (file.version, file.expires):
                raise NotFound(file.name)
            return head, current

        def remove() -> StoredFile:
            head, current = find()
            try:
                self._client.delete_object(file.name, head.etag)
            except (ObjectMissing, PreconditionFailed):
                raise NotFound(file.name) from None
            self._metadata_store.remove_of(head)
            return current

        return remove_locked(self._client, file.name, find, remove)

    def _find(self, entry: Entry) -> StoredFile | None:
        """Return the file that an entry was made for, if it is still there."""
        try:
            head, file = self._find_expired(entry.name)
        except NotFound:
            return None
        is_same = (head.metadata.get(ID), file.expires) == (entry.file_id, entry.expires)
        return file if is_same else None

    def _find_expired(self, name: FileName) -> tuple[ObjectHead, StoredFile]:
        head = reservation.find_file(self._client, name)
        file = self._metadata_store.describe(name, head) if head else None
        if not head or not file or not file.has_expired(self._clock()):
            raise NotFound(name)
        return head, file
