"""Verification finds every damaged file, goes on where it ended, and marks what it finds."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fileservice.integrity import (
    DamageMarks,
    FileDamaged,
    FileState,
    ReadThrottle,
    Verification,
    verification,
    verify_file,
)
from fileservice.integrity.reading import drop_cache
from fileservice.names import FileName
from fileservice.storage import Opened, StorageUnavailable
from tests.integrity.stores import LARGE, OpenStore
from tests.support.wire import eventually

UNLIMITED = ReadThrottle()


def states(verified: Verification) -> dict[str, str]:
    return {verified.name: verified.state for verified in verified.verified_files()}


def is_marked(kept: OpenStore, name: str) -> bool:
    file = kept.store.stat(FileName.parse(name))
    try:
        DamageMarks(kept.store.private_files).require_intact(file)
    except FileDamaged:
        return True
    return False


def test_flipped_bit_is_found_and_the_file_marked(kept: OpenStore) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        kept.put(name, name.encode() * 100)
    kept.rot("b.txt")
    assert states(Verification(kept.store, UNLIMITED)) == {
        "a.txt": "intact",
        "b.txt": "damaged",
        "c.txt": "intact",
    }
    assert [is_marked(kept, name) for name in ("a.txt", "b.txt", "c.txt")] == [False, True, False]


def test_file_that_was_restored_loses_its_mark_when_it_is_verified(kept: OpenStore) -> None:
    kept.put("a.txt", b"some text\n")
    kept.rot("a.txt")
    assert states(Verification(kept.store, UNLIMITED)) == {"a.txt": "damaged"}
    kept.rot("a.txt")
    marks = DamageMarks(kept.store.private_files)
    # An object that was written anew has another time, and so no mark.
    marks.mark(kept.store.stat(FileName.parse("a.txt")), "it was damaged")
    verified = verify_file(kept.store, marks, FileName.parse("a.txt"), UNLIMITED)
    assert verified.state is FileState.RESTORED
    assert not is_marked(kept, "a.txt")


def test_file_that_was_stored_anew_has_no_mark(directory: OpenStore, tmp_path: Path) -> None:
    file = directory.put("a.txt", b"some text\n")
    directory.rot("a.txt")
    assert states(Verification(directory.store, UNLIMITED)) == {"a.txt": "damaged"}
    directory.store.delete(file.name)

    def has_another_time() -> bool:  # as the clock of files moves only every few milliseconds
        (tmp_path / "clock").touch()
        return (tmp_path / "clock").stat().st_mtime_ns > file.modified_ns

    eventually(has_another_time)
    directory.put("a.txt", b"some text\n")
    assert not is_marked(directory, "a.txt")
    assert states(Verification(directory.store, UNLIMITED)) == {"a.txt": "intact"}
    assert directory.store.private_files.list("damaged") == []


def test_verification_that_was_interrupted_goes_on_and_counts_on(
    kept: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_SAVE_SECONDS", 0.0)
    for name in ("a.txt", "b.txt", "c.txt"):
        kept.put(name, b"some text\n")
    kept.rot("a.txt")
    verified_files = Verification(kept.store, UNLIMITED).verified_files()
    next(verified_files)
    next(verified_files)  # the first one is saved before the second one is read

    second = Verification(kept.store, UNLIMITED)
    assert second.after == "a.txt"
    assert states(second) == {"b.txt": "intact", "c.txt": "intact"}
    assert second.counts == {"damaged": 1, "intact": 2}
    assert second.size == 30
    assert Verification(kept.store, UNLIMITED).after == ""


def test_verification_can_begin_anew(directory: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_SAVE_SECONDS", 0.0)
    for name in ("a.txt", "b.txt"):
        directory.put(name, b"some text\n")
    verified_files = Verification(directory.store, UNLIMITED).verified_files()
    next(verified_files)
    next(verified_files)
    assert len(states(Verification(directory.store, UNLIMITED, restart=True))) == 2


def test_file_without_a_digest_is_unknown(directory: OpenStore) -> None:
    (Path(directory.url) / "a.txt").write_text("put there by hand\n")
    assert states(Verification(directory.store, UNLIMITED)) == {"a.txt": "unknown"}
    assert not is_marked(directory, "a.txt")


def test_file_that_cannot_be_read_is_damaged(
    directory: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.put("a.txt", b"some text\n")

    def fail(*_: object) -> Iterator[bytes]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("fileservice.integrity.reading.blocks_of", fail)
    [verified] = Verification(directory.store, UNLIMITED).verified_files()
    assert verified.state is FileState.DAMAGED
    assert "Input/output error" in verified.reason
    assert is_marked(directory, "a.txt")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM])
def test_passing_error_is_no_sign_of_damage(
    directory: OpenStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    directory.put("a.txt", b"some text\n")

    def fail(*_: object) -> Iterator[bytes]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fileservice.integrity.reading.blocks_of", fail)
    with pytest.raises(StorageUnavailable, match=r"a\.txt"):
        list(Verification(directory.store, UNLIMITED).verified_files())
    assert not is_marked(directory, "a.txt")


def test_marks_that_were_read_count_while_they_cannot_be_listed(
    directory: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.put("a.txt", b"some text\n")
    file, files = directory.store.stat(FileName.parse("a.txt")), directory.store.private_files
    marks = DamageMarks(files)
    marks.mark(file, "a test")
    with pytest.raises(FileDamaged):
        marks.require_intact(file)

    def fail(*_: object) -> list[str]:
        raise StorageUnavailable("it does not answer")

    monkeypatch.setattr(files, "list", fail)
    with pytest.raises(FileDamaged):
        marks.require_intact(file)
    with pytest.raises(StorageUnavailable):  # nothing was read before
        DamageMarks(files).require_intact(file)


def test_file_that_is_replaced_while_it_is_read_is_not_taken_for_damaged(
    directory: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.put("a.txt", b"some text\n" * LARGE)
    path, writes = Path(directory.url) / "a.txt", iter([b"X"])

    def write_first(opened: Opened) -> None:
        for byte in writes:
            path.write_bytes(byte)
        drop_cache(opened)

    monkeypatch.setattr("fileservice.integrity.reading.drop_cache", write_first)
    assert states(Verification(directory.store, UNLIMITED)) == {"a.txt": "unknown"}
    assert directory.store.private_files.list("damaged") == []


def test_rate_limit_holds_in_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = 1000.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        waited.append(seconds)

    clock: Any = "fileservice.integrity.reading.time"
    monkeypatch.setattr(f"{clock}.sleep", sleep)
    monkeypatch.setattr(f"{clock}.monotonic", lambda: now)
    limit = ReadThrottle(100)
    for _ in range(50):
        limit.wait(40)
    assert 18 <= sum(waited) <= 20


def test_service_knows_of_a_mark_some_seconds_after_it_was_made(directory: OpenStore) -> None:
    now = 1000.0
    file = directory.put("a.txt", b"some text\n")
    marks = DamageMarks(directory.store.private_files, max_age=5, clock=lambda: now)
    marks.require_intact(file)
    DamageMarks(directory.store.private_files).mark(file, "it has rotted")
    now += 4.9
    marks.require_intact(file)
    now += 0.2
    with pytest.raises(FileDamaged):
        marks.require_intact(file)
