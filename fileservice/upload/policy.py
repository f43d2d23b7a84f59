"""Admission: what can be refused before a byte of the body is read.

Refused
├── NoExtension          the name has none
├── ExtensionNotAllowed  the operator does not take such files
├── TooLarge             more bytes than one file may have
└── Unmet                a condition of the request does not hold
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fileservice.executor import Executor
from fileservice.filetypes import FileType
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, StorageFull, Store, StoredFile
from fileservice.upload.errors import ExtensionNotAllowed, NoExtension, PreconditionNotMet, TooLarge


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """What the operator lets in; sizes in bytes."""

    types: Mapping[str, FileType]
    max_size: int
    min_free: int
    """Space that uploads leave free in the store."""
    digest: bool
    """Whether the SHA-256 of every file is computed and kept."""
    max_unfinished: int | None = None
    """Uploads that can be resumed and have not ended, of all clients; None for any number."""
    max_unfinished_of_client: int | None = None
    """The same, of one client."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client says of its file before it sends the bytes."""

    name: FileName
    length: int | None
    """Bytes of the file; None where the client does not say."""
    at_least: int = 0
    """Bytes that the file has at least, as far as one can tell from a form around it."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests that the file must have, by their names in RFC 9530: sha-256, sha-512."""
    create_only: bool = False
    """Refuse a taken name as an unmet condition (If-None-Match: *)."""


def admit(
    request: UploadRequest, policy: UploadPolicy, store: Store, executor: Executor
) -> tuple[FileType, StoredFile | None]:
    """The type that the file must be of, and the stored file if this upload was done before.

    Raises a Refused, NameTaken or StorageFull.
    """
    file_type = type_of(request.name, policy)
    content_length = request.at_least if request.length is None else request.length
    if content_length > policy.max_size:
        raise TooLarge(policy.max_size)
    if not store.is_taken(request.name):
        leave_free(store, policy, content_length)
        return file_type, None
    earlier = executor.run_io(earlier_upload, request, store) if request.digests else None
    if not earlier:
        raise taken(request)
    return file_type, earlier


def earlier_upload(request: UploadRequest, store: Store) -> StoredFile | None:
    """The file stored under the name, if the client declares its very bytes (RFC 9530).

    It outlasts a power cut by then, as one does that was answered 201.
    """
    declared = request.digests.get("sha-256")
    if not declared:
        return None
    try:
        stored = store.stat(request.name)
        if stored.content.sha256 != declared:
            return None
        store.sync_names()  # it may be visible and not acknowledged yet
        return stored if store.stat(request.name).version == stored.version else None
    except NotFound:
        return None


def taken(request: UploadRequest) -> Exception:
    """The error that tells this client that the name is taken."""
    error = NameTaken(request.name)
    return PreconditionNotMet(str(error)) if request.create_only else error


def leave_free(store: Store, policy: UploadPolicy, content_length: int) -> None:
    """Raise StorageFull if one more file of `coming` bytes has no room in what may be used."""
    free = store.free_space()
    if free is not None and free - content_length < policy.min_free:
        raise StorageFull("there is not enough room left in the storage for this file")
    if store.free_files() == 0:
        raise StorageFull("the storage has room for no more files, however small (inodes)")


def type_of(name: FileName, policy: UploadPolicy) -> FileType:
    """The type that the name promises. Raises NoExtension, ExtensionNotAllowed."""
    if not name.extension:
        raise NoExtension(name)
    if name.extension not in policy.types:
        raise ExtensionNotAllowed(name.extension, policy.types)
    return policy.types[name.extension]
