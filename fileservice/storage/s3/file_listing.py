"""FileListing: the files in a bucket in the order of their names, for the cost of listings."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache

from fileservice.names import BadName, FileName
from fileservice.storage.files import StoredFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.expiry_index import Entry, ExpiryIndex
from fileservice.storage.s3.listing import ListedObject, list_pages
from fileservice.storage.s3.metadata import MetadataStore, file_of

_CACHED_OBJECTS = 65536


class FileListing:
    """Lists files; `clock` returns seconds since the Unix epoch."""

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
        self._read_expiry = lru_cache(_CACHED_OBJECTS)(self._load_expiry)

    def files(
        self, after: str, prefix: str, contains: str, expected: int | None
    ) -> Iterator[StoredFile]:
        """Return the files that `Store.list` describes."""
        if "/" in prefix:
            return
        wanted = contains.casefold()
        count = None if wanted else expected
        start = _before_slash(after)
        for page in list_pages(self._client, prefix, start, folders=True, first_page=count):
            objects = [
                listed
                for listed in page
                if isinstance(listed, ListedObject)
                and listed.key > after
                and wanted in listed.key.casefold()
            ]
            # Read after the page, since an entry is written before its file becomes visible.
            entries = self._entries(objects)
            for listed in objects:
                if file := self._listed_file(listed, entries.get(listed.key, [])):
                    yield file

    def _entries(self, objects: list[ListedObject]) -> Mapping[str, list[Entry]]:
        entries: dict[str, list[Entry]] = {}
        if objects:
            for entry in self._index.between(objects[0].key, objects[-1].key):
                entries.setdefault(entry.name, []).append(entry)
        return entries

    def _listed_file(self, listed: ListedObject, entries: list[Entry]) -> StoredFile | None:
        """Return the file that the object is, if it is one that can be requested by its name."""
        try:
            name = FileName.parse(listed.key)
        except BadName:
            return None
        if name != listed.key:
            return None
        if reservation.may_be_reservation(listed):
            head = reservation.find_file(self._client, name)  # a multipart upload may replace it
            if head is None:
                return None
            listed = ListedObject(name, head.size, head.etag, head.modified, head.age)
        file = file_of(name, listed, self._expiry(name, listed, entries))
        return None if file.has_expired(self._clock()) else file

    def _expiry(self, name: FileName, listed: ListedObject, entries: list[Entry]) -> int | None:
        """Return when a file expires; ask the file itself where its entries may be out of date."""
        if not entries:
            return None
        if len(entries) == 1 and entries[0].expires > self._clock():
            return entries[0].expires
        return self._read_expiry(name, listed.etag, listed.modified, *entries)

    def _load_expiry(
        self,
        name: FileName,
        etag: str,
        _modified: datetime,
        *_entries: Entry,
    ) -> int | None:
        """Return when the object with this ETag expires, which it has if it is not there any more.

        All arguments together distinguish it from others of the same bytes.
        """
        head = reservation.find_file(self._client, name)
        if not head or head.etag != etag:  # it was removed or replaced after it was listed
            return 0
        return self._metadata_store.describe(name, head).expires


def _before_slash(after: str) -> str:
    """Return where a listing must start so that it misses no file past `after`.

    `after` may have a slash, although no name has one. SeaweedFS may leave out files from a listing
    that starts after a key with a slash (decision 9), so this one starts before the folder.
    """
    head, slash, _ = after.partition("/")
    return f"{head}.\U0010ffff" if slash else head
