"""The secret key, and sessions that have begun and ended, over several processes."""

import logging
import multiprocessing
from pathlib import Path

import pytest

from fileservice.access import AccessRules, Scope
from fileservice.access import session_store as module
from fileservice.access.rules import Grant
from fileservice.access.secret_key import SecretKey
from fileservice.access.session_store import SessionStore
from fileservice.access.sessions import LIFETIME, Session
from fileservice.storage import StorageUnavailable
from fileservice.storage.local import LocalStore

RULES = AccessRules(users={"ada@example.org": Grant(frozenset({Scope.READ}))})
CONFIGURED = b"c" * 32
PROCESSES = 6


class Clock:
    """Replaces the module `time`; `now` is in seconds since 1970."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def process(root: Path, configured: bytes | None = None) -> SessionStore:
    """The sessions of one process."""
    files = LocalStore(root, fsync=True).private_files
    return SessionStore(SecretKey(files, configured), files)


def session(clock: Clock) -> Session:
    return Session.of_person("ada@example.org", (), RULES, clock.now)


def test_session_is_found_by_every_process_until_it_is_ended(tmp_path: Path, clock: Clock) -> None:
    one, other = process(tmp_path), process(tmp_path)
    begun = session(clock)
    text = one.begin(begun)
    assert one.find(text) == other.find(text) == begun
    other.end(begun)
    assert one.find(text) is None
    assert other.find(text) is None


def test_ending_a_session_ends_no_other(tmp_path: Path, clock: Clock) -> None:
    store = process(tmp_path)
    first, second = session(clock), session(clock)
    texts = [store.begin(first), store.begin(second)]
    store.end(first)
    assert [store.find(text) for text in texts] == [None, second]


def test_records_of_ended_sessions_are_kept_while_the_sessions_would_be_valid(
    tmp_path: Path, clock: Clock
) -> None:
    store = process(tmp_path)
    first = session(clock)
    text = store.begin(first)
    store.end(first)
    clock.now += LIFETIME - 1
    store.end(session(clock))
    assert store.find(text) is None
    folder = tmp_path / ".fileservice" / "ended-sessions"
    assert len(list(folder.iterdir())) == 2
    clock.now += 2 * LIFETIME
    store.end(session(clock))
    assert len(list(folder.iterdir())) == 1


def test_flood_of_sign_outs_does_not_look_through_all_earlier_ones_each_time(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LocalStore(tmp_path, fsync=False).private_files
    look_through, listed = files.list, []

    def count(folder: str) -> list[str]:
        listed.append(folder)
        return look_through(folder)

    monkeypatch.setattr(files, "list", count)
    store = SessionStore(SecretKey(files, CONFIGURED), files)
    for _ in range(200):
        store.end(session(clock))
    assert len(listed) == 1
    clock.now += 3600
    store.end(session(clock))
    assert len(listed) == 2


def test_no_key_is_made_for_a_text_that_is_no_session(tmp_path: Path) -> None:
    store = process(tmp_path)
    assert store.find("forged.session") is None
    assert store.find("x" * 100_000) is None
    assert not (tmp_path / ".fileservice" / "secret-key").exists()


def test_configured_key_is_used_and_not_stored(tmp_path: Path, clock: Clock) -> None:
    text = process(tmp_path, CONFIGURED).begin(session(clock))
    assert process(tmp_path, CONFIGURED).find(text)
    assert process(tmp_path).find(text) is None
    assert process(tmp_path, b"d" * 32).find(text) is None
    assert not (tmp_path / ".fileservice" / "secret-key").exists()


def make_key(root: Path, start: object, results: object) -> None:
    files = LocalStore(root, fsync=True, verified=True).private_files
    start.wait()  # type: ignore[attr-defined]
    results.put(SecretKey(files, None).make())  # type: ignore[attr-defined]


def test_processes_that_start_at_once_make_one_key(tmp_path: Path) -> None:
    LocalStore(tmp_path, fsync=True)
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=make_key, args=(tmp_path, start, results)) for _ in range(PROCESSES)
    ]
    for child in processes:
        child.start()
    keys = [results.get(timeout=100) for _ in processes]
    for child in processes:
        child.join()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64
    path = tmp_path / ".fileservice" / "secret-key"
    assert path.read_bytes() == keys[0] + b"\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"\n", b"0" * 63 + b"\n", b"0" * 64, b"\0" * 65])
def test_damaged_key_is_never_used(tmp_path: Path, clock: Clock, content: bytes) -> None:
    store = process(tmp_path)
    (tmp_path / ".fileservice" / "secret-key").write_bytes(content)
    for call in (lambda: store.begin(session(clock)), lambda: store.find("a.b")):
        with pytest.raises(StorageUnavailable, match="another one is made"):
            call()


def test_key_is_not_logged(tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    process(tmp_path).begin(session(clock))
    key = (tmp_path / ".fileservice" / "secret-key").read_text().strip()
    assert key not in caplog.text
