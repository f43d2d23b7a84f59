"""Record: what is kept beside the bytes of an upload that can be resumed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from fileservice.upload.policy import UploadRequest


class Unreadable(Exception):
    """The bytes are not those of a record, or of one that counts no more."""


@dataclass(frozen=True, slots=True)
class Record:
    """One upload; every change makes a new record.

    An upload without a `name` is a part that others will be joined with.
    """

    name: FileName | None
    length: int | None
    """Bytes that the file will have; None while the client has not said."""
    protocol_metadata: Mapping[str, str]
    """What the protocol wants to find again; of no meaning here."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests that the file must have, by their names in RFC 9530."""
    verified_size: int | None = None
    """Only so many bytes count: those after them belong to a block whose checksum is not in yet."""
    explicit_completion: bool = False
    """The client will say when it is complete; until then it is not, whatever its length."""
    is_final: bool = False
    """It was put together from other uploads."""
    finished: StoredFile | None = None
    """The published file."""
    failure: str | None = None
    """Why there is no such upload any more."""
    client: str = ""
    """The address of the client that began it; empty where it has none."""

    @property
    def open(self) -> bool:
        """Whether bytes can still be added, or are waiting to be published or joined."""
        return self.finished is None and self.failure is None

    def request(self) -> UploadRequest:
        """What the client offers, for an upload with a name."""
        assert self.name
        return UploadRequest(self.name, self.length, digests=self.digests)

    def to_bytes(self) -> bytes:
        """As JSON."""
        finished = self.finished and {
            "name": self.finished.name,
            "size": self.finished.size,
            "modified_ns": self.finished.modified_ns,
            "media_type": self.finished.content.media_type,
            "charset": self.finished.content.charset,
            "sha256": self.finished.content.sha256 and self.finished.content.sha256.hex(),
            "version": self.finished.version,
        }
        return json.dumps(
            {
                "name": self.name,
                "length": self.length,
                "protocol_metadata": dict(self.protocol_metadata),
                "digests": {name: digest.hex() for name, digest in self.digests.items()},
                "verified_size": self.verified_size,
                "explicit_completion": self.explicit_completion,
                "is_final": self.is_final,
                "finished": finished,
                "failure": self.failure,
                "client": self.client,
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` made. Raises Unreadable."""
        try:
            fields: dict[str, Any] = json.loads(data)
            fields["name"] = fields["name"] and FileName.parse(fields["name"])
            fields["digests"] = {n: bytes.fromhex(text) for n, text in fields["digests"].items()}
            fields["finished"] = fields["finished"] and _stored(**fields["finished"])
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(str(error)) from error


def _stored(
    *,
    name: str,
    size: int,
    modified_ns: int,
    media_type: str,
    charset: str | None,
    sha256: str | None,
    version: str,
) -> StoredFile:
    content = Content(media_type, charset, bytes.fromhex(sha256) if sha256 else None)
    return StoredFile(FileName.parse(name), size, modified_ns, content, version)
