"""The storage of files. `open_store` opens the store that a URL names."""

from fileservice.storage.errors import (
    Busy,
    Locked,
    NameReserved,
    NameTaken,
    NoSuchUpload,
    NotFound,
    StorageError,
    StorageFull,
    StorageUnavailable,
    describe_error,
)
from fileservice.storage.factory import (
    check_url,
    directory_of,
    has_presigned_urls,
    open_store,
    verify_store,
)
from fileservice.storage.files import (
    Content,
    Opened,
    StoredFile,
    StoredUpload,
    StoreVerification,
    UnfinishedUpload,
)
from fileservice.storage.interface import (
    Locker,
    PrivateFiles,
    ResumableWriter,
    StagedFile,
    Store,
    Uploads,
    Writer,
)

__all__ = [
    "Busy",
    "Content",
    "Locked",
    "Locker",
    "NameReserved",
    "NameTaken",
    "NoSuchUpload",
    "NotFound",
    "Opened",
    "PrivateFiles",
    "ResumableWriter",
    "StagedFile",
    "StorageError",
    "StorageFull",
    "StorageUnavailable",
    "Store",
    "StoreVerification",
    "StoredFile",
    "StoredUpload",
    "UnfinishedUpload",
    "Uploads",
    "Writer",
    "check_url",
    "describe_error",
    "directory_of",
    "has_presigned_urls",
    "open_store",
    "verify_store",
]
