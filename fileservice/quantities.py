"""Quantities as people write them, such as ``10GiB`` and ``90d``, in settings and in files.

The message of each ValueError continues a sentence that begins with the name of the value.
"""

import re

_SIZE_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
MAX_SIZE = (1 << 63) - 1
"""What fits into the 64 bits of a file offset."""
_DURATION_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text: str) -> int:
    """Parse a size such as ``500MiB``; return bytes."""
    match = re.fullmatch(r"([0-9]{1,18})\s*([A-Za-z]*)", text)
    if not match or match[2] not in _SIZE_UNITS:
        raise ValueError("must be a size such as 500MiB or 5GiB (KiB, MiB, GiB, TiB, or bytes)")
    size = int(match[1]) * _SIZE_UNITS[match[2]]
    if size > MAX_SIZE:
        raise ValueError("must be less than 2^63 bytes")
    return size


def format_size(size: int) -> str:
    """Return a size in bytes as `parse_size` reads it, in the largest unit without a fraction."""
    units = [(unit, factor) for unit, factor in _SIZE_UNITS.items() if factor > 1]
    for unit, factor in reversed(units):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """Return a duration in seconds as `parse_duration` reads it, in the largest unit that fits."""
    for unit, factor in reversed(_DURATION_UNITS.items()):
        if seconds >= factor and seconds % factor == 0:
            return f"{seconds // factor:.0f}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def parse_duration(text: str) -> float:
    """Parse a duration such as ``30s``, ``24h`` or ``7d``; return seconds."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([smhd])", text)
    if not match:
        raise ValueError("must be a duration such as 30s, 5m, 24h or 7d")
    return float(match[1]) * _DURATION_UNITS[match[2]]
