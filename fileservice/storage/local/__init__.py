"""The store that keeps files in a directory of a local file system."""

from fileservice.storage.local.layout import Layout
from fileservice.storage.local.store import LocalStore
from fileservice.storage.local.verify import verify

__all__ = [
    "Layout",
    "LocalStore",
    "verify",
]
