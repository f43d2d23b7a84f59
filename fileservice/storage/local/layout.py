"""Layout: the paths of a store's files (see store)."""

import os
import re
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fileservice.executor import CallBlocking, NewLock, call_directly
from fileservice.names import FileName
from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.local.directories import sync_directory
from fileservice.storage.local.group_commit import GroupCommit
from fileservice.storage.local.identity import Identity

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store, its identity, and whether and how its files are synced (`fsync`)."""

    root: bytes
    staging: bytes
    uploads: bytes
    ended: bytes
    release_requests: bytes
    usage: bytes
    expiry: bytes
    names: bytes
    fsync: bool
    identity: Identity
    names_commit: GroupCommit
    call_blocking: CallBlocking

    @classmethod
    def under(
        cls,
        root: Path,
        *,
        fsync: bool,
        identity: str | None = None,
        new_lock: NewLock = threading.Lock,
        call_blocking: CallBlocking = call_directly,
    ) -> "Layout":
        """Return the layout of the store in the directory `root`; see Identity for `identity`."""
        path = os.path.abspath(os.fsencode(root))
        private = os.path.join(path, b".fileservice")
        staging, uploads, ended, release_requests, usage, expiry = directories = tuple(
            os.path.join(private, name)
            for name in (
                b"staging",
                b"uploads",
                b"ended",
                b"release-requests",
                b"usage",
                b"expiry",
            )
        )
        return cls(
            root=path,
            staging=staging,
            uploads=uploads,
            ended=ended,
            release_requests=release_requests,
            usage=usage,
            expiry=expiry,
            names=os.path.join(private, b"names"),
            fsync=fsync,
            identity=Identity(path, directories, identity),
            names_commit=GroupCommit(partial(sync_directory, path), new_lock, call_blocking),
            call_blocking=call_blocking,
        )

    def sync_names(self) -> None:
        """Return when the names of published files will survive a power failure. Raise OSError.

        Return at once if files are not synced.
        """
        if self.fsync:
            self.names_commit.wait()

    def published(self, name: FileName) -> bytes:
        """Return the path of the published file with this name."""
        return b"%b/%b" % (self.root, name.encode())

    def private(self, key: str) -> bytes:
        """Return the path of a private file, or of a folder of them."""
        return os.path.join(os.path.dirname(self.staging), key.encode())

    def upload(self, upload: str) -> bytes:
        """Return the path of the bytes of this upload. Raise NoSuchUpload if it is not an id."""
        return os.path.join(self.uploads, _upload_id(upload))

    def release_request(self, upload: str) -> bytes:
        """Return the path of the request to release this upload's lock, as `upload` does."""
        return os.path.join(self.release_requests, _upload_id(upload))


def _upload_id(upload: str) -> bytes:
    if not UPLOAD_ID.fullmatch(upload):
        raise NoSuchUpload
    return upload.encode()
