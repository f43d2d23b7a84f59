"""The picture of a soak: what the service holds over time, as SVG."""

from collections.abc import Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP = 960, 130, 70, 56
_COLOURS = {"SIGHUP": "#0b6e4f", "SIGKILL of a worker": "#b3261e", "SIGUSR2": "#1f5fbf"}
_PANELS = (
    ("memory", "memory of all processes (PSS), MiB", 1 << 20),
    ("descriptors", "open descriptors of all processes", 1),
    ("staged", "staged files", 1),
    ("unfinished", "files of unfinished uploads", 1),
)


def draw(samples: Sequence[Any], events: Sequence[tuple[float, str]], minutes: float) -> str:
    """Return an SVG with a panel for each quantity; `events` are seconds and what was done then."""
    seconds = max(minutes * 60, samples[-1].seconds)
    height = _TOP + len(_PANELS) * (_HEIGHT + 44) + 24
    parts = [
        f'<text x="{_LEFT}" y="26" font-weight="600" font-size="15">{minutes:g} minutes under load,'
        " with restarts</text>\n"
    ]
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + 430 + number * 160
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="14" y2="30" stroke="{colour}" stroke-dasharray="3 3"/>'
            f'<text x="{x + 8}" y="26">{name}</text>\n'
        )
    for number, (name, title, unit) in enumerate(_PANELS):
        top = _TOP + number * (_HEIGHT + 44)
        points = [(sample.seconds, getattr(sample, name) / unit) for sample in samples]
        parts.append(_panel(top, title, points, events, seconds))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12" fill="#1d2129">\n'
        f"<title>What the service holds during {minutes:g} minutes with restarts</title>\n"
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>\n'
        + "".join(parts)
        + "</svg>\n"
    )


def _panel(
    top: int,
    title: str,
    points: Sequence[tuple[float, float]],
    events: Sequence[tuple[float, str]],
    seconds: float,
) -> str:
    largest = max(4.0, max(value for _, value in points) * 1.15)
    width, bottom = _WIDTH - _LEFT - 24, top + 20 + _HEIGHT

    def x(at: float) -> float:
        return _LEFT + width * at / seconds

    def y(value: float) -> float:
        return bottom - _HEIGHT * value / largest

    lines = [f'<text x="{_LEFT}" y="{top + 10}" fill="#5a6270">{title}</text>\n']
    for share in (0, 0.5, 1):
        value = largest * share
        lines.append(
            f'<line x1="{_LEFT}" x2="{_LEFT + width}" y1="{y(value):.1f}" y2="{y(value):.1f}"'
            ' stroke="#e3e6eb"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>\n'
        )
    lines.extend(
        f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top + 20}" y2="{bottom}"'
        f' stroke="{_COLOURS[name]}" stroke-dasharray="3 3"/>\n'
        for at, name in events
    )
    path = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    lines.append(f'<polyline points="{path}" fill="none" stroke="#1d2129" stroke-width="1.5"/>\n')
    for share in (0, 0.25, 0.5, 0.75, 1):
        at = seconds * share
        lines.append(
            f'<text x="{x(at):.1f}" y="{bottom + 16}" text-anchor="middle">{at / 60:g} min</text>\n'
        )
    return "".join(lines)
