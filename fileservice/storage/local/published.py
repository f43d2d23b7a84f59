"""Published files: how the one with a name is opened."""

import errno
import os
from stat import S_ISREG

from fileservice.names import FileName
from fileservice.storage.errors import NotFound
from fileservice.storage.local import foreign_files
from fileservice.storage.local.layout import Layout

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_file(layout: Layout, name: FileName) -> int:
    """Return a descriptor of the published file with this name. Raise NotFound or OSError."""
    path = layout.published(name)
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        layout.identity.check()  # the whole store may be missing, which is a fault
        raise NotFound(name) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, a socket
            raise NotFound(name) from None
        if error.errno == errno.EACCES and os.access(layout.root, os.R_OK | os.X_OK):
            foreign_files.log_once(path, "it is neither listed nor served")
            raise NotFound(name) from None
        raise
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotFound(name)
    return descriptor
