"""Byte ranges: RFC 9110 section 14."""

import re
from dataclasses import dataclass

from fileservice.protocols.errors import Unsatisfiable

_MOST_RANGES = 64
_SPEC = re.compile(r"([0-9]*)-([0-9]*)", re.ASCII)
_MOST_DIGITS = 18
"""No file has a position with more digits; the value of a longer number does not matter."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from position `first` to position `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return self.last - self.first + 1


def select(header: str | None, size: int) -> tuple[ByteRange, ...]:
    """The ranges of a file of `size` bytes that a Range field asks for; () means the whole file.

    What is malformed, in an unknown unit or absurd is ignored, as section 14.2 allows. Ranges that
    overlap are made one, which stands where the first of them stood. Raises Unsatisfiable.
    """
    specs = _specs(header) if header else []
    # So many ranges are asked for by attackers, not by readers: each costs a seek and a heading
    # (section 17.15).
    if not 0 < len(specs) <= _MOST_RANGES:
        return ()
    asked = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if not match or match[0] == "-":
            return ()
        first, last = match.groups()
        if first and last and _number(last) < _number(first):
            return ()
        asked.append((first, last))
    if size == 0 and any(not first and _number(last) for first, last in asked):
        return ()  # satisfiable by section 14.1.2, but nothing a 206 could describe
    satisfiable = [found for pair in asked if (found := _resolve(*pair, size))]
    if not satisfiable:
        raise Unsatisfiable(size)
    return _coalesced(satisfiable)


def content_range(part: ByteRange, size: int) -> str:
    """The value of Content-Range for one part (section 14.4)."""
    return f"bytes {part.first}-{part.last}/{size}"


def unsatisfied(size: int) -> str:
    """The value of Content-Range in a 416."""
    return f"bytes */{size}"


def _specs(header: str) -> list[str]:
    unit, separator, ranges = header.partition("=")
    if not separator or unit.strip(" \t").lower() != "bytes":
        return []
    return [spec for part in ranges.split(",") if (spec := part.strip(" \t"))]


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _resolve(first: str, last: str, size: int) -> ByteRange | None:
    if first:
        start, end = _number(first), min(_number(last), size - 1) if last else size - 1
    else:
        start, end = max(0, size - _number(last)), size - 1
    return ByteRange(start, end) if start < size else None


def _coalesced(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    merged: list[tuple[int, ByteRange]] = []
    for place, part in sorted(enumerate(ranges), key=lambda item: item[1].first):
        if merged and part.first <= merged[-1][1].last:
            earlier_place, earlier = merged.pop()
            place = min(place, earlier_place)
            part = ByteRange(earlier.first, max(earlier.last, part.last))
        merged.append((place, part))
    return tuple(part for _, part in sorted(merged, key=lambda item: item[0]))
