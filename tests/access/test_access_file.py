"""ACCESS_FILE is read again when it changes, however it is changed."""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fileservice.access import AccessFile, AccessFileError, read_rules
from fileservice.access import access_file as access_file_module
from tests.access.rules import SECRET, token
from tests.support.wire import eventually

OTHER = "fs_other"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "access.toml"
    path.write_text(token())
    return path


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def write_with_the_same_size_and_times(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("change", [write_in_place, write_with_the_same_size_and_times, replace])
def test_change_is_seen(path: Path, change: Callable[[Path, str], None]) -> None:
    access_file = AccessFile(path)
    assert access_file.rules().authenticate(SECRET)
    change(path, token(secret=OTHER))
    eventually(lambda: access_file.rules().authenticate(OTHER))
    assert not access_file.rules().authenticate(SECRET)


class Clock:
    """Replaces the module `time`: both clocks go on only if the test says so."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.began = time.time()

    def monotonic(self) -> float:
        return self.passed

    def time(self) -> float:
        return self.began + self.passed


@pytest.mark.parametrize("change", [write_in_place, replace])
def test_change_is_seen_within_a_second_and_the_file_is_looked_at_twice_a_second(
    path: Path, change: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(path)
    monkeypatch.setattr(access_file_module, "time", clock := Clock())
    looks: list[float] = []
    look = access_file_module._State.of
    monkeypatch.setattr(
        access_file_module._State, "of", lambda path: looks.append(clock.passed) or look(path)
    )
    access_file = AccessFile(path)
    for _ in range(1000):
        clock.passed += 0.01
        access_file.rules()
    assert len(looks) <= 10 / 0.4 + 3
    clock.began = time.time() - clock.passed
    change(path, token(secret=OTHER))
    begun = clock.passed
    while not access_file.rules().authenticate(OTHER):
        clock.passed += 0.01
        assert clock.passed - begun < 1
    assert not access_file.rules().authenticate(SECRET)


def test_file_that_is_being_written_is_not_read_before_it_is_complete(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_file_module, "time", clock := Clock())
    access_file = AccessFile(path)
    clock.passed += 10
    access_file.rules()
    clock.began = time.time() - clock.passed
    path.write_text("")  # valid, and names nobody
    clock.passed += 0.1
    assert access_file.rules().authenticate(SECRET)
    path.write_text(token() + token("other", secret=OTHER))
    for _ in range(100):
        clock.passed += 0.01
        assert access_file.rules().authenticate(SECRET)
    assert access_file.rules().authenticate(OTHER)


def test_file_that_is_written_while_it_is_read_is_not_believed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_file_module, "time", clock := Clock())

    class Written(type(path)):  # type: ignore[misc]
        def open(self, *arguments: Any) -> Any:
            if clock.passed > 1 and path.stat().st_size:
                path.write_text("")  # valid, and names nobody
                clock.began = time.time() - clock.passed
            return path.open(*arguments)

    access_file = AccessFile(Written(path))
    replace(path, token() + "# another file")
    clock.passed += 10
    for _ in range(10):
        assert access_file.rules().authenticate(SECRET)
        clock.passed += 0.01
    assert path.read_text() == ""
    clock.passed += 2
    access_file.rules()
    clock.passed += 2
    assert not access_file.rules().authenticate(SECRET)


def test_file_that_has_the_same_text_as_before_is_not_parsed_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of tokens take a second, and the clock of a file may be ahead for hours."""
    monkeypatch.setattr(access_file_module, "time", clock := Clock())
    clock.began -= 3600
    access_file = AccessFile(path)
    rules = access_file.rules()
    for _ in range(10):
        clock.passed += 2
        assert access_file.rules() is rules
    path.write_text(token(secret=OTHER))
    for _ in range(10):
        clock.passed += 2
        access_file.rules()
    assert access_file.rules().authenticate(OTHER)


def test_file_that_changes_all_the_time_is_read_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_file_module, "time", clock := Clock())
    access_file = AccessFile(path)
    clock.passed += 10
    access_file.rules()
    begun = clock.passed
    while not access_file.rules().authenticate(OTHER):
        clock.passed += 0.05
        clock.began = time.time() - clock.passed
        replace(path, token(secret=OTHER))
        assert clock.passed - begun < 1.5


def test_change_of_a_mounted_config_map_is_seen(tmp_path: Path) -> None:
    """Kubernetes replaces the symbolic link to the directory that has the files."""
    for name, secret in (("..1", SECRET), ("..2", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "access.toml").write_text(token(secret=secret))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "access.toml").symlink_to("..data/access.toml")
    access_file = AccessFile(tmp_path / "access.toml")
    assert access_file.rules().authenticate(SECRET)
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    eventually(lambda: access_file.rules().authenticate(OTHER))


def test_two_changes_within_one_tick_of_the_clock_are_both_seen(path: Path) -> None:
    access_file = AccessFile(path)
    for number in range(40):
        path.write_text(token(secret=f"fs_{number:02}"))
        access_file.rules()
    path.write_text(token(secret="fs_xx"))
    eventually(lambda: access_file.rules().authenticate("fs_xx"))


@pytest.mark.parametrize("content", [b"[tokens.ci]\n", b"\xff", b"[", None])
def test_broken_change_keeps_the_rules_and_is_logged_once(
    path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    access_file = AccessFile(path)
    assert access_file.error is None
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    eventually(lambda: access_file.error)
    assert access_file.rules().authenticate(SECRET)
    path.write_bytes(content or b"[")
    os.utime(path)
    for _ in range(1000):
        access_file.rules()
    path.write_text(token(secret=OTHER))
    eventually(lambda: access_file.error is None)
    assert access_file.rules().authenticate(OTHER)
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len({record.getMessage() for record in errors}) == len(errors)
    assert "the rules stay as they were" in errors[0].getMessage()
    assert caplog.records[-1].levelno == logging.WARNING


def test_file_that_is_broken_from_the_beginning_names_nobody(path: Path) -> None:
    path.write_text("[")
    access_file = AccessFile(path)
    assert access_file.error
    assert access_file.rules().authenticate(SECRET) is None


def test_reading_reports_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "large").write_bytes(b"#" * (16 << 20) + b"\n")
    for name, problem in [
        ("fifo", "it is not a file"),
        ("", "it is not a file"),
        ("missing", "it cannot be read: No such file or directory"),
        ("loop", "it cannot be read: Too many levels of symbolic links"),
        ("large", "it has more than 16777216 bytes"),
    ]:
        with pytest.raises(AccessFileError) as raised:
            read_rules(tmp_path / name)
        assert raised.value.problems == [problem]


def test_threads_share_it(path: Path) -> None:
    access_file = AccessFile(path)
    secrets = [f"fs_{number}" for number in range(5)]
    found: list[bool] = []

    def ask() -> None:
        eventually(lambda: access_file.rules().authenticate(secrets[-1]))
        found.append(True)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for secret in secrets:
        replace(path, token(secret=secret))
    for thread in threads:
        thread.join()
    assert found == [True] * 8
