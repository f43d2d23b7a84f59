"""Whether the service can listen where it is to; gunicorn itself tries for five seconds first."""

import errno
import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

_SETTING = "FILESERVICE_BIND"
_FIRST_PORT = 1024
_DYING_SECONDS = 2.0
"""How long the workers of a service that was killed may still have its port."""


class CannotListen(Exception):
    """The service cannot listen; the message is a sentence that says what to do."""


def check_listeners(cfg: Any) -> None:
    """Raise CannotListen if an address of gunicorn's `cfg` is of no use.

    Sockets that this process inherits, from systemd or from the master that it replaces, are not
    checked.
    """
    if "GUNICORN_PID" in os.environ or os.environ.get("LISTEN_PID") == str(os.getpid()):
        return
    for address in cfg.address:
        if isinstance(address, tuple) and not cfg.reuse_port:
            _check_port(*address)
        elif isinstance(address, str) and not address.startswith("\0"):
            _check_path(Path(address))


def _check_port(host: str, port: int) -> None:
    deadline = time.monotonic() + _DYING_SECONDS
    try:
        while not _can_bind(host, port, is_last=time.monotonic() > deadline):
            time.sleep(0.05)
    except socket.gaierror:
        reason = f"{host} cannot be resolved: name another host or its address in {_SETTING}"
    except OSError as error:
        reason = _reason(error, host, port)
    else:
        return
    raise CannotListen(reason)


def _can_bind(host: str, port: int, *, is_last: bool) -> bool:
    """Return whether the port is free; if this is the last attempt, raise OSError if it is not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As gunicorn does it: connections that a predecessor has closed are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if is_last or error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use: stop the process that listens there"
            f" (`ss -ltnp` names it), or set {_SETTING} to another port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine does not have the address {host}: set {_SETTING} to one that it has"
    if error.errno == errno.EACCES and port < _FIRST_PORT:
        return (
            f"this user may not listen on port {port}: set {_SETTING} to a port from {_FIRST_PORT}"
            " on, or give the process CAP_NET_BIND_SERVICE"
        )
    return f"{_SETTING}: {host} port {port} cannot be used: {error.strerror}"


def _check_path(path: Path) -> None:
    directory = path.absolute().parent
    try:
        is_directory, is_socket = directory.is_dir(), _is_socket(path)
        may_create = os.access(directory, os.W_OK | os.X_OK)
    except PermissionError:
        is_directory, is_socket, may_create = True, True, False
    except OSError as error:
        raise CannotListen(f"{_SETTING}: {path} cannot be used: {error.strerror}") from None
    if not is_directory:
        raise CannotListen(f"{directory} is not a directory: create it, or change {_SETTING}")
    if not is_socket:
        raise CannotListen(f"{path} is not a socket: remove it, or change {_SETTING}")
    if not may_create:
        raise CannotListen(
            f"this user may not create a socket in {directory}: change its permissions, or"
            f" {_SETTING}"
        )
    if _is_in_use(path):
        raise CannotListen(
            f"{path} is in use: stop the process that listens there, or change {_SETTING}"
        )


def _is_socket(path: Path) -> bool:
    """Return whether this is a socket, or nothing yet."""
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return True


def _is_in_use(path: Path) -> bool:
    """Return whether a process listens there; gunicorn would take its place without a word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EAGAIN  # its queue is full
    return True
