"""Bench: measures the contenders in turn and compares the results with their bounds."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from contenders import Contender, Missing


@dataclass
class Sample:
    """One measurement: seconds of wall time, and seconds of CPU of the server and of the client."""

    wall: float
    cpu: float
    client: float


@dataclass
class Verdict:
    """One row of the table."""

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
    size: int
    rounds: int
    workers: int
    source: Path
    verdicts: list[Verdict] = field(default_factory=list)
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)

    def compare(
        self, work: str, actions: dict[str, tuple[Contender, Callable[[Contender], None]]]
    ) -> dict[str, Sample]:
        """Return the medians of each action; all run in turn, after a warm-up round."""
        results: dict[str, list[Sample]] = {name: [] for name in actions}
        for round_number in range(self.rounds + 1):
            for name, (contender, action) in actions.items():
                cpu, client_cpu, start = contender.cpu(), time.process_time(), time.monotonic()
                action(contender)
                sample = Sample(
                    time.monotonic() - start,
                    contender.cpu() - cpu,
                    time.process_time() - client_cpu,
                )
                contender.clear()
                if round_number:  # the first is the warm-up
                    results[name].append(sample)
        self.samples[f"{work} ({self.workers} workers)"] = results
        return {
            name: Sample(
                statistics.median(sample.wall for sample in samples),
                statistics.median(sample.cpu for sample in samples),
                statistics.median(sample.client for sample in samples),
            )
            for name, samples in results.items()
        }

    def judge(
        self, work: str, ours: float, other: float, factor: float | None, unit: str = "s"
    ) -> None:
        """Add a row: `ours` may be at most `factor` times `other`; None sets no bound."""
        ratio = ours / other if other else None
        self.verdicts.append(
            Verdict(
                work,
                f"{ours:.3g} {unit}",
                f"{other:.3g} {unit}",
                ratio,
                f"≤ {factor:g} ×" if factor else "",
                ratio <= factor if ratio is not None and factor else None,
            )
        )

    def judge_limit(self, work: str, ours: float, limit: float, unit: str) -> None:
        """Add a row: `ours` may be at most `limit`."""
        self.verdicts.append(
            Verdict(work, f"{ours:.3g} {unit}", "", None, f"≤ {limit:g} {unit}", ours <= limit)
        )

    def note(self, work: str, ours: str) -> None:
        """Add a row with a figure that has no bound."""
        self.verdicts.append(Verdict(work, ours, "", None, "", None))

    @contextlib.contextmanager
    def running(
        self, **openers: Callable[[], contextlib.AbstractContextManager[Contender]]
    ) -> Iterator[dict[str, Contender]]:
        """Run the contenders that are installed, and list the others as missing."""
        with contextlib.ExitStack() as stack:
            contenders: dict[str, Contender] = {}
            for name, opener in openers.items():
                try:
                    contenders[name] = stack.enter_context(opener())
                except Missing as missing:
                    self.missing.add(str(missing))
            yield contenders

    def table(self) -> str:
        """Return all rows as Markdown."""
        lines = [
            f"### {self.workers} worker{'s' if self.workers > 1 else ''}",
            "",
            "| work | ours | other | ratio | must be | |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for verdict in self.verdicts:
            ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
            mark = {True: "holds", False: "**missed**", None: ""}[verdict.holds]
            lines.append(
                f"| {verdict.work} | {verdict.ours} | {verdict.other} | {ratio}"
                f" | {verdict.bound} | {mark} |"
            )
        if self.missing:
            lines += ["", f"Missing here: {', '.join(sorted(self.missing))}."]
        return "\n".join(lines)

    def plain(self) -> dict[str, object]:
        """Return all measurements and rows as values for JSON."""
        plain = asdict(self)
        del plain["base"], plain["source"]
        plain["missing"] = sorted(self.missing)
        return plain
