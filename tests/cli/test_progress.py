"""What a terminal shows of a transfer, and what is written elsewhere."""

import sys

import pytest

from fileservice.cli.output import printable
from fileservice.cli.progress import TerminalProgress, readable_size


def test_terminal_shows_the_progress_in_one_line_and_clears_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with TerminalProgress("a.txt") as progress:
        progress.move(1 << 20, 4 << 20)
        progress.say("the connection broke")
    shown = capsys.readouterr().err
    assert "\ra.txt  25 % of 4.0 MiB" in shown
    assert "a.txt: the connection broke\n" in shown
    assert shown.count("\n") == 1


def test_other_outputs_get_only_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress("a.txt") as progress:
        progress.move(1 << 20, 4 << 20)
        progress.say("the connection broke")
    assert capsys.readouterr().err == "a.txt: the connection broke\n"


def test_names_cannot_control_the_terminal() -> None:
    assert printable("grüße \x1b[31m\n\u202e.txt") == "grüße \ufffd[31m\ufffd\ufffd.txt"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
)
def test_sizes_are_in_the_unit_that_people_would_choose(size: int, text: str) -> None:
    assert readable_size(size) == text
