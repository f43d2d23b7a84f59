"""The interface of a store; every store passes the suite in tests/storage/store_contract.py.

A store has six parts. `Store` holds published files, which are immutable. `Uploads` holds the
bytes and records of resumable uploads. `Locker` decides who may change one of those uploads.
`ExpiredFiles` removes files whose time is over. `PrivateFiles` holds what the service keeps for
itself, and `UsageRecords` what is counted of the files of each owner.

Some parameters are hints. A store may ignore a hint, and a caller may not rely on its effect. The
docstrings call each of them one.
"""

from fileservice.storage.interface.expiry import ExpiredFiles
from fileservice.storage.interface.internal import PrivateFiles, PrivateLock, UsageRecords
from fileservice.storage.interface.store import Store
from fileservice.storage.interface.uploads import Locker, Uploads
from fileservice.storage.interface.writers import ResumableWriter, StagedFile, Writer

__all__ = [
    "ExpiredFiles",
    "Locker",
    "PrivateFiles",
    "PrivateLock",
    "ResumableWriter",
    "StagedFile",
    "Store",
    "Uploads",
    "UsageRecords",
    "Writer",
]
