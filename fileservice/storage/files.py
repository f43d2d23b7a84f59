"""What a store says about its files and uploads: values without behaviour of a store."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Self
from urllib.parse import quote, unquote

from fileservice.filetypes import media_type_of
from fileservice.names import FileName

PREALLOCATION = 64 * 1024
"""A file system may allocate up to so many bytes to a file that were never asked for."""
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")
_CHARSET = re.compile(r"[A-Za-z0-9-]{1,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OWNER = re.compile(
    r"([A-Za-z0-9%_.~:@+-]+)(?:;([A-Za-z0-9.]+))?"
    r"(?:;guest=([A-Za-z0-9%_.~:@+-]+)(?:,([A-Za-z0-9.]+))?)?"
)
_LONGEST_OWNER = 1024
"""Characters. The user-defined metadata of an object in a bucket has 2 KB in all."""
_YEAR_1, END_OF_9999 = -62_135_596_800, 253_402_300_799
"""The times that an HTTP date can express begin and end here, in seconds since the Unix epoch."""
_SECONDS = re.compile(r"[0-9]{1,12}")
_EVENT = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoreVerification:
    """The result of verifying a store before the service starts on it."""

    identity: str | None = None
    """Which store it is, 32 hexadecimal digits; None for a store that has no identity."""
    messages: tuple[tuple[int, str], ...] = ()
    """What the operator should know: levels, as in `logging`, and sentences."""
    clock_skew: float | None = None
    """By how many seconds the clock of the store is ahead of this machine's; None if the store did
    not tell, as a directory that cannot be written to at present. A bucket tells whole seconds."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was learned about the bytes of a file while they were received."""

    media_type: str
    charset: str | None = None
    """The name of the text's encoding; None if the file is not text or its encoding is unknown."""
    sha256: bytes | None = None
    """The digest of all bytes; None if it was never computed or is out of date."""

    @classmethod
    def from_text(
        cls, name: FileName, media_type: str | None, charset: str | None, sha256: str | None
    ) -> Self:
        """Return the content that these texts, which are stored with the file, describe.

        Other programs may write such texts, so one that is not well-formed counts as missing. If
        there is no media type, it is that of the extension, and the charset is unknown. `sha256`
        is in hexadecimal digits.
        """
        if not media_type or not _MEDIA_TYPE.fullmatch(media_type):
            media_type, charset = media_type_of(name.extension), None
        if not charset or not _CHARSET.fullmatch(charset):
            charset = None
        digest = bytes.fromhex(sha256) if sha256 and _SHA256.fullmatch(sha256) else None
        return cls(media_type, charset, digest)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who stored a file, as it is kept with the file."""

    principal: str
    """Identifies the principal (`access.Principal.id`)."""
    reservation: str = ""
    """The reservation of the owner's quota that the file was stored under; empty if none was."""
    guest: str = ""
    """Identifies the principal that uploaded the file on behalf of its owner; empty for the owner
    itself."""
    guest_reservation: str = ""
    """The reservation of what the guest may store; empty if there was none."""

    @property
    def accounts(self) -> tuple[tuple[str, str], ...]:
        """The principals whose accounts the file counts in, and its reservation in each."""
        own = (self.principal, self.reservation)
        return (own, (self.guest, self.guest_reservation)) if self.guest else (own,)

    @property
    def reservation_name(self) -> str:
        """The reservations of an upload in one text; empty if there are none. See `of_upload`."""
        if not self.guest:
            return self.reservation
        names = (self.reservation, self.guest_reservation)
        return ",".join((*names, quote(self.principal, safe=":@+"))) if any(names) else ""

    @classmethod
    def of_upload(cls, uploader: str, reservation_name: str) -> Self:
        """Return the owner of the file that an upload becomes.

        `uploader` is whom the upload belongs to.
        """
        if "," not in reservation_name:
            return cls(uploader, reservation_name)
        reservation, of_guest, principal = reservation_name.split(",", 2)
        return cls(unquote(principal, errors="replace"), reservation, uploader, of_guest)

    def to_text(self) -> str:
        """Return the text that is kept with the file, in ASCII. Raise ValueError if it is long."""
        text = quote(self.principal, safe=":@+")
        if self.reservation:
            text += f";{self.reservation}"
        if self.guest:
            text += f";guest={quote(self.guest, safe=':@+')}"
        if self.guest_reservation:
            text += f",{self.guest_reservation}"
        if not _OWNER.fullmatch(text) or len(text) > _LONGEST_OWNER:
            raise ValueError("this cannot be kept as the owner of a file")
        return text

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """Return the owner that `to_text` turned into this text; None if it is not well-formed."""
        match = _OWNER.fullmatch(text[: _LONGEST_OWNER + 1]) if text else None
        if not match or len(match[0]) > _LONGEST_OWNER:
            return None
        principal, reservation, guest, of_guest = (part or "" for part in match.groups())
        return cls(
            unquote(principal, errors="replace"),
            reservation,
            unquote(guest, errors="replace"),
            of_guest,
        )


