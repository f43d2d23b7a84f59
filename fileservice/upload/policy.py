"""What is accepted: the operator's policy, and what a client declares about its file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fileservice.filetypes import FileType
from fileservice.names import FileName
from fileservice.storage import StoredFile
from fileservice.upload.caller import UNRESTRICTED, Caller, may_see
from fileservice.upload.errors import ExpiryTooLate, ExtensionNotAllowed, NoExtension
from fileservice.upload.inspection.content_policy import ContentPolicy

ANY_VERSION = ("*",)


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """What the operator accepts; sizes in bytes."""

    types: Mapping[str, FileType]
    """The accepted types by their extensions."""
    max_size: int
    min_free: int
    """Space that uploads leave free in the store."""
    digest: bool
    """Whether the SHA-256 of every file is computed and stored."""
    max_unfinished: int | None = None
    """How many resumable uploads of all clients may be unfinished; None for any number."""
    max_unfinished_of_client: int | None = None
    """How many resumable uploads of one client may be unfinished; None for any number."""
    max_expiry: float | None = None
    """For how many seconds a file may be kept; None for ever."""
    default_expiry: float | None = None
    """For how many seconds a file is kept that names no time; None for as long as it may be."""
    content: ContentPolicy = field(default_factory=ContentPolicy)
    """What a file of an accepted type may contain."""

    def check_expiry(self, expires: int, now: float) -> None:
        """Raise ExpiryTooLate if a file may not be kept until then (seconds since 1970)."""
        if self.max_expiry is not None and expires > math.ceil(now + self.max_expiry):
            raise ExpiryTooLate(self.max_expiry)

    def expiry_of(self, request: "UploadRequest", now: float) -> int | None:
        """Return when the file of a request expires if it is published now; None for never.

        Times are in seconds since 1970. Unless the client names a time, the life of a file begins
        when it is published, however long its upload took.
        """
        if request.expires is not None:
            return request.expires
        kept = self.max_expiry if self.default_expiry is None else self.default_expiry
        return None if kept is None else math.ceil(now + kept)

    def file_type(self, name: FileName) -> FileType:
        """Return the type that the extension stands for.

        Raise NoExtension or ExtensionNotAllowed.
        """
        extension = name.extension
        if not extension:
            raise NoExtension(name)
        if extension not in self.types:
            raise ExtensionNotAllowed(extension, self.types)
        return self.types[extension]


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a client declares about its file before it sends the bytes."""

    name: FileName
    length: int | None
    """The number of bytes in the file; None if the client does not declare it."""
    at_least: int = 0
    """A lower bound of the length if that is unknown, such as a form's body gives; in bytes."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests that the file must have, by their names in RFC 9530: sha-256, sha-512."""
    create_only: bool = False
    """Report a taken name as a failed precondition (If-None-Match: *)."""
    replaces: tuple[str, ...] | None = None
    """The versions any of which the file may replace, or ANY_VERSION (If-Match).

    None for a file that takes a free name.
    """
    expires: int | None = None
    """When the file expires, in seconds since the Unix epoch; None if the client names no time."""
    caller: Caller = UNRESTRICTED
    upload: str = ""
    """The id of the resumable upload; empty for a file that comes in one request."""

    def authorize(self) -> None:
        """Raise what the caller raises if it may not, or no longer, store this file."""
        if self.replaces is None:
            self.caller.authorize(self.name)
        else:
            self.caller.authorize_replacement(self.name)

    def may_replace(self, stored: StoredFile) -> bool:
        """Return whether the condition of the request holds for the file that has the name now.

        Nobody may find out by it which version there is of a file that they may not see.
        """
        if self.replaces == ANY_VERSION:
            return True
        return stored.version in (self.replaces or ()) and may_see(self.caller, stored)
