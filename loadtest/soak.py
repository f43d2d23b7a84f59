"""Serve a small load for a long time, restart the server meanwhile, and plot what it holds.

    python loadtest/soak.py --minutes 30 --picture docs/soak.svg

In turn, all workers are replaced (SIGHUP), one is killed (SIGKILL), and the program is replaced by
a new one (SIGUSR2). Memory, open descriptors, staged files and unfinished uploads are sampled. The
exit code is 1 if one of them grows, or if a request is lost that no killed worker had.
"""

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from service import Service
from soak_load import SoakLoad
from soak_picture import draw

MIB = 1 << 20
_SAMPLE_SECONDS = 5
_CUT_SECONDS = 10
"""How long after a SIGKILL requests may still find out that their worker has died."""
_MAX_GROWTH = {"memory": 12 * MIB, "descriptors": 8, "staged": 2, "unfinished": 2}
"""How much more the last quarter may have than the second one, by the medians."""


@dataclass
class Sample:
    """What the service holds `seconds` after the begin; `memory` is in bytes (PSS)."""

    seconds: float
    memory: int
    descriptors: int
    staged: int
    unfinished: int


def sample(service: Service, seconds: float) -> Sample:
    """Return what the service holds now."""
    memory = descriptors = 0
    for pid in (service.pid, *service.workers()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += int(rollup.partition("Pss:")[2].split()[0]) * 1024
    staged, unfinished = (
        len(list((service.store / ".fileservice" / name).iterdir()))
        if service.store.exists()
        else 0
        for name in ("staging", "uploads")
    )
    return Sample(seconds, memory, descriptors, staged, unfinished)


def growths(samples: list[Sample]) -> dict[str, float]:
    """Return how much more of each there is in the last quarter than in the second one."""
    quarter = len(samples) // 4
    before, after = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: statistics.median(getattr(sample, name) for sample in after)
        - statistics.median(getattr(sample, name) for sample in before)
        for name in _MAX_GROWTH
    }


def soak(minutes: float, interval: float, directory: Path) -> dict[str, object]:
    """Run the service under load; return the samples, the restarts, and what clients have seen."""
    service = Service(directory, GRACE_PERIOD="20s")
    killed_at = -_CUT_SECONDS
    load = SoakLoad(service.url, lambda: time.monotonic() - killed_at < _CUT_SECONDS)
    actions: Iterator[tuple[str, Callable[[], None]]] = itertools.cycle(
        [
            ("SIGHUP", service.reload),
            ("SIGKILL of a worker", service.kill_worker),
            ("SIGUSR2", service.replace_program),
        ]
    )
    began = time.monotonic()
    next_action = began + interval
    samples, events = [], []
    load.start()
    try:
        while (now := time.monotonic()) < began + minutes * 60:
            if now >= next_action:
                name, action = next(actions)
                if "KILL" in name:
                    killed_at = now
                action()
                events.append((now - began, name))
                print(f"{now - began:6.0f} s  {name}", flush=True)
                next_action = now + interval
            samples.append(sample(service, time.monotonic() - began))
            time.sleep(_SAMPLE_SECONDS)
        load.stop()
        at_rest = sample(service, time.monotonic() - began)
    finally:
        load.stop()
        service.stop()
    return {
        "minutes": minutes,
        "samples": samples,
        "events": events,
        "at_rest": at_rest,
        "requests": load.requests,
        "resumed": load.resumed,
        "cut": load.cut,
        "lost": load.lost,
    }


def main() -> int:
    """Soak the service, say what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--interval", type=float, default=180, help="seconds between restarts")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fileservice-soak-") as directory:
        run = soak(arguments.minutes, arguments.interval, Path(directory))
        log = Path(directory, "log").read_text()
    samples: list[Sample] = run["samples"]  # type: ignore[assignment]
    rest: Sample = run["at_rest"]  # type: ignore[assignment]
    failed = bool(run["lost"]) or "Traceback" in log or bool(rest.staged or rest.unfinished)
    print(
        f"{run['requests']} requests, {run['resumed']} uploads resumed,"
        f" {run['cut']} requests cut by SIGKILL, {len(run['lost'])} lost"  # type: ignore[arg-type]
    )
    for line in run["lost"]:  # type: ignore[attr-defined]
        print(f"  lost: {line}")
    if "Traceback" in log:
        print(log)
    print(f"at rest: {json.dumps(asdict(rest))}")
    for name, growth in growths(samples).items():
        failed |= growth > _MAX_GROWTH[name]
        print(f"{name}: {growth:+,.0f} (at most {_MAX_GROWTH[name]:,})")
    if arguments.picture:
        arguments.picture.write_text(draw(samples, run["events"], arguments.minutes))  # type: ignore[arg-type]
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
