"""Admission: what can be refused before a byte of the body is read.

Refused
├── NoExtension          the name has none
├── ExtensionNotAllowed  the operator does not take such files
├── TooLarge             more bytes than one file may have
└── Unmet                a condition of the request does not hold
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fileservice.filetypes import FileType
from fileservice.names import FileName
from fileservice.storage import NameTaken, NotFound, StorageFull, Store, StoredFile
from fileservice.upload.offloading import Offload


class Refused(Exception):
    """The upload is against the rules."""


class NoExtension(Refused):
    def __init__(self, name: FileName) -> None:
        super().__init__(f"the name {name!r} has no extension; give it one, such as {name}.pdf")


class ExtensionNotAllowed(Refused):
    def __init__(self, extension: str, allowed: Mapping[str, FileType]) -> None:
        super().__init__(f"files of the kind .{extension} are not taken here")
        self.extension = extension
        self.allowed = sorted(allowed)


class TooLarge(Refused):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the file is larger than the {limit} bytes that one may have here")
        self.limit = limit


class Unmet(Refused):
    """The client asked for the upload only if a name is free, and it is not."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator lets in; sizes in bytes."""

    types: Mapping[str, FileType]
    max_size: int
    min_free: int
    """Space that uploads leave free in the store."""
    digest: bool
    """Whether the SHA-256 of every file is computed and kept."""
    max_unfinished: int | None = None
    """Uploads that can be resumed and have not ended, of all clients; None for any number."""
    max_unfinished_of_client: int | None = None
    """The same, of one client."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client says of its file before it sends the bytes."""

    name: FileName
    length: int | None
    """Bytes of the file; None where the client does not say."""
    at_least: int = 0
    """Bytes that the file has at least, as far as one can tell from a form around it."""
    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests that the file must have, by their names in RFC 9530: sha-256, sha-512."""
    create_only: bool = False
    """Refuse a taken name as an unmet condition (If-None-Match: *)."""


def admit(
    offer: Offer, rules: Rules, store: Store, offload: Offload
) -> tuple[FileType, StoredFile | None]:
    """The type that the file must be of, and the stored file if this upload was done before.

    Raises a Refused, NameTaken or StorageFull.
    """
    file_type = type_of(offer.name, rules)
    coming = offer.at_least if offer.length is None else offer.length
    if coming > rules.max_size:
        raise TooLarge(rules.max_size)
    if not store.taken(offer.name):
        leave_free(store, rules, coming)
        return file_type, None
    earlier = offload(earlier_upload, offer, store) if offer.digests else None
    if not earlier:
        raise taken(offer)
    return file_type, earlier


def earlier_upload(offer: Offer, store: Store) -> StoredFile | None:
    """The file stored under the name, if the client declares its very bytes (RFC 9530).

    It outlasts a power cut by then, as one does that was answered 201.
    """
    declared = offer.digests.get("sha-256")
    if not declared:
        return None
    try:
        stored = store.stat(offer.name)
        if stored.content.sha256 != declared:
            return None
        store.sync_names()  # it may be visible and not acknowledged yet
        return stored if store.stat(offer.name).version == stored.version else None
    except NotFound:
        return None


def taken(offer: Offer) -> Exception:
    """The error that tells this client that the name is taken."""
    error = NameTaken(offer.name)
    return Unmet(str(error)) if offer.create_only else error


def leave_free(store: Store, rules: Rules, coming: int) -> None:
    """Raise StorageFull if one more file of `coming` bytes has no room in what may be used."""
    free = store.free_space()
    if free is not None and free - coming < rules.min_free:
        raise StorageFull("there is not enough room left in the storage for this file")
    if store.free_files() == 0:
        raise StorageFull("the storage has room for no more files, however small (inodes)")


def type_of(name: FileName, rules: Rules) -> FileType:
    """The type that the name promises. Raises NoExtension, ExtensionNotAllowed."""
    if not name.extension:
        raise NoExtension(name)
    if name.extension not in rules.types:
        raise ExtensionNotAllowed(name.extension, rules.types)
    return rules.types[name.extension]
