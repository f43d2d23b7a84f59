"""Files in a directory on a local file system."""

from fileservice.storage.local.proof import prove
from fileservice.storage.local.store import LocalStore, places_of

__all__ = ["LocalStore", "places_of", "prove"]
