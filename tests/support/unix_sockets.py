"""Connections to servers that listen on a Unix socket."""

import socket
from pathlib import Path


def connect(path: Path) -> socket.socket:
    """Connect to the server that listens at `path`."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    try:
        client.connect(str(path))
    except OSError:
        client.close()
        raise
    return client


def accepts(path: Path) -> bool:
    """Return whether a server listens at `path`; the path exists a moment before."""
    try:
        connect(path).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True
