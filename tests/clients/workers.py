"""Which worker process has a connection."""

from pathlib import Path

from tests.support.servers import LiveServer


def worker_with(server: LiveServer, port: int) -> int | None:
    """The process id of the worker with the connection from this port, once it has taken it."""
    inode = _inode(server.port, port)
    for pid in server.workers():
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(descriptor.readlink()) == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:  # closed meanwhile
                continue
    return None


def _inode(local: int, remote: int) -> int:
    """The inode of the server's end of a connection between these ports of 127.0.0.1."""
    ends = [f"0100007F:{local:04X}", f"0100007F:{remote:04X}"]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[9])
    raise LookupError(f"no connection from port {remote} to port {local}")
