"""Replacement: a file takes the place of one version of another (decision 20)."""

from collections.abc import Callable

from fileservice.names import FileName
from fileservice.storage.errors import NotFound, VersionChanged
from fileservice.storage.files import StoredFile
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.expiry_index import ExpiryIndex
from fileservice.storage.s3.metadata import ID, MetadataStore
from fileservice.storage.s3.name_lock import locked_name
from fileservice.storage.s3.objects import ObjectHead, Written
from fileservice.storage.s3.reservation import Target


class Replacement:
    """Publishes one upload in the place of the file with its name and this version.

    Every method raises NotFound or VersionChanged if there is no such file.
    """

    def __init__(
        self,
        client: S3Client,
        metadata_store: MetadataStore,
        expiry_index: ExpiryIndex,
        name: FileName,
        version: str,
    ) -> None:
        self._client = client
        self._name = name
        self._metadata_store = metadata_store
        self._expiry_index = expiry_index
        self._version = version
        self.replaced: StoredFile | None = None
        """The file that was replaced, if there was one."""

    def require_version(self, target: Target) -> ObjectHead | None:
        """Return if the file can be replaced now: None, or the file if it is this upload's own.

        An earlier process may have published this very upload and died before it said so.
        """
        head = self._current(target)
        return head if _is_of(head, target) else None

    def create(self, target: Target, data: bytes | bytearray) -> ObjectHead:
        """Publish the file with one PutObject. Raises NameReserved as well."""
        return self._replace(
            target,
            len(data),
            lambda etag: self._client.put_object(
                self._name,
                data,
                content_type=target.content_type,
                metadata=target.metadata,
                if_match=etag,
                retry_seconds=self._client.timing.retry_with_body,
            ),
        )

    def complete(self, target: Target, upload_id: str, etags: list[str], size: int) -> ObjectHead:
        """Publish the file of `size` bytes that the parts make. Raises NameReserved as well."""
        return self._replace(
            target,
            size,
            lambda etag: Written(
                self._client.complete_multipart_upload(self._name, upload_id, etags, if_match=etag),
                modified=None,
            ),
        )

    def _replace(self, target: Target, size: int, write: Callable[[str], Written]) -> ObjectHead:
        """Call `write` with the ETag of the object that it replaces."""
        with locked_name(self._client, self._name, lambda: self._current(target)):
            old = self._current(target)
            if _is_of(old, target):
                return old
            replaced = self._metadata_store.describe(self._name, old)
            try:
                written = write(old.etag)
            except (PreconditionFailed, ObjectMissing):
                head = reservation.find_file(self._client, self._name)
                if not head or not _is_of(head, target):
                    raise VersionChanged(self._name) from None  # by another program
                written = Written(
                    head.etag, head.modified
                )  # the request succeeded, but its answer was lost
        self.replaced = replaced
        self._metadata_store.retire_of(old)
        self._expiry_index.discard_of(replaced, old)
        return reservation.head_of_published(self._client, target, size, written)

    def _current(self, target: Target) -> ObjectHead:
        head = reservation.find_file(self._client, self._name)
        if head is None:
            raise NotFound(self._name)
        if not _is_of(head, target):
            file = self._metadata_store.describe(self._name, head)
            if file.version != self._version:
                raise VersionChanged(self._name)
        return head


def replacement_of(
    client: S3Client,
    metadata_store: MetadataStore,
    expiry_index: ExpiryIndex,
    name: FileName,
    version: str | None,
) -> Replacement | None:
    """Return the replacement of this version; None if no version is to be replaced."""
    if version is None:
        return None
    return Replacement(client, metadata_store, expiry_index, name, version)


def _is_of(head: ObjectHead, target: Target) -> bool:
    """Return whether the object was made by the upload that the target is of."""
    return head.metadata.get(ID) == target.metadata[ID]
