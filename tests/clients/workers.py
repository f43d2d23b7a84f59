"""Which worker process has a connection."""

from pathlib import Path

from tests.support.processes import open_files
from tests.support.servers import LiveServer


def worker_with(server: LiveServer, port: int) -> int | None:
    """The process id of the worker with the connection from this port, once it has taken it."""
    connection = f"socket:[{_inode(server.port, port)}]"
    return next((pid for pid in server.workers() if connection in open_files(pid)), None)


def _inode(local: int, remote: int) -> int:
    """The inode of the server's end of a connection between these ports of 127.0.0.1."""
    ends = [f"0100007F:{local:04X}", f"0100007F:{remote:04X}"]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[9])
    raise LookupError(f"no connection from port {remote} to port {local}")
