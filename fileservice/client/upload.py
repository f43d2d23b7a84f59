"""Upload: small files are sent at once, and others so that they can be resumed.

A file of more than 8 MiB is sent by the IETF draft for resumable uploads (docs/http.md, Resuming):
a request creates the upload and declares the length and the digest of the file, and others append
its bytes. What has arrived is asked for by HEAD. The service publishes the file only if it has the
declared digest, so a file that another process has changed is not published.
"""

import os
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from fileservice.client.errors import ClientError, LocalFileError
from fileservice.client.progress import Progress
from fileservice.client.stream_transfer import StreamTransfer
from fileservice.client.transfer import Transfer
from fileservice.client.upload_calls import Uploaded, UploadTarget

SMALL = 8 << 20
"""Bytes up to which a file is sent in one request."""


def upload_file(target: UploadTarget, path: Path, name: str, progress: Progress) -> Uploaded:
    """Send a local file to be stored under a name. Raise ClientError."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode):
                raise ClientError(f"{path} is not a file")
            transfer = Transfer(target, path, file, status, name, progress)
            return transfer.send_small() if status.st_size <= SMALL else transfer.send()
    except OSError as error:
        raise LocalFileError(path, error) from None


def upload_stream(
    target: UploadTarget, stream: BinaryIO, name: str, progress: Progress
) -> Uploaded:
    """Send what can be read from a stream, to be stored under a name. Raise ClientError.

    It is read once, up to its end, and `SMALL` bytes are kept in memory.
    """
    return StreamTransfer(target, stream, name, progress, SMALL).send()
