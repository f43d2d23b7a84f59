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

    strace ends by the signal `end`. That is SIGKILL if it delays a call or its process is killed,
    since it then does not react to SIGINT.
    """
    command = [strace, "-f", "-o", str(log), *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            first = process.stderr.readline()
            assert "attached" in first, first
            yield
            process.send_signal(end)
            process.wait(30)
        finally:
            process.kill()


@contextmanager
def counted(strace: str, pid: int, log: Path) -> Iterator[Counter[str]]:
    """Count the system calls during a block, once it has ended: name → calls; "total" is all."""
    counts: Counter[str] = Counter()
    with traced(strace, pid, log, "-c", "-U", "calls,name"):
        yield counts
    for count, name in re.findall(r"^\s*(\d+)\s+(\w+)$", log.read_text(), re.M):
        counts[name] += int(count)
    assert counts["total"], log.read_text()
