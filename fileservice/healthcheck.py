"""Check the health of the service on this machine: `python -m fileservice.healthcheck`.

The exit status is 0 if every listener of every service of this user answers GET /healthz with 200.
Otherwise it is 1, and a line on standard error gives the reason.
"""

import http.client
import socket
import ssl
import sys

from fileservice import listener_file
from fileservice.listener_file import Listener

_TIMEOUT = 4.0
"""Seconds without a byte until a listener counts as dead; less than the 5 s of the Dockerfile."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # these are looked up, not bound


def check() -> None:
    """Raise OSError, HTTPException or RuntimeError unless every listener is healthy."""
    listeners = listener_file.read_all()
    if not listeners:
        raise RuntimeError("no service runs here, or it is not ready yet")
    for listener in listeners:
        _check_listener(listener)


def main() -> None:
    """Exit with status 0 if the service is healthy, else with 1 and the reason."""
    try:
        check()
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        sys.exit(f"unhealthy: {error or type(error).__name__}")


def _check_listener(listener: Listener) -> None:
    with (
        _connect(listener.address) as plain,
        _encrypt(plain) if listener.tls else plain as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        response = http.client.HTTPResponse(connection)
        response.begin()
        if response.status != 200:
            raise RuntimeError(f"GET /healthz was answered {response.status} {response.reason}")


def _encrypt(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the certificate is for the host name that clients use
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)


def _connect(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        host, port = address
        return socket.create_connection((_LOOPBACK.get(host, host), port), _TIMEOUT)
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
