"""ArchiveMembers: what is kept of the members of a zip archive, and the risks that they show.

There may be 100,000 of them, so they are added by thousands, and what is done for each is left to
functions that are not written in Python as far as possible.
"""

import re
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from fileservice.content_risks import ContentRisk
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.zip_directory import (
    AES,
    ENCRYPTED,
    STRONG_ENCRYPTION,
    BadArchive,
    Member,
)

_NAME_BYTES = 160
"""How long the names may be on average, in bytes, if there are the most members."""
_MAX_NAMES = 4 << 20
"""How many bytes the names of the parts of a document may have."""
_UNSAFE_PARTS = (b"\\", b"\0\0", b"\0/", b"/../", b"\0../", b"/..\0", b"\0..\0")
"""What does not occur in safe names, each of which is between two NUL."""
_DRIVE = re.compile(rb"\0[A-Za-z]:")
_LINKS_AND_DEVICES = frozenset((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK))
"""Not pipes, as which zip records its standard input, nor the mode 0o177777 of old jar files."""
_EXTENSION = 5
"""How many bytes the longest extension here has with its full stop."""


def _extensions(text: bytes) -> frozenset[bytes]:
    return frozenset(b"." + extension for extension in text.split())


_ARCHIVES = _extensions(
    b"zip jar war ear apk 7z rar cab iso tar tgz gz tbz tbz2 bz2 txz xz tzst zst lz4 lha arj"
)
_DOCUMENTS = _extensions(b"docx docm xlsx xlsm pptx pptm odt ods odp odg epub")


@dataclass(frozen=True, slots=True)
class DocumentParts:
    """Which members of a document are looked at."""

    wanted: tuple[bytes, ...]
    """They have one of these in their names, in small letters and with NUL before and after it."""
    folder: bytes = b""
    """A folder that the document must have."""


class ArchiveMembers:
    """The members of one archive in the order of its directory; each has an index in all arrays."""

    def __init__(self, policy: ContentPolicy, parts: DocumentParts | None) -> None:
        self._policy = policy
        self._parts = parts
        self.wanted: dict[bytes, int] = {}
        """The names of the parts that are looked at, in small letters, and their members."""
        self.has_folder = False
        self.unpacked = 0
        """How many bytes all members have together once they are unpacked."""
        self.name_hashes, self.name_lengths = array("q"), array("H")
        self.flags, self.methods = array("H"), array("H")
        self.crcs = array("I")
        self.compressed, self.sizes, self.offsets = array("Q"), array("Q"), array("Q")
        self.are_documents = bytearray()
        """Whether they have the names of documents; empty if any archive may be in this one."""
        self._different_names: set[int] = set()
        self._length_of_names = 0

    def __len__(self) -> int:
        return len(self.offsets)

    def add(self, members: Sequence[Member]) -> None:
        """Add the next members. Raise TooComplex, ContentRefused, or BadArchive."""
        if not members:
            return
        names, other_names, modes, flags, methods, crcs, compressed, sizes, offsets = zip(
            *members, strict=True
        )
        self._length_of_names += sum(map(len, names)) + sum(map(len, other_names))
        limit = _NAME_BYTES * self._policy.max_members
        if self._length_of_names > limit:
            raise TooComplex("directory", limit, "bytes in the names of its members")
        self.unpacked += sum(sizes)
        if self.unpacked > self._policy.max_unpacked:
            raise TooComplex("unpacked-size", self._policy.max_unpacked, "bytes when unpacked")
        refused = self._policy.refused
        if ContentRisk.LINKS in refused and not _LINKS_AND_DEVICES.isdisjoint(
            map(stat.S_IFMT, set(modes))
        ):
            raise _refusal(ContentRisk.LINKS, "a link or a device")
        if ContentRisk.ENCRYPTED in refused and (
            AES in methods or any(each & (ENCRYPTED | STRONG_ENCRYPTION) for each in set(flags))
        ):
            raise _refusal(ContentRisk.ENCRYPTED, "encrypted members")
        if ContentRisk.NESTED_ARCHIVES in refused:
            self._check_extensions(names)
        if self._parts:
            self._keep_parts(names, other_names, self._parts)
        hashes = list(map(hash, names))
        if ContentRisk.UNSAFE_NAMES in refused:
            self._check_names(names, other_names, hashes)
        self.name_hashes.extend(hashes)
        self.name_lengths.extend(map(len, names))
        self.flags.extend(flags)
        self.methods.extend(methods)
        self.crcs.extend(crcs)
        self.compressed.extend(compressed)
        self.sizes.extend(sizes)
        self.offsets.extend(offsets)

    def _check_names(
        self, names: Sequence[bytes], other_names: Sequence[bytes], hashes: Sequence[int]
    ) -> None:
        """Refuse names that lead elsewhere, or that other members have."""
        if _are_unsafe(names) or _are_unsafe([name for name in other_names if name]):
            raise _refusal(ContentRisk.UNSAFE_NAMES, "a name that leads out of a directory")
        self._different_names.update(hashes)
        if len(self._different_names) < len(self) + len(names):
            raise _refusal(ContentRisk.UNSAFE_NAMES, "two members of the same name")

    def _check_extensions(self, names: Sequence[bytes]) -> None:
        ends = [name[-_EXTENSION:].lower() for name in names]
        extensions = [end[end.rfind(b".") :] for end in ends]
        if not _ARCHIVES.isdisjoint(extensions):
            raise _refusal(ContentRisk.NESTED_ARCHIVES, "another archive")
        self.are_documents.extend(map(_DOCUMENTS.__contains__, extensions))

    def _keep_parts(
        self, names: Sequence[bytes], other_names: Sequence[bytes], parts: DocumentParts
    ) -> None:
        if self._length_of_names > _MAX_NAMES:
            raise TooComplex("descriptions", _MAX_NAMES, "bytes that name its parts")
        for group in (names, other_names):
            self.has_folder = self.has_folder or any(
                name.startswith(parts.folder) for name in group if name
            )
            text = _between_nul(group).lower()
            found = [part for part in parts.wanted if part in text]
            for number, name in enumerate(group if found else (), len(self)):
                key = name.lower()
                framed = b"\0%b\0" % key
                if not any(part in framed for part in found) or (
                    group is other_names and name == names[number - len(self)]
                ):
                    continue
                if key in self.wanted:
                    raise BadArchive("a document with two parts of the same name")
                self.wanted[key] = number


def _are_unsafe(names: Sequence[bytes]) -> bool:
    """Return whether a file of one of these names may be written outside of its directory."""
    text = _between_nul(names)
    return bool(names) and (
        text.count(b"\0") > len(names) + 1
        or any(part in text for part in _UNSAFE_PARTS)
        or _DRIVE.search(text) is not None
    )


def _between_nul(names: Sequence[bytes]) -> bytes:
    return b"\0%b\0" % b"\0".join(names)


def _refusal(risk: ContentRisk, found: str) -> ContentRefused:
    return ContentRefused(risk.value, found)
