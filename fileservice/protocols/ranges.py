"""Byte ranges: the fields Range and Content-Range (RFC 9110 section 14)."""

import re
from dataclasses import dataclass

from fileservice.protocols.errors import RangeNotSatisfiable

_MAX_RANGES = 64
_RANGE_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_MAX_DIGITS = 18
"""No file has a position with more digits, so the exact value of a longer number is irrelevant."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes from position `first` to position `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """The number of bytes in the range."""
        return self.last - self.first + 1


def requested_ranges(header: str | None, size: int) -> tuple[ByteRange, ...]:
    """Return the ranges of a file of `size` bytes that the Range field `header` requests.

    An empty tuple stands for the whole file: there is no Range field, or it is ignored because it
    is malformed, has an unknown unit, or requests too many ranges (section 14.2). Overlapping
    ranges are combined into one, at the position of the first of them (section 15.3.7.2). Raises
    RangeNotSatisfiable if no range overlaps the file.
    """
    specs = _range_specs(header) if header else []
    # Each range costs a seek and a part of the response, so a long list is a cheap attack
    # (section 17.15).
    if not 0 < len(specs) <= _MAX_RANGES:
        return ()
    positions = []
    for spec in specs:
        match = _RANGE_SPEC.fullmatch(spec)
        if not match or match[0] == "-":
            return ()
        first, last = match.groups()
        if first and last and _number(last) < _number(first):
            return ()
        positions.append((first, last))
    if size == 0 and any(not first and _number(last) for first, last in positions):
        # A suffix range of an empty file is satisfiable (section 14.1.2), but Content-Range cannot
        # describe a part without bytes.
        return ()
    satisfiable = [
        byte_range
        for first, last in positions
        if (byte_range := _within_file(first, last, size)) is not None
    ]
    if not satisfiable:
        raise RangeNotSatisfiable(size)
    return _without_overlaps(satisfiable)


def content_range(byte_range: ByteRange, size: int) -> str:
    """Return the value of Content-Range for one range of a file of `size` bytes (section 14.4)."""
    return f"bytes {byte_range.first}-{byte_range.last}/{size}"


def unsatisfied_range(size: int) -> str:
    """Return the value of Content-Range in a 416 response (section 14.4)."""
    return f"bytes */{size}"


def _range_specs(header: str) -> list[str]:
    unit, separator, range_set = header.partition("=")
    if not separator or unit.strip(" \t").lower() != "bytes":
        return []
    return [spec for element in range_set.split(",") if (spec := element.strip(" \t"))]


def _number(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _within_file(first: str, last: str, size: int) -> ByteRange | None:
    if first:
        start, end = _number(first), min(_number(last), size - 1) if last else size - 1
    else:
        start, end = max(0, size - _number(last)), size - 1
    return ByteRange(start, end) if start < size else None


def _without_overlaps(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    combined: list[tuple[int, ByteRange]] = []
    for index, byte_range in sorted(enumerate(ranges), key=lambda item: item[1].first):
        if combined and byte_range.first <= combined[-1][1].last:
            earlier_index, earlier = combined.pop()
            index = min(index, earlier_index)
            byte_range = ByteRange(earlier.first, max(earlier.last, byte_range.last))
        combined.append((index, byte_range))
    return tuple(byte_range for _, byte_range in sorted(combined, key=lambda item: item[0]))
