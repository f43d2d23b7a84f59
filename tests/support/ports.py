"""Ports of 127.0.0.1 for servers that tests start."""

import os
import secrets
import socket

_FIRST, _END = 10_000, 32_768
"""Linux gives its own choice of port, which any connection may get, from 32768 on."""
_OF_A_PROCESS = 1_000
"""So many ports belong to each process of a test run, as two could choose the same at a time."""

_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_begin = _FIRST + _process * _OF_A_PROCESS % (_END - _FIRST - _OF_A_PROCESS)
_next = secrets.randbelow(_OF_A_PROCESS)


def free_port() -> int:
    """A port on which nothing listens."""
    global _next
    while True:
        port, _next = _begin + _next, (_next + 1) % _OF_A_PROCESS
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
