"""UploadRecord: what is stored beside the bytes of a resumable upload."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.upload.caller import UNRESTRICTED, Caller
from fileservice.upload.policy import UploadRequest
from fileservice.upload.resumable.state import UploadState


class UnreadableRecord(Exception):
    """The bytes are not those of an upload record."""


class UploadKind(StrEnum):
    """What an upload is for (tus 1.0.0, Concatenation)."""

    REGULAR = "regular"
    """Its bytes are a file."""
    PARTIAL = "partial"
    """Its bytes are to be concatenated with others; it has no name."""
    FINAL = "final"
    """It is the concatenation of partial uploads."""


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One upload. Records are immutable, and every change makes a new one."""

    name: FileName | None
    """The name of the file; None for a partial upload."""
    length: int | None
    """The number of bytes in the file; None until the client declares it."""
    protocol_metadata: Mapping[str, str]
    """Text that belongs to the protocol and has no meaning here."""
    kind: UploadKind = UploadKind.REGULAR
    state: UploadState = UploadState.RECEIVING
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests that the file must have, by their names in RFC 9530."""
    verified_size: int | None = None
    """If not None, only so many bytes count: those after them have an unverified checksum."""
    explicit_completion: bool = False
    """Whether the upload is only complete once the client says so, whatever its length."""
    file: StoredFile | None = None
    """The published file; None in any state but PUBLISHED."""
    failure: str | None = None
    """Why the file was rejected; None in any state but FAILED."""
    owner: str = ""
    """The principal that created the upload and alone may go on with it (see `Caller`)."""
    client: str = ""
    """`Caller.client` of the request that created the upload."""
    reservation: str = ""
    """What is reserved of the owner's quota; empty if nothing is."""
    replaces: tuple[str, ...] | None = None
    """As in `UploadRequest`."""
    expires: int | None = None
    """As in `UploadRequest`."""

    def __post_init__(self) -> None:
        if (self.kind is UploadKind.PARTIAL) != (self.name is None):
            raise ValueError("a partial upload, and no other, has no name")
        if (self.state is UploadState.PUBLISHED) != (self.file is not None):
            raise ValueError("a published upload, and no other, has a file")
        if (self.state is UploadState.FAILED) != (self.failure is not None):
            raise ValueError("a failed upload, and no other, has a reason")

    @property
    def files(self) -> int:
        """How many files the upload becomes by itself; a partial upload becomes none."""
        return 0 if self.kind is UploadKind.PARTIAL else 1

    def request(self, caller: Caller = UNRESTRICTED) -> UploadRequest:
        """Return what the client declared about its file. The upload must have a name."""
        assert self.name is not None
        return UploadRequest(
            self.name,
            self.length,
            digests=self.digests,
            replaces=self.replaces,
            expires=self.expires,
            caller=caller,
        )

    def authorize(self, caller: Caller) -> None:
        """Raise what the caller raises if it may not, or no longer, go on with the upload."""
        if self.name is None:
            caller.authorize(None)
        else:
            self.request(caller).authorize()

    def to_bytes(self) -> bytes:
        """Return the record as JSON."""
        file = self.file and {
            "name": self.file.name,
            "size": self.file.size,
            "modified_ns": self.file.modified_ns,
            "media_type": self.file.content.media_type,
            "charset": self.file.content.charset,
            "sha256": self.file.content.sha256 and self.file.content.sha256.hex(),
            "version": self.file.version,
            "expires": self.file.expires,
        }
        return json.dumps(
            {
                "name": self.name,
                "length": self.length,
                "protocol_metadata": dict(self.protocol_metadata),
                "kind": self.kind,
                "state": self.state,
                "digests": {name: digest.hex() for name, digest in self.digests.items()},
                "verified_size": self.verified_size,
                "explicit_completion": self.explicit_completion,
                "file": file,
                "failure": self.failure,
                "owner": self.owner,
                "client": self.client,
                "reservation": self.reservation,
                "replaces": self.replaces,
                "expires": self.expires,
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the record that `to_bytes` turned into `data`. Raise UnreadableRecord."""
        try:
            fields: dict[str, Any] = json.loads(data)
            fields["name"] = fields["name"] and FileName.parse(fields["name"])
            fields["kind"] = UploadKind(fields["kind"])
            fields["state"] = UploadState(fields["state"])
            fields["digests"] = {n: bytes.fromhex(text) for n, text in fields["digests"].items()}
            fields["file"] = fields["file"] and _stored_file(**fields["file"])
            if fields.get("replaces") is not None:
                fields["replaces"] = tuple(fields["replaces"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableRecord(str(error)) from error


def _stored_file(
    *,
    name: str,
    size: int,
    modified_ns: int,
    media_type: str,
    charset: str | None,
    sha256: str | None,
    version: str,
    expires: int | None = None,
) -> StoredFile:
    content = Content(media_type, charset, bytes.fromhex(sha256) if sha256 else None)
    return StoredFile(FileName.parse(name), size, modified_ns, content, version, expires=expires)
