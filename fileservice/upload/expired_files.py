"""Remove files whose time is over, and give their bytes back to their owners."""

import logging
from contextlib import suppress
from functools import partial

from fileservice.events import EventKind
from fileservice.names import FileName
from fileservice.storage import NotFound, StorageError, StoredFile, describe_error
from fileservice.upload.context import UploadContext

_log = logging.getLogger(__name__)


def remove_expired_files(context: UploadContext) -> int:
    """Remove the expired files of the store; return how many. Blocks.

    Raise StorageError if they cannot be found.
    """
    removed, failed, latest = 0, 0, None
    for file in context.store.expired.due():
        try:
            removed += _remove(file, context)
        except StorageError as error:
            failed, latest = failed + 1, error
    if latest:
        _log.warning("%d expired files could not be removed: %s", failed, describe_error(latest))
    return removed


def free_name(name: FileName, context: UploadContext) -> bool:
    """Remove the file with this name, which was taken, if it has expired. Blocks.

    Return whether the name may be free now: it also is if another process removed the file. Raise
    NameReserved if that is being decided.
    """
    try:
        file = context.store.expired.find(name)
    except NotFound:
        return not context.store.is_taken(name)
    _remove(file, context)
    return True


def _remove(file: StoredFile, context: UploadContext) -> bool:
    """Remove an expired file, and return True.

    If another process is faster, which then gives its bytes back, return False.
    """
    give_back = context.begin_removal(file)
    with suppress(NotFound):
        remove = partial(context.store.expired.remove, file)
        give_back(context.events.remove(EventKind.EXPIRED, file, "", remove))
        return True
    return False
