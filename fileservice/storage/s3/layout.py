"""The keys of a store in a bucket, relative to its prefix.

report.pdf                            a published file; others may put one there, too
.fileservice/metadata/ID              what is known of a file that was published in parts (metadata)
.fileservice/staging/ID/OFFSET        bytes to inspect before they are published (pieces)
.fileservice/uploads/ID/record        the record of a resumable upload (records)
.fileservice/uploads/ID/OFFSET        its bytes (pieces)
.fileservice/leases/ID                the process that holds its lock (lease)
.fileservice/leases/KEY               the process that holds the lock of this key (private_files)
.fileservice/name-locks/HASH          a process that replaces or deletes a file (name_lock)
.fileservice/release-requests/ID      another request asks for its lock (locker)
.fileservice/expiry/TIME-ID-NAME      a file expires at this time (expiry_index)
.fileservice/expiring/NAME-TIME-ID    the same, in the order of names
.fileservice/usage/HASH                what is counted of the files of one owner (usage)
.fileservice/verify/ID                an object that conditions are tested with (verify)
.fileservice/KEY                      a small object of the service itself (private_files)
"""

import re
import secrets

from fileservice.storage.errors import NoSuchUpload

PRIVATE = ".fileservice/"
METADATA = ".fileservice/metadata/"
STAGING = ".fileservice/staging/"
UPLOADS = ".fileservice/uploads/"
LEASES = ".fileservice/leases/"
NAME_LOCKS = ".fileservice/name-locks/"
RELEASE_REQUESTS = ".fileservice/release-requests/"
EXPIRY = ".fileservice/expiry/"
EXPIRING = ".fileservice/expiring/"
USAGE = ".fileservice/usage/"
VERIFY = ".fileservice/verify/"
_RECORD = "record"
_ID = re.compile(r"[0-9a-f]{32}")


def new_id() -> str:
    """Return 128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def is_id(text: str) -> bool:
    """Return whether the text may be the id of an upload."""
    return _ID.fullmatch(text) is not None


def upload_folder(upload: str) -> str:
    """Return what the keys of an upload begin with. Raises NoSuchUpload for what is no id."""
    if not is_id(upload):
        raise NoSuchUpload
    return f"{UPLOADS}{upload}/"


def record_key(upload: str) -> str:
    """Return the key of the record of an upload. Raises NoSuchUpload for what is no id."""
    return upload_folder(upload) + _RECORD


def release_request_key(upload: str) -> str:
    """Return the key of the request to release the lock of an upload. Raises NoSuchUpload."""
    if not is_id(upload):
        raise NoSuchUpload
    return RELEASE_REQUESTS + upload


def piece_key(folder: str, offset: int) -> str:
    """Return the key of the piece whose first byte is at `offset`."""
    return f"{folder}{offset:020}"


def piece_offset(key: str) -> int | None:
    """Return the offset that the key of a piece names; None for a key of something else."""
    digits = key.rpartition("/")[2]
    return int(digits) if len(digits) == 20 and digits.isdigit() else None
