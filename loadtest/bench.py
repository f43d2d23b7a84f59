"""Bench: measures the contenders in turn and compares the results with their bounds."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from contenders import Contender, Missing, Opener

Sample = dict[str, float]
"""One measurement: what was measured → figure. Times are in seconds."""


class Measured(Protocol):
    """What is measured: a server, or work within this process."""

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used."""

    def clear(self) -> None:
        """Remove what it has stored."""


class Local:
    """Work within this process; `empty` removes what it has stored."""

    def __init__(self, empty: Callable[[], None] = lambda: None) -> None:
        self.clear = empty

    def cpu(self) -> float:
        """Return the seconds of CPU that this process has used."""
        return time.process_time()


_SCALES = {"s": 1.0, "ms": 1e3, "µs": 1e6, "/s": 1.0}
_STEP = 0.01
"""The smallest time that the kernel accounts to a process."""
_SLOW = 3.0
"""A contender is measured in one round only if its warm-up takes this many times the median."""


@dataclass
class Verdict:
    """One row of the table of bounds."""

    work: str
    ours: str
    other: str
    ratio: float | None
    bound: str
    holds: bool | None


@dataclass
class Bench:
    """The parameters of a run, and its results."""

    base: Path
    disk: Path
    """A directory on ext4 whose syncs reach a real disk."""
    size: int
    rounds: int
    seconds: float
    """How long small requests are sent in each round."""
    workers: int
    before: Path | None = None
    """Another version of this project, to compare with."""
    verdicts: list[Verdict] = field(default_factory=list)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    """Work → contender → what was measured in each round."""
    missing: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    """The rows that ended with an error."""

    def compare(
        self, work: str, actions: Mapping[str, tuple[Measured, Callable[[], Sample | None]]]
    ) -> None:
        """Measure actions in turn, after a warm-up round; each may return what it has measured.

        Wall time, the CPU of the server and that of this process, the client, are added to that;
        if requests were counted, also the time for each, and how many one second of CPU is enough
        for.
        """
        results: dict[str, list[Sample]] = {name: [] for name in actions}
        touch_memory(self.base, self.size)
        warm_up: dict[str, float] = {}
        for round_number in range(self.rounds + 1):
            for name, (contender, action) in actions.items():
                if round_number > 1 and warm_up[name] > _SLOW * statistics.median(warm_up.values()):
                    continue
                cpu, client_cpu, start = contender.cpu(), time.process_time(), time.monotonic()
                measured = action()
                sample = {
                    "wall": time.monotonic() - start,
                    "cpu": contender.cpu() - cpu,
                    "client": time.process_time() - client_cpu,
                } | (measured or {})
                if sample.get("requests"):
                    sample["each"] = 1 / sample["rate"]
                    sample["per_core"] = sample["requests"] / (sample["cpu"] or _STEP)
                contender.clear()
                if round_number:
                    results[name].append(sample)
                else:
                    warm_up[name] = sample["wall"]
        self.samples[work] = results

    def median(self, work: str, name: str, what: str) -> float:
        """Return the median of what was measured."""
        return statistics.median(sample[what] for sample in self.samples[work][name])

    def measured(self, work: str) -> list[str]:
        """Return the contenders that did this work."""
        return list(self.samples.get(work, ()))

    def judge(
        self, text: str, ours: tuple[str, str, str], other: tuple[str, str, str],
        at_most: float | None = None, at_least: float | None = None, unit: str = "s",
    ) -> None:  # fmt: skip
        """Add a row that compares two medians, each named by work, contender, what was measured.

        The ratio is the median of those of each round: the machine is as busy for both.
        """
        if not all(name in self.measured(work) for work, name, _ in (ours, other)):
            return
        rounds = [[sample[what] for sample in self.samples[work][name]] for work, name, what in
                  (ours, other)]  # fmt: skip
        if len(rounds[0]) == len(rounds[1]):
            ratio = statistics.median(a / (b or _STEP) for a, b in zip(*rounds, strict=True))
        else:
            ratio = self.median(*ours) / (self.median(*other) or _STEP)
        scale = _SCALES[unit]
        self.judge_values(
            text,
            scale * self.median(*ours),
            scale * self.median(*other),
            ratio,
            at_most,
            at_least,
            unit,
        )

    def judge_values(
        self, text: str, ours: float, other: float, ratio: float | None = None,
        at_most: float | None = None, at_least: float | None = None, unit: str = "s",
    ) -> None:  # fmt: skip
        """Add a row that compares two figures; without a bound, it is only for information."""
        ratio = round(ours / other if ratio is None else ratio, 2)
        bound, holds = "", None
        if at_most is not None:
            bound, holds = f"≤ {at_most:g} ×", ratio <= at_most
        if at_least is not None:
            bound, holds = f"≥ {at_least:g} ×", ratio >= at_least
        self.verdicts.append(
            Verdict(text, in_unit(ours, unit), in_unit(other, unit), ratio, bound, holds)
        )

    def judge_limit(self, text: str, ours: float, limit: float, unit: str) -> None:
        """Add a row: `ours` may be at most `limit`."""
        bound = f"≤ {in_unit(limit, unit)}"
        self.verdicts.append(Verdict(text, in_unit(ours, unit), "", None, bound, ours <= limit))

    def note(self, text: str, ours: str) -> None:
        """Add a row with a figure that has no bound."""
        self.verdicts.append(Verdict(text, ours, "", None, "", None))

    @contextlib.contextmanager
    def running(self, openers: dict[str, Opener]) -> Iterator[dict[str, Contender]]:
        """Run the contenders that are installed, and list the others as missing."""
        with contextlib.ExitStack() as stack:
            contenders: dict[str, Contender] = {}
            for name, opener in openers.items():
                try:
                    contenders[name] = stack.enter_context(opener())
                except Missing as missing:
                    self.missing.add(str(missing))
            yield contenders

    def plain(self) -> dict[str, object]:
        """Return all measurements and rows as values for JSON."""
        plain = asdict(self)
        del plain["base"], plain["disk"], plain["before"]
        plain["missing"] = sorted(self.missing)
        return plain


def in_unit(value: float, unit: str) -> str:
    """Return a figure with its unit, in three digits."""
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}{unit}" if unit.startswith("/") else f"{text} {unit}"


def touch_memory(base: Path, size: int) -> None:
    """Write a file of three times the size and remove it.

    On a virtual machine, the first use of a page of memory can cost ten times what a later one
    costs. What is written next gets pages that were used before.
    """
    path, block = base / "touched", bytes(1 << 20)
    with path.open("wb") as file:
        for _ in range(3 * size >> 20):
            file.write(block)
    path.unlink()
