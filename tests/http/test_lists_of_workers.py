"""Lists while files come and go: each worker sees at once what others have done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import LiveServer
from tests.support.wire import Wire, request
from tests.support.workers import wires_to_both_workers

pytestmark = pytest.mark.usefixtures("over_a_directory")


@pytest.fixture
def server(start_server: Callable[..., LiveServer]) -> LiveServer:
    """A server with two workers of its own."""
    return start_server(WORKERS="2")


def listed(wire: Wire, prefix: str = "") -> list[str]:
    answer = wire.ask(request(f"GET /download?limit=100&prefix={prefix}"))
    assert answer.status == 200
    return [file["filename"] for file in answer.json()]


def test_what_one_worker_has_acknowledged_is_in_the_list_of_the_other(server: LiveServer) -> None:
    with wires_to_both_workers(server) as wires:
        assert [listed(wire) for wire in wires] == [[], []]
        for number in range(40):
            here, there = wires[number % 2], wires[1 - number % 2]
            assert here.ask(request(f"PUT /upload/{number:03}.txt", body=b"text")).status == 201
            assert listed(there, f"{number:03}") == [f"{number:03}.txt"]
            if number % 3 == 0:
                assert there.ask(request(f"DELETE /download/{number:03}.txt")).status == 204
                assert listed(here, f"{number:03}") == []
        expected = [f"{number:03}.txt" for number in range(40) if number % 3]
        assert [listed(wire) for wire in wires] == [expected, expected]


def test_what_another_program_does_is_in_the_list_of_every_worker(
    server: LiveServer, tmp_path: Path
) -> None:
    with wires_to_both_workers(server) as wires:
        assert [listed(wire) for wire in wires] == [[], []]
        for number in range(10):
            aside = tmp_path / "aside"
            aside.write_text("text")
            aside.rename(server.store / f"{number}.txt")
            for wire in wires:
                assert listed(wire) == [f"{number}.txt"]
            (server.store / f"{number}.txt").rename(server.store / f"{number}-renamed.txt")
            for wire in wires:
                assert listed(wire) == [f"{number}-renamed.txt"]
            (server.store / f"{number}-renamed.txt").unlink()
            for wire in wires:
                assert listed(wire) == []


def test_workers_that_replace_killed_ones_list_what_those_have_acknowledged(
    server: LiveServer,
) -> None:
    expected = []
    for turn in range(2):
        with wires_to_both_workers(server) as wires:
            for number, wire in enumerate(wires):
                name = f"{turn}-{number}.txt"
                assert wire.ask(request(f"PUT /upload/{name}", body=b"text")).status == 201
                expected.append(name)
                assert [listed(each) for each in wires] == [expected, expected]
        server.kill_workers()
    with wires_to_both_workers(server) as wires:
        assert [listed(wire) for wire in wires] == [expected, expected]