def expiry_from_text(text: str | None) -> int | None:
    """Return the time of expiry, in seconds since the Unix epoch, that is kept as this text.

    It is the number of seconds in decimal digits. Return None if it is missing or not well-formed,
    or later than an HTTP date can express: such a file stays for ever, as far as anybody can tell.
    """
    if not text or not _SECONDS.fullmatch(text) or int(text) > END_OF_9999:
        return None
    return int(text)


def event_from_text(text: str | None) -> str:
    """Return the id of an event that is kept as this text; empty if it is not well-formed."""
    return text if text and _EVENT.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class OwnedFile:
    """A published file that has an owner."""

    owner: Owner
    size: int
    """Bytes."""
    name: FileName
    expires: int | None = None
    """As `StoredFile.expires`; one that has expired counts until it is removed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The description of a published file; it stays true for as long as the file exists."""

    name: FileName
    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since the Unix epoch."""
    content: Content
    version: str
    """Changes whenever the bytes do; may stand in an entity tag (RFC 9110, section 8.8.3)."""
    owner: Owner | None = None
    """Who stored the file; None if nobody is known, as for a file put there by other means."""
    expires: int | None = None
    """From when on the file does not exist, in seconds since the Unix epoch; None for never."""
    event: str = ""
    """The id of the event that says that it was stored; empty if there was none."""

    @property
    def modified(self) -> int:
        """Seconds since the Unix epoch, clamped to the years that an HTTP date can express."""
        return max(_YEAR_1, min(self.modified_ns // 1_000_000_000, END_OF_9999))

    def has_expired(self, now: float) -> bool:
        """Return whether the file does not exist any more at `now`, in seconds as `expires`."""
        return self.expires is not None and self.expires <= now


def _do_nothing(_first: int, _end: int) -> None:
    """Begin a range of a file whose bytes can be had as long as it is open."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A published file opened for reading; `body` is seekable and must be closed.

    A body that the kernel can send from has a `fileno`.
    """

    file: StoredFile
    body: BinaryIO
    seek_range: Callable[[int, int], object]
    """Moves `body` to a first byte. Hint: what is read next ends before the second argument."""
    begin_range: Callable[[int, int], object] = _do_nothing
    """Sees that the bytes of a range, which is read next, can be had: call it before `seek_range`.

    Raises VersionChanged if they cannot, because the file was replaced or deleted since it was
    opened. Then it must be opened again.
    """


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """An unfinished upload as it lies in the store."""

    record: bytes
    size: int
    """Bytes that are stored."""
    modified: float
    """When its bytes or its record last changed; seconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload that may not have ended, as a listing describes it."""

    upload: str
    size: int | None
    """Bytes that are stored; None if the listing does not say."""
    reserved: int
    """Bytes of space that are reserved beyond those."""
    modified: float | None
    """When its bytes last changed, in seconds since the Unix epoch; None as for `size`."""

    @property
    def has_reservation(self) -> bool:
        """Whether space was reserved for bytes that have not been received."""
        return self.reserved > PREALLOCATION


def id_of_record(record: bytes) -> str:
    """Return the id of an upload that ended at its creation and has nothing but this record."""
    return hashlib.sha256(record).hexdigest()[:32]
