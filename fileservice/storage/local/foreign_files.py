"""Files that the service may not read or remove, each of which is logged once."""

import logging
import os
from stat import S_IMODE

from fileservice.storage.errors import user_name

_log = logging.getLogger(__name__)
_MAX_LOGGED = 1000
_logged: dict[bytes, object] = {}


def log_once(path: bytes, consequence: str) -> None:
    """Log the owner and the mode of the file at `path`, and what follows from them.

    A process logs each file once, and at most 1,000 files.
    """
    token = object()
    # setdefault is atomic: several threads may meet the same file.
    if len(_logged) >= _MAX_LOGGED or _logged.setdefault(path, token) is not token:
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
    if len(_logged) == _MAX_LOGGED:
        _log.warning("there are %d such files; no more of them are logged", _MAX_LOGGED)
