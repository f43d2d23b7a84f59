"""Admit: refuse what can be refused before a byte of the body is read."""

from dataclasses import dataclass

from fileservice.filetypes import FileType
from fileservice.storage import NameTaken, NotFound, Store, StoredFile
from fileservice.upload.caller import may_see
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import PreconditionNotMet, TooLarge
from fileservice.upload.expired_files import free_name
from fileservice.upload.policy import UploadRequest


@dataclass(frozen=True, slots=True)
class Admission:
    """What was found out about an upload before its body."""

    file_type: FileType
    """The type that the file must have."""
    repeated: StoredFile | None = None
    """The stored file that the upload repeats; then nothing is to be received."""
    replaces: StoredFile | None = None
    """The file that it would replace now."""


def admit(request: UploadRequest, context: UploadContext) -> Admission:
    """Find out whether an upload may begin.

    Raise what the caller's `authorize` raises, NoExtension, ExtensionNotAllowed, TooLarge,
    NameTaken, PreconditionNotMet or StorageFull.
    """
    request.authorize()
    policy, store = context.policy, context.store
    file_type = policy.file_type(request.name)
    content_length = request.at_least if request.length is None else request.length
    if content_length > policy.max_size:
        raise TooLarge(policy.max_size)
    # These calls are made on the event loop: while the directory is cached, they take microseconds.
    replaced = find_replaceable(request, store)
    if replaced or _is_free(request, context):
        check_free_space(context, content_length)
        return Admission(file_type, replaces=replaced)
    stored = None
    if request.digests:
        stored = context.executor.run_io(find_repeated_file, request, context)
    if not stored:
        raise condition_error(request)
    return Admission(file_type, repeated=stored)


def _is_free(request: UploadRequest, context: UploadContext) -> bool:
    """Return whether the name is free for a new file; one that has expired is removed."""
    if request.replaces is not None:
        return False
    is_free = not context.store.is_taken(request.name)
    return is_free or context.executor.run_io(free_name, request.name, context)


def find_replaceable(request: UploadRequest, store: Store) -> StoredFile | None:
    """Return the file that the upload would replace now, if it replaces one."""
    if request.replaces is None:
        return None
    try:
        stored = store.stat(request.name)
    except NotFound:
        return None
    return stored if request.may_replace(stored) else None


def find_repeated_file(request: UploadRequest, context: UploadContext) -> StoredFile | None:
    """Return the file stored under the name if it has the SHA-256 that the client declares.

    Return None if there is no such file, or if the caller may not see it and has not stored it.
    Like a file that was answered with 201, the returned file survives a power failure, and it is
    reported that it was stored.
    """
    store = context.store
    declared = request.digests.get("sha-256")
    if not declared:
        return None
    try:
        stored = store.stat(request.name)
        if stored.content.sha256 != declared or not may_see(request.caller, stored):
            return None
        store.sync_names()  # the file may be visible before it is durable
        context.events.settle(stored)
        return stored if store.stat(request.name).version == stored.version else None
    except NotFound:
        return None


def condition_error(request: UploadRequest) -> NameTaken | PreconditionNotMet:
    """Return the error that reports why the file cannot have its name.

    The name is taken, or there is no file of the versions that the request replaces.
    """
    if request.replaces is not None:
        return PreconditionNotMet(
            f"there is no file named {request.name!r} with an ETag that If-Match names; it may have"
            " been replaced or deleted meanwhile, and nothing was changed"
        )
    error = NameTaken(request.name)
    return PreconditionNotMet(str(error)) if request.create_only else error


def check_free_space(context: UploadContext, content_length: int) -> None:
    """Raise StorageFull if there is no space for one more file of `content_length` bytes."""
    context.free_space.require(context.store, content_length, context.policy.min_free)
