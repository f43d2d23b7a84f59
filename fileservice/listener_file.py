"""The file in which a running service records the addresses it listens on.

Only the running service knows them: FILESERVICE_BIND may be overridden by the command line or by
GUNICORN_CMD_ARGS, which also decide about TLS. gunicorn's master process writes one file in the
directory for temporary files (gunicorn_config.py), and health checks on the same machine read it.

A process that is killed leaves its file behind, and another one may get its id. So the file says
when its process has begun, and counts only while a process with this id and this begin runs.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NAME = "fileservice-{uid}-{pid}.json"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that a service listens on.

    `address` is the path of a Unix socket, or a host and a port as in `socket.getsockname`.
    """

    address: str | tuple[str, int]
    tls: bool


def write(addresses: Iterable[object], *, tls: bool) -> None:
    """Record that this process listens on these addresses; replace what it recorded before.

    `addresses` are as `socket.getsockname` returns them. Raises OSError.
    """
    descriptor, temporary = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(
                {
                    "started": _start_of("self"),
                    "tls": tls,
                    "addresses": [_absolute(address) for address in addresses],
                },
                file,
            )
        Path(temporary).replace(_path(os.getpid()))
    except BaseException:
        Path(temporary).unlink()
        raise


def remove() -> None:
    """Remove the file of this process, if there is one."""
    with contextlib.suppress(OSError):
        _path(os.getpid()).unlink()


def read_all() -> list[Listener]:
    """Return the listeners of all running services of this user. Raises OSError."""
    paths = Path(tempfile.gettempdir()).glob(_NAME.format(uid=os.getuid(), pid="*"))
    return [listener for path in paths if _is_owned_by_user(path) for listener in _read(path)]


def _absolute(address: object) -> object:
    """Return an address that a process with another working directory can use."""
    if isinstance(address, bytes):  # a name in the abstract namespace (unix(7)), not a path
        return os.fsdecode(address)
    return str(Path(address).absolute()) if isinstance(address, str) else address


def _path(pid: int) -> Path:
    return Path(tempfile.gettempdir(), _NAME.format(uid=os.getuid(), pid=pid))


def _is_owned_by_user(path: Path) -> bool:
    """Return whether this user wrote the file; anybody can create files in that directory."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_uid == os.getuid()
    return False


def _start_of(pid: str) -> int | None:
    """Return when a process has begun, in clock ticks since the machine has; None if it has ended.

    It is the 22nd field of /proc/PID/stat (proc(5)). One that was killed and has not been waited
    for still has an entry there.
    """
    try:
        # The name of the program is in parentheses, and may contain any bytes, these as well.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _read(path: Path) -> list[Listener]:
    """Return the listeners that a file names; none if its process has ended."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:  # the service has just stopped
        return []
    started = content.get("started")
    if started is None or started != _start_of(path.stem.rpartition("-")[2]):
        return []
    return [
        Listener(address if isinstance(address, str) else (address[0], address[1]), content["tls"])
        for address in content["addresses"]
    ]
