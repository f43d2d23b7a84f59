"""S3UsageRecords: what is counted of the files of each owner, in an object for each of them."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from fileservice.names import BadName, FileName
from fileservice.storage.files import OwnedFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.atomic_objects import AtomicObjects
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing
from fileservice.storage.s3.layout import USAGE
from fileservice.storage.s3.listing import ListedObject, list_objects, list_pages
from fileservice.storage.s3.metadata import MetadataStore

_CONCURRENT_REQUESTS = 8


class S3UsageRecords:
    """See `interface.UsageRecords`."""

    def __init__(self, client: S3Client, metadata_store: MetadataStore) -> None:
        self._client = client
        self._metadata_store = metadata_store
        self._objects = AtomicObjects(client)

    def update(self, owner: str, change: Callable[[bytes | None], bytes | None]) -> None:
        self._objects.update(_key(owner), change)

    def read(self, owner: str) -> bytes | None:
        return self._objects.read(_key(owner))

    def records(self) -> Iterator[bytes]:
        for listed in list_objects(self._client, USAGE):
            record = self._objects.read(listed.key)
            if record is not None:
                yield record

    def remove(self, owner: str) -> None:
        with suppress(ObjectMissing):
            self._client.delete_object(_key(owner))

    def owned_files(self, prefix: str = "") -> Iterator[OwnedFile]:
        with ThreadPoolExecutor(_CONCURRENT_REQUESTS) as threads:
            for page in list_pages(self._client, prefix, folders=True):
                objects = [listed for listed in page if isinstance(listed, ListedObject)]
                yield from filter(None, threads.map(self._owned_file, objects))

    def _owned_file(self, listed: ListedObject) -> OwnedFile | None:
        try:
            name = FileName.parse(listed.key)
            head = self._client.head_object(listed.key)
        except (BadName, ObjectMissing):
            return None
        if reservation.is_reservation(head):
            return None
        file = self._metadata_store.describe(name, head)
        return OwnedFile(file.owner, file.size, name, file.expires) if file.owner else None


def _key(owner: str) -> str:
    return USAGE + hashlib.sha256(owner.encode()).hexdigest()[:32]
