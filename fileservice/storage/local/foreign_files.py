"""Files of other users, which the service may not read or remove: each is told once in the log."""

import logging
import os
from stat import S_IMODE

from fileservice.storage.errors import user_name

_log = logging.getLogger(__name__)
_MOST = 1000
_told: dict[bytes, object] = {}


def tell(path: bytes, consequence: str) -> None:
    """Tell of the file at `path`, once in this process and of no more than 1,000 files."""
    mine = object()
    if len(_told) >= _MOST or _told.setdefault(path, mine) is not mine:  # one step: threads race
        return
    try:
        status = os.lstat(path)
    except OSError:
        return
    _log.warning(
        "%r belongs to %s and has the mode %04o, and the service runs as %s: %s",
        os.fsdecode(path),
        user_name(status.st_uid),
        S_IMODE(status.st_mode),
        user_name(os.geteuid()),
        consequence,
    )
    if len(_told) == _MOST:
        _log.warning("there are %d such files; no more of them are told", _MOST)
