"""Files in a directory on a local file system."""

from fileservice.storage.local.store import LocalStore

__all__ = ["LocalStore"]
