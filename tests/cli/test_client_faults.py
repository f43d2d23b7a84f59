"""fileservice put and get over connections that break in every way and at any byte."""

import random
from pathlib import Path
from typing import Any

import pytest

from fileservice.client.transfer import Transfer
from fileservice.client.upload import SMALL
from fileservice.client.upload_step import UploadStep
from tests.cli import commands
from tests.cli.clients import Person
from tests.clients.fault_proxy import Fault, FaultProxy, Link, delay, random_plan
from tests.support.faulty_proxy import FaultyProxy
from tests.support.servers import LiveServer

EVERY_FAULT = (
    delay,
    Link.reset,
    Link.silence,
    Link.close_server,
    Link.close_client,
    Link.lose_answer,
)
SIZE = SMALL + (1 << 20)


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the client give up a silent connection after seconds instead of minutes."""
    for name in ("_CONNECT_SECONDS", "_ANSWER_SECONDS"):
        monkeypatch.setattr(f"fileservice.client.connection.{name}", 2)


@pytest.fixture(params=[SIZE, pytest.param(SMALL // 2, id="small")])
def size(request: pytest.FixtureRequest) -> int:
    """The size of a file that is sent in several requests, and of one that is sent in one."""
    size: int = request.param
    return size


@pytest.fixture
def file(tmp_path: Path, size: int) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(random.Random(size).randbytes(size // 2).hex().encode())
    return path


def assert_survives(server: LiveServer, file: Path, plan: list[Fault]) -> None:
    with FaultProxy(server.port, plan) as proxy:
        done = Person(proxy.url, file.parent).run("put", file)
        assert done.returncode == 0, done.stderr
        assert proxy.fired == len(plan)
    assert (server.store / "a.txt").read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("size", "seed"),
    [
        (SIZE, 0),
        *(
            pytest.param(size, seed, marks=pytest.mark.thorough)
            for size in (SIZE, SMALL // 2)
            for seed in range(1, 5)
        ),
    ],
    indirect=["size"],
)
def test_upload_survives_every_kind_of_connection_fault(
    server: LiveServer, file: Path, size: int, seed: int
) -> None:
    assert_survives(server, file, random_plan(seed, size, *EVERY_FAULT))


@pytest.mark.thorough
@pytest.mark.parametrize("size", [SIZE], indirect=True)
@pytest.mark.parametrize("seed", range(3))
def test_standard_input_survives_every_kind_of_connection_fault(
    server: LiveServer, file: Path, size: int, seed: int
) -> None:
    plan = random_plan(seed, size, *EVERY_FAULT)
    with FaultProxy(server.port, plan) as proxy:
        variables = Person(proxy.url, file.parent).variables
        arguments = ("put", "-", "--name", "a.txt")
        done = commands.run(*arguments, given=file.read_text(), **variables)
        assert done.returncode == 0, done.stderr
        assert proxy.fired == len(plan)
    assert (server.store / "a.txt").read_bytes() == file.read_bytes()


def test_client_that_lost_the_last_answer_finds_out_that_the_file_is_stored(
    server: LiveServer, file: Path, size: int
) -> None:
    assert_survives(server, file, [Fault(size - 10, Link.lose_answer)])


def test_client_that_lost_the_answer_to_the_creation_begins_anew(
    server: LiveServer, file: Path
) -> None:
    assert_survives(server, file, [Fault(1, Link.lose_answer)])


@pytest.fixture
def offsets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The offsets of requests of which each may have 4 MiB."""
    # A request that the server only answers late would be repeated.
    monkeypatch.setattr("fileservice.client.connection._ANSWER_SECONDS", 60)
    offsets: list[int] = []
    append = Transfer._append

    def append_some(transfer: Transfer, state: Any, offset: int, _limit: int) -> Any:
        offsets.append(offset)
        return append(transfer, state, offset, 4 << 20)

    monkeypatch.setattr(Transfer, "_append", append_some)
    return offsets


@pytest.mark.parametrize("size", [SIZE], indirect=True)
def test_upload_respects_the_bytes_that_one_request_may_have(
    server: LiveServer, file: Path, offsets: list[int]
) -> None:
    assert_survives(server, file, [])
    assert offsets == [0, 4 << 20, 8 << 20]


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("max-size=10, max-append-size=4096, max-age=3", 4096),
        ("max-size=10", 0),
        ("", 0),
        ("max-append-size=x", 0),
    ],
)
def test_limit_of_one_request_is_read_from_the_answer(value: str, limit: int) -> None:
    assert UploadStep.of({"Upload-Offset": "7", "Upload-Limit": value}) == UploadStep(7, limit)


def test_download_whose_connections_break_is_complete_in_the_end(
    server: LiveServer, file: Path, size: int, tmp_path: Path
) -> None:
    (tmp_path / "fetched").mkdir()
    (server.store / "a.txt").write_bytes(file.read_bytes())
    with FaultyProxy(server.port) as proxy:
        proxy.reset_after, proxy.resets = size // 3, 2
        person = Person(f"http://127.0.0.1:{proxy.port}", tmp_path)
        done = person.run("get", "a.txt", "-o", tmp_path / "fetched")
        assert done.returncode == 0, done.stderr
        assert proxy.resets == 0
    assert (tmp_path / "fetched/a.txt").read_bytes() == file.read_bytes()
