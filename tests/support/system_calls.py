"""The system calls of a running process, as strace sees them."""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def traced(
    strace: str, pid: int, log: Path, *options: str, end: signal.Signals = signal.SIGINT
) -> Iterator[None]:
    """Run strace on a process and its threads during a block, and have it write to `log`.

    It ends by the signal `end`, which is SIGKILL where it may wait for a delay of its own, or
    beside a process that was killed: then it does not hear of an interrupt.
    """
    command = [strace, "-f", "-o", str(log), *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        first = process.stderr.readline()
        assert "attached" in first, first
        try:
            yield
        finally:
            process.send_signal(end)
            process.wait(30)


@contextmanager
def counted(strace: str, pid: int, log: Path) -> Iterator[Counter[str]]:
    """Count the system calls during a block: name → calls, and their total, once it has ended."""
    counts: Counter[str] = Counter()
    with traced(strace, pid, log, "-c", "-U", "calls,name"):
        yield counts
    for count, name in re.findall(r"^\s*(\d+)\s+(\w+)$", log.read_text(), re.M):
        counts[name] += int(count)
