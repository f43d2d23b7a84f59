"""Layout: where everything lies in the directory of a store (see store)."""

import os
import re
from dataclasses import dataclass

from fileservice.names import FileName
from fileservice.storage.errors import NoSuchUpload
from fileservice.storage.local.directory_lock import lock_directory
from fileservice.storage.local.identity import Identity

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies (see store), and whether it has to outlast a power cut."""

    root: bytes
    staging: bytes
    uploads: bytes
    ended: bytes
    release_requests: bytes
    names: bytes
    fsync: bool
    identity: Identity

    @classmethod
    def under(cls, root: bytes, *, fsync: bool, identity: str | None = None) -> "Layout":
        """The places of a store in the directory `root`, of this identity if it is known."""
        private = os.path.join(root, b".fileservice")
        staging, uploads, ended, release_requests = (
            os.path.join(private, name)
            for name in (b"staging", b"uploads", b"ended", b"release-requests")
        )
        return cls(
            root=root,
            staging=staging,
            uploads=uploads,
            ended=ended,
            release_requests=release_requests,
            names=os.path.join(private, b"names"),
            fsync=fsync,
            identity=Identity(root, (staging, uploads, ended, release_requests), identity),
        )

    def of(self, name: FileName) -> bytes:
        """The path of the published file of this name."""
        return os.path.join(self.root, name.encode())

    def upload(self, upload: str) -> bytes:
        """Return the path of the bytes of this upload. Raise NoSuchUpload if it is not an id."""
        return os.path.join(self.uploads, _upload_id(upload))

    def release_request(self, upload: str) -> bytes:
        """Return the path of the request to release this upload's lock, as `upload` does."""
        return os.path.join(self.release_requests, _upload_id(upload))

    def remove(self, name: FileName, descriptor: int) -> None:
        """Remove this name if it is one of the opened file. Raises FileNotFoundError.

        Names are removed under one lock, and nobody can publish over a taken name: so between the
        look and the removal the name cannot come to mean another file.
        """
        path = self.of(name)
        with lock_directory(self.root):
            if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                raise FileNotFoundError("the name belongs to another file by now")
            os.unlink(path)


def _upload_id(upload: str) -> bytes:
    if not UPLOAD_ID.fullmatch(upload):
        raise NoSuchUpload
    return upload.encode()
