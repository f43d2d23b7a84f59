"""The memory of a process, as the kernel counts it."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Growth:
    """By how many bytes the largest resident size exceeded the first."""

    bytes: int = 0


@contextlib.contextmanager
def growth_of(pid: int) -> Iterator[Growth]:
    """Measure the resident memory of a process over the block."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew: proc(5)
    before, growth = resident(pid), Growth()
    yield growth
    growth.bytes = _field(pid, "VmHWM") - before


def resident(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    return _field(pid, "VmRSS")


def _field(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert match
    return int(match[1]) << 10
