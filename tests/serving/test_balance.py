"""Connections are spread evenly over the workers."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.pool import Pool
from gevent.socket import socket as gevent_socket

from fileservice.serving import balance
from fileservice.serving.balance import BalancedServer, ConnectionBalance, free_slot
from tests.serving.servers import ConfiguredServer
from tests.support.clock import Clock
from tests.support.wire import eventually

CONNECTIONS = 64


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(balance, "time", clock)
    return clock


@pytest.fixture
def workers(clock: Clock) -> Iterator[list[ConnectionBalance]]:
    slots: list[int | None] = []
    for _ in range(3):
        slots.append(free_slot({slot for slot in slots if slot is not None}))
    workers = [ConnectionBalance(slot) for slot in slots]
    yield workers
    for worker in workers:
        worker.withdraw()


def none_waiting() -> int:
    return 0


def test_slots_of_living_workers_are_not_given_away() -> None:
    assert [free_slot(set()), free_slot({0}), free_slot({0, 1, 3})] == [0, 1, 2]
    assert free_slot(set(range(balance._SLOTS))) is None


@pytest.mark.parametrize(
    ("connections", "fewest", "is_ahead"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (9, 8, False), (10, 8, False), (11, 8, True)],
)
def test_worker_with_more_connections_lets_others_go_first(
    workers: list[ConnectionBalance], connections: int, fewest: int, is_ahead: bool
) -> None:
    for worker, count in zip(workers, (connections, 20, fewest), strict=True):
        worker.report(count)
    assert workers[0].is_ahead(connections, none_waiting) is is_ahead


def test_worker_alone_accepts_a_burst_at_once(workers: list[ConnectionBalance]) -> None:
    workers[0].report(1)  # what it has said of itself is not compared with what it has
    assert not workers[0].is_ahead(32, none_waiting)


@pytest.mark.parametrize(("connections", "is_ahead"), [(15, False), (16, True)])
def test_worker_takes_its_share_of_the_connections_that_wait(
    workers: list[ConnectionBalance], connections: int, is_ahead: bool
) -> None:
    workers[1].report(2)
    workers[2].report(4)
    waiting = 3 * 16 - (connections + 2 + 4)
    assert workers[0].is_ahead(connections, lambda: waiting) is is_ahead


class Burst:
    """A server of a worker without connections, and clients that wait for it to accept them."""

    def __init__(self, worker: ConnectionBalance, listener: socket.socket, clients: int) -> None:
        address, family = listener.getsockname(), listener.family
        self.clients = [socket.socket(family) for _ in range(clients)]
        for client in self.clients:
            client.connect(address)
        accepting = gevent_socket(family, fileno=listener.detach())
        self.pool = Pool(100)
        self._server = BalancedServer(worker, accepting, handle=lambda *_: None, spawn=self.pool)

    def accept(self) -> int:
        """Accept until others are to go first, and return how many connections that were."""
        accepted = 0
        while connection := self._server.do_read():
            self.clients.append(connection[0])
            self.pool.spawn(gevent.sleep, 600)
            accepted += 1
        return accepted

    def accept_after_pause(self) -> int:
        with gevent.Timeout(60):
            while not (accepted := self.accept()):
                gevent.sleep(0.001)
        return accepted

    def close(self) -> None:
        self._server.close()
        self.pool.kill()
        for client in self.clients:
            client.close()


def test_worker_accepts_its_share_of_a_burst_without_a_pause(
    workers: list[ConnectionBalance],
) -> None:
    workers[1].report(0)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    with contextlib.closing(Burst(workers[0], listener, 32)) as burst:
        assert burst.accept() == 16
        assert burst.accept_after_pause() == 1  # the other one may be busy


def test_worker_accepts_many_after_a_pause_if_it_is_unknown_how_many_wait(
    workers: list[ConnectionBalance],
) -> None:
    workers[1].report(0)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("")  # an abstract address that the kernel chooses (unix(7))
    listener.listen(64)
    with contextlib.closing(Burst(workers[0], listener, 32)) as burst:
        assert burst.accept() == 2
        assert burst.accept_after_pause() == 16


def test_worker_leaves_connections_to_one_that_is_awaited(clock: Clock) -> None:
    worker = ConnectionBalance(free_slot(set()))
    assert not worker.is_ahead(9, none_waiting)
    awaited = ConnectionBalance(free_slot({0}, is_awaited=True))
    assert worker.is_ahead(9, none_waiting)
    clock.now += balance._AWAITED_SECONDS + 0.1
    assert not worker.is_ahead(9, none_waiting)
    awaited.report(0)
    assert worker.is_ahead(9, none_waiting)
    awaited.withdraw()


def test_workers_that_have_ended_do_not_count(
    workers: list[ConnectionBalance], clock: Clock
) -> None:
    for worker in workers:
        worker.report(0)
    assert workers[0].is_ahead(9, none_waiting)
    workers[1].withdraw()
    assert workers[0].is_ahead(9, none_waiting)
    clock.now += balance._MAX_AGE + 1  # the others say nothing any more
    workers[0].report(9)
    assert not workers[0].is_ahead(9, none_waiting)


def test_worker_without_a_slot_never_waits(workers: list[ConnectionBalance]) -> None:
    workers[0].report(0)
    assert not ConnectionBalance(None).is_ahead(100, none_waiting)


def clients_of_workers(server: ConfiguredServer) -> list[set[int]]:
    """Return the ports of the clients that are connected to each worker, the fewest first."""
    clients = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(address.partition(":")[2], 16) for address in fields[1:3])
        if fields[3] == "01" and local == server.port:  # TCP_ESTABLISHED
            clients[f"socket:[{fields[9]}]"] = remote
    connected = [
        {clients[link] for link in links_of_descriptors(pid) if link in clients}
        for pid in server.workers()
    ]
    return sorted(connected, key=len)


def links_of_descriptors(pid: int) -> Iterator[str]:
    """Yield what the descriptors of a process refer to."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # files come and go meanwhile
            yield str(descriptor.readlink())


def connected(server: ConfiguredServer) -> socket.socket:
    """Return a connection that the server has accepted."""
    client = server.connect()
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert client.recv(12) == b"HTTP/1.1 302"
    return client


def test_the_worker_with_fewer_connections_gets_the_next_ones(tmp_path: Path) -> None:
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "WORKERS": "2"})
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        eventually(lambda: len(clients_of_workers(server)) == 2)
        clients = {}

        def connect() -> None:
            client = stack.enter_context(connected(server))
            clients[client.getsockname()[1]] = client

        def both_accept() -> bool:
            connect()
            return all(clients_of_workers(server))

        eventually(both_accept)  # while one begins, the other takes whatever comes
        for _ in range(CONNECTIONS):
            connect()
        few, many = clients_of_workers(server)
        for port in few:
            clients[port].close()
        eventually(lambda: clients_of_workers(server)[0] == set())
        for _ in range(len(many) // 2):
            stack.enter_context(connected(server))
        now_few, now_many = clients_of_workers(server)
        assert now_many >= many
        # Not all of them: the worker with few may wait for the CPU for longer than its turn.
        assert len(now_many - many) < len(now_few)
