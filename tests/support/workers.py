"""Which worker process has a connection, and a connection to each of two workers."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import open_files
from tests.support.servers import LiveServer
from tests.support.wire import Wire, eventually, request


def worker_with(server: LiveServer, port: int) -> int | None:
    """The process id of the worker with the connection from this port, once it has taken it."""
    inode = _inode(server.port, port)
    if inode is None:
        return None
    connection = f"socket:[{inode}]"
    return next((pid for pid in server.workers() if connection in open_files(pid)), None)


@contextlib.contextmanager
def wires_to_both_workers(server: LiveServer) -> Iterator[list[Wire]]:
    """A connection to each of the two workers of a server."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Wire] = {}

        def both_have_one() -> bool:
            wire = stack.enter_context(Wire(server))
            assert wire.ask(request("GET /healthz")).status == 200
            if worker := worker_with(server, wire.socket.getsockname()[1]):
                found.setdefault(worker, wire)
            return len(found) == 2

        eventually(both_have_one)
        yield list(found.values())


def _inode(local: int, remote: int) -> int | None:
    """The inode of the server's end of a connection between these ports of 127.0.0.1.

    None if it is not in the table: a line may be left out if others change while it is read.
    """
    ends = [f"0100007F:{local:04X}", f"0100007F:{remote:04X}"]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[9])
    return None
