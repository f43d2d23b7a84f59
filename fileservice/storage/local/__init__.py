"""Files in a directory on a local file system."""

from fileservice.storage.local.store import LocalStore, layout_of
from fileservice.storage.local.verify import verify

__all__ = [
    "LocalStore",
    "layout_of",
    "verify",
]
