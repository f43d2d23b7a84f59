"""Tables in Markdown of what loadtest/peers.py has measured."""

import statistics
from typing import Any

Run = dict[str, Any]
"""A run with some number of workers, as `Bench.plain` returns it."""


def table(run: Run) -> str:
    """Return the bounds of a run, and whether they hold."""
    lines = _table("work", "ours", "other", "ratio", "must be", "")
    for row in run["verdicts"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        mark = {True: "holds", False: "**missed**", None: ""}[row["holds"]]
        cells = [row["work"], row["ours"], row["other"], ratio, row["bound"], mark]
        lines.append(f"| {' | '.join(cells)} |")
    if run["missing"]:
        lines += ["", f"Missing here: {', '.join(run['missing'])}."]
    if run["failed"]:
        lines += ["", f"Ended with an error: {', '.join(run['failed'])}."]
    return "\n".join(lines)


def figures(run: Run) -> str:
    """Return what each contender needed for each work."""
    parts = []
    for work, contenders in run["samples"].items():
        medians = {name: median(samples) for name, samples in contenders.items() if samples}
        if any("rate" in figure for figure in medians.values()):
            lines = _rates(medians)
        elif any("cpu" in figure for figure in medians.values()):
            lines = _times(medians)
        else:
            lines = _table("", "median")
            lines += [f"| {name} | {1000 * m['wall']:.3g} ms |" for name, m in medians.items()]
        parts.append(f"**{work}**\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def median(samples: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians of everything that was measured."""
    return {what: statistics.median(sample[what] for sample in samples) for what in samples[0]}


def limit(medians: dict[str, dict[str, float]], what: str = "wall") -> float | None:
    """Return the best figure of the bare loops, None if there was none."""
    loops = [figure[what] for name, figure in medians.items() if name.startswith("limit")]
    return (max(loops) if what == "rate" else min(loops)) if loops else None


def _rates(medians: dict[str, dict[str, float]]) -> list[str]:
    lines = _table("", "each second", "p50", "p99", "CPU of the server for each")
    for name, figure in sorted(medians.items(), key=lambda item: -item[1]["rate"]):
        cpu = 1e6 * figure["cpu"] / max(figure["requests"], 1)
        if refused := figure.get("refused"):
            name = f"{name} ({refused:.0f} refused with 503)"
        p50, p99 = 1000 * figure["p50"], 1000 * figure["p99"]
        lines.append(
            f"| {name} | {figure['rate']:.0f} | {p50:.3g} ms | {p99:.3g} ms | {cpu:.0f} µs |"
        )
    return lines


def _times(medians: dict[str, dict[str, float]]) -> list[str]:
    best = limit(medians)
    lines = _table("", "wall", "CPU of the server", *(["wall ÷ limit"] if best else []))
    for name, figure in sorted(medians.items(), key=lambda item: item[1]["wall"]):
        ratio = f" {figure['wall'] / best:.2f} |" if best else ""
        lines.append(f"| {name} | {figure['wall']:.3g} s | {figure['cpu']:.3g} s |{ratio}")
    return lines


def _table(*heads: str) -> list[str]:
    return [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
