"""Admit: refuse what can be refused before a byte of the body is read."""

from fileservice.filetypes import FileType
from fileservice.storage import NameTaken, NotFound, StorageFull, Store, StoredFile
from fileservice.upload.caller import Caller
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import PreconditionNotMet, TooLarge
from fileservice.upload.policy import UploadRequest


def admit(request: UploadRequest, context: UploadContext) -> tuple[FileType, StoredFile | None]:
    """Return the type that the file must have, and the stored file if this is a repetition.

    Raise what the caller's `authorize` raises, NoExtension, ExtensionNotAllowed, TooLarge,
    NameTaken, PreconditionNotMet or StorageFull.
    """
    request.caller.authorize(request.name)
    policy, store = context.policy, context.store
    file_type = policy.file_type(request.name)
    content_length = request.at_least if request.length is None else request.length
    if content_length > policy.max_size:
        raise TooLarge(policy.max_size)
    # These calls are made on the event loop: while the directory is cached, they take microseconds.
    if not store.is_taken(request.name):
        check_free_space(context, content_length)
        return file_type, None
    stored = None
    if request.digests:
        stored = context.executor.run_io(find_repeated_file, request, store)
    if not stored:
        raise name_taken_error(request)
    return file_type, stored


def find_repeated_file(request: UploadRequest, store: Store) -> StoredFile | None:
    """Return the file stored under the name if it has the SHA-256 that the client declares.

    Return None if there is no such file, or if the caller may not see it and has not stored it.
    Like a file that was answered with 201, the returned file survives a power failure.
    """
    declared = request.digests.get("sha-256")
    if not declared:
        return None
    try:
        stored = store.stat(request.name)
        if stored.content.sha256 != declared or not _may_see(request.caller, stored):
            return None
        store.sync_names()  # the file may be visible before it is durable
        return stored if store.stat(request.name).version == stored.version else None
    except NotFound:
        return None


def _may_see(caller: Caller, stored: StoredFile) -> bool:
    owner = stored.owner
    is_own = owner is not None and caller.owner in filter(None, (owner.principal, owner.guest))
    return is_own or caller.may_see(stored.name)


def name_taken_error(request: UploadRequest) -> NameTaken | PreconditionNotMet:
    """Return the error that reports a taken name in the way the client asked for."""
    error = NameTaken(request.name)
    return PreconditionNotMet(str(error)) if request.create_only else error


def check_free_space(context: UploadContext, content_length: int) -> None:
    """Raise StorageFull if there is no space for one more file of `content_length` bytes."""
    store = context.store
    free = store.free_space()
    if free is not None and free - content_length < context.policy.min_free:
        raise StorageFull("there is not enough space left in the storage for this file")
    if store.free_files() == 0:
        raise StorageFull("the storage has space for no more files, however small (inodes)")
