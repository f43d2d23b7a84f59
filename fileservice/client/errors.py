"""The errors of the client.

ClientError              the message is a sentence for people
├── Refused              the service has refused the request
├── Unavailable          the service does not answer, or says that it cannot answer at present
├── DigestMismatch       the bytes are not those that they should be
├── FileExists           there is a local file of this name with another content
├── FileChanged          the local file has changed while it was sent
├── InUse                another process is sending or fetching the same file
└── LocalFileError       a local file cannot be read or written
"""

from pathlib import Path


class ClientError(Exception):
    """The base class of the errors of the client; ``str(error)`` is for people."""


class Refused(ClientError):
    """`status` is that of the response, and `code` that of the problem, or empty."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code


class Unavailable(ClientError):
    """`retry_after` is for how many seconds the service wants not to be asked, if it says so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class DigestMismatch(ClientError):
    """``str(error)`` says which bytes have which digest."""


class FileExists(ClientError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists already, and its content is another one")


class FileChanged(ClientError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has changed while it was sent")


class InUse(ClientError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"another process is sending or fetching {path}")


class LocalFileError(ClientError):
    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror or error}")
