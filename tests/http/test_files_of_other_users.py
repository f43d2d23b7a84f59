"""A service without the rights to some files of its store, which other users have."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.http.store_requests import PUT, TEXT, UNAVAILABLE, listed, problem
from tests.support.servers import LiveServer
from tests.support.wire import ask, eventually, request

pytestmark = pytest.mark.usefixtures("over_a_directory")


@pytest.fixture
def nobodys_store() -> Iterator[Path]:
    """A store of a user who has few rights, who can reach it."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        store = Path(place) / "store"
        staging = store / ".fileservice" / "staging"
        staging.mkdir(parents=True)
        for path in (store, *store.rglob("*")):
            os.chown(path, 65534, 65534)
        yield store


@contextlib.contextmanager
def served_by_nobody(store: Path, setpriv: str) -> Iterator[LiveServer]:
    command = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups"]
    server = LiveServer({"STORE_URL": str(store), "WORKERS": "1"}, *command)
    try:
        yield server
    finally:
        server.kill()


def test_unreadable_files_of_other_users_are_skipped_and_logged_once(
    root: None, tool: Callable[[str], str], nobodys_store: Path
) -> None:
    staged, kept = nobodys_store / ".fileservice/staging/roots", nobodys_store / "secret.txt"
    for path in (staged, kept):
        path.write_bytes(TEXT)
        path.chmod(0o600)
    (nobodys_store / "a.txt").write_bytes(TEXT)

    with served_by_nobody(nobodys_store, tool("setpriv")) as server:
        for _ in range(3):
            assert listed(server) == ["a.txt"]
            assert problem(server, request("GET /download/secret.txt")) == (404, "not-found")
        assert ask(server, PUT).status == 201
        eventually(lambda: str(staged) in server.log())  # it is swept beside the upload
        log = server.log()

    for path in (staged, kept):
        (line,) = [line for line in log.splitlines() if str(path) in line]
        assert "root (0)" in line
        assert "0600" in line
        assert "65534" in line
    assert staged.exists()


def test_a_store_without_write_permission_is_refused_with_its_path_and_the_user(
    root: None, tool: Callable[[str], str], nobodys_store: Path
) -> None:
    os.chown(nobodys_store / ".fileservice/staging", 0, 0)
    with (
        pytest.raises(RuntimeError, match=r"Permission denied .*/\.fileservice/staging.*\(65534\)"),
        served_by_nobody(nobodys_store, tool("setpriv")),
    ):
        pass


def test_the_path_of_a_disk_error_is_logged_and_not_answered(
    root: None, tool: Callable[[str], str], nobodys_store: Path
) -> None:
    with served_by_nobody(nobodys_store, tool("setpriv")) as server:
        staging = nobodys_store / ".fileservice/staging"
        os.chown(staging, 0, 0)
        answer = ask(server, PUT)
        assert (answer.status, answer.code()) == UNAVAILABLE
        assert str(nobodys_store) not in answer.body.decode()
        assert "Permission denied" in answer.json()["detail"]
        (line,) = [line for line in server.log().splitlines() if "storage-unavailable" in line]
        assert str(staging) in line
        assert "(65534)" in line
