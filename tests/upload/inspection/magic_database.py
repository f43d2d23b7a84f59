"""The compiled database of libmagic: its signatures, and the types that they report.

The format is that of `struct magic` in file.h of libmagic, in version 16 of the database.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pylibmagic

_SIZE = 376
_VERSION = 16
_KINDS = {1: "byte", 2: "short", 4: "long", 5: "string", 7: "beshort", 8: "belong", 10: "leshort",
          11: "lelong", 24: "quad", 41: "indirect", 45: "name", 46: "use"}  # fmt: skip
SIZES = {"byte": 1, "short": 2, "beshort": 2, "leshort": 2, "long": 4, "belong": 4, "lelong": 4,
         "quad": 8}  # fmt: skip
"""The sizes of the kinds that compare a number."""
_OF_BINARY_FILES = 0x20
_ANY = "any"
"""Stands for the type of a file that is looked for within another."""


@dataclass(frozen=True)
class Comparison:
    """One comparison."""

    level: int
    flags: int
    relation: str
    kind: str
    offset: int
    mask: int
    string_flags: int
    value: bytes
    media_type: str


class Signature:
    """A test of the first level, and those that are made if it succeeds."""

    def __init__(self, tests: list[Comparison]) -> None:
        self.first = tests[0]
        self.tests = tests


def signatures_of_binary_files() -> list[tuple[Comparison, set[str]]]:
    """Return the first test of each signature, and the media types that may come of it."""
    signatures = list(_signatures())
    named = {s.first.value: s for s in signatures if s.first.kind == "name"}
    return [
        (signature.first, _media_types(signature, named, set()))
        for signature in signatures
        if signature.first.kind != "name" and signature.first.flags & _OF_BINARY_FILES
    ]


def _media_types(signature: Signature, named: dict[bytes, Signature], seen: set[bytes]) -> set[str]:
    found = {test.media_type for test in signature.tests} - {""}
    for test in signature.tests:
        if test.kind == "indirect":
            found.add(_ANY)
        name = test.value.lstrip(b"^\\")
        if test.kind == "use" and name not in seen:
            found |= _media_types(named[name], named, seen | {name})
    return found


def _signatures() -> Iterator[Signature]:
    tests: list[Comparison] = []
    for test in _tests():
        if test.level == 0 and tests:
            yield Signature(tests)
            tests = []
        tests.append(test)
    yield Signature(tests)


def _tests() -> Iterator[Comparison]:
    (path,) = Path(pylibmagic.__file__).parent.rglob("*.mgc")
    data = path.read_bytes()
    magic, version, *counts = struct.unpack_from("<IIII", data)
    assert (magic, version) == (0xF11E041C, _VERSION), "libmagic has another format now"
    assert len(data) == (sum(counts) + 1) * _SIZE
    for start in range(_SIZE, len(data), _SIZE):
        entry = data[start : start + _SIZE]
        level, flags, _, relation, length, kind = struct.unpack_from("<HBBBBB", entry)
        offset, _, _, mask, value = struct.unpack_from("<iiIQ128s", entry, 12)
        name = _KINDS.get(kind, str(kind))
        yield Comparison(
            level=level,
            flags=flags,
            relation=chr(relation),
            kind=name,
            offset=offset,
            mask=mask,
            string_flags=mask >> 32,
            value=value[: SIZES.get(name, length)],
            media_type=entry[-152:-72].partition(b"\0")[0].decode(),
        )
