"""The picture in docs/performance.md: bars beside the limit, as SVG."""

from html import escape
from typing import Any

from verdicts import limit, median

_WIDTH, _GAP, _TOP = 480, 40, 44
_BAR, _LABEL = 20, 212
_SCALE = _WIDTH - _LABEL - 62
_COLOURS = {"ours": "#0b6e4f", "limit": "#8a8f98", "other": "#b9cbe4"}
_PANELS = (
    ("PUT {size}, digest and fsync", "wall"),
    ("PUT {size}, no digest, no fsync", "wall"),
    ("GET {size}, tmpfs", "wall"),
    ("GET 1 KiB, 32 connections", "rate"),
    ("PUT 1 KiB, 16 connections, tmpfs", "rate"),
    ("PUT 1 KiB, 16 connections, ext4, synced", "rate"),
)
"""Work and what is shown of it."""


def draw(run: dict[str, Any]) -> str:
    """Return an SVG with a panel for each of some works of a run."""
    size = f"{run['size'] >> 20} MiB"
    panels = []
    for pattern, what in _PANELS:
        work = pattern.format(size=size)
        samples = run["samples"].get(work)
        if samples:
            medians = {name: median(s) for name, s in samples.items() if s and name[:6] != "ours, "}
            panels.append((work, what, medians))
    parts, bottoms = [], [16, 16]
    for number, (work, what, medians) in enumerate(panels):
        column = number % 2
        parts.append(_panel(24 + column * (_WIDTH + _GAP), bottoms[column], work, what, medians))
        bottoms[column] += _TOP + _BAR * len(medians) + 24
    width, height = 2 * _WIDTH + _GAP + 48, max(bottoms)
    title = f"fileservice beside others and the limit of the machine, {run['workers']} worker(s)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#1d2129">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>\n'
        + "".join(parts)
        + "</svg>\n"
    )


def _panel(x: int, y: int, work: str, what: str, medians: dict[str, dict[str, float]]) -> str:
    rate = what == "rate"
    better = "requests a second, more is better" if rate else "seconds, less is better"
    lines = [
        f'<text x="{x}" y="{y + 16}" font-weight="600" font-size="14">{escape(work)}</text>\n',
        f'<text x="{x}" y="{y + 33}" fill="#5a6270">{better}</text>\n',
    ]
    largest = max(figure[what] for figure in medians.values())
    order = sorted(medians.items(), key=lambda item: item[1][what], reverse=rate)
    best = limit(medians, what)
    if best is not None:
        at, bottom = x + _LABEL + _SCALE * best / largest, y + _TOP + _BAR * len(medians)
        lines.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y + _TOP}" y2="{bottom}" stroke="#5a6270"'
            ' stroke-dasharray="3 3"/>\n'
        )
    for number, (name, figure) in enumerate(order):
        top = y + _TOP + number * _BAR
        length = max(1.0, _SCALE * figure[what] / largest)
        kind = "ours" if name == "ours" else "limit" if name.startswith("limit") else "other"
        label = "fileservice" if name == "ours" else name.partition(" that ")[0]
        weight = ' font-weight="600"' if kind == "ours" else ""
        value = f"{figure[what]:,.0f}" if rate else f"{figure[what]:.2f}"
        lines.append(
            f'<text x="{x + _LABEL - 8}" y="{top + 14}" text-anchor="end"{weight}>'
            f"{escape(label)}</text>\n"
            f'<rect x="{x + _LABEL}" y="{top + 3}" width="{length:.1f}" height="{_BAR - 6}"'
            f' fill="{_COLOURS[kind]}"/>\n'
            f'<text x="{x + _LABEL + length + 6:.1f}" y="{top + 14}"{weight} stroke="#ffffff"'
            f' stroke-width="4" paint-order="stroke">{value}</text>\n'
        )
    return "".join(lines)
