"""Ask the service on this machine for its health: `python -m fileservice.healthcheck`.

Where it listens only the running service knows: BIND says so, unless the command line or
GUNICORN_CMD_ARGS says otherwise, and whether it speaks TLS. So gunicorn's first process writes it
down (gunicorn.conf.py), in a file of its own in the directory for temporary files.
"""

import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

_TIMEOUT = 4.0
"""Seconds without a byte before a listener counts as dead; the image's check ends after 5."""
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # looked up, not bound
_NAME = "fileservice-{uid}-{pid}.json"


def write_down(addresses: Iterable[object], *, tls: bool) -> None:
    """Write down where this process listens, for health checks by the same user.

    `addresses` are as `socket.getsockname` gives them. Raises OSError.
    """
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump({"tls": tls, "addresses": [_absolute(a) for a in addresses]}, file)
        Path(name).replace(_path(os.getpid()))
    except BaseException:
        Path(name).unlink()
        raise


def forget() -> None:
    """Remove what this process has written down."""
    with contextlib.suppress(OSError):
        _path(os.getpid()).unlink()


def check() -> None:
    """Return if every listener of every service of this user is healthy; raise RuntimeError."""
    listeners = [listener for path in _written() for listener in _read(path)]
    if not listeners:
        raise RuntimeError("no service runs here, or it is not ready yet")
    for address, tls in listeners:
        _ask(address, tls=tls)


def main() -> None:
    """Exit with 0 or with 1 and a line that says why."""
    try:
        check()
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        sys.exit(f"unhealthy: {error or type(error).__name__}")


def _absolute(address: object) -> object:
    """The address, for a process with another working directory."""
    if isinstance(address, bytes):  # of a name that is no path
        return os.fsdecode(address)
    return str(Path(address).absolute()) if isinstance(address, str) else address


def _path(pid: int) -> Path:
    return Path(tempfile.gettempdir(), _NAME.format(uid=os.getuid(), pid=pid))


def _written() -> list[Path]:
    found = Path(tempfile.gettempdir()).glob(_NAME.format(uid=os.getuid(), pid="*"))
    return [path for path in found if _is_ours(path) and _runs(path.stem.rpartition("-")[2])]


def _is_ours(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_uid == os.getuid()
    return False


def _runs(pid: str) -> bool:
    """Whether there is such a process; one that was killed leaves its file behind."""
    return Path(f"/proc/{pid}").exists()


def _read(path: Path) -> list[tuple[str | list[object], bool]]:
    try:
        known = json.loads(path.read_text())
    except FileNotFoundError:  # it has ended just now
        return []
    return [(address, known["tls"]) for address in known["addresses"]]


def _ask(address: str | list[object], *, tls: bool) -> None:
    with _connect(address) as plain, _encrypted(plain) if tls else plain as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        if answer.status != 200:
            raise RuntimeError(f"GET /healthz is answered {answer.status} {answer.reason}")


def _encrypted(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate is for the name that clients know
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _connect(address: str | list[object]) -> socket.socket:
    if isinstance(address, list):
        host, port = str(address[0]), int(str(address[1]))
        return socket.create_connection((_ANYWHERE.get(host, host), port), _TIMEOUT)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT)
    try:
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


if __name__ == "__main__":
    main()
