"""The WSGI environment of a request (PEP 3333), made from what every request shares."""

from typing import Any

from gevent.socket import socket
from gunicorn import util
from gunicorn.http.message import Request
from gunicorn.http.wsgi import base_environ


class Environs:
    """Makes environments for the requests that come in by one listener."""

    def __init__(self, cfg: Any, server: Any) -> None:
        name, port = server[:2] if isinstance(server, tuple) else (str(server), "")
        self._shared = base_environ(cfg) | {
            "wsgi.multithread": True,
            "SCRIPT_NAME": "",
            "SERVER_NAME": name,
            "SERVER_PORT": str(port),
        }

    def make(self, request: Request, connection: socket, client: Any) -> dict[str, Any]:
        """The environment of `request`, whose body is `wsgi.input`."""
        environ: dict[str, Any] = self._shared | {
            "wsgi.input": request.body,
            "wsgi.url_scheme": request.scheme,
            "gunicorn.socket": connection,
            "REQUEST_METHOD": request.method,
            "RAW_URI": request.uri,
            "PATH_INFO": util.unquote_to_wsgi_str(request.path),
            "QUERY_STRING": request.query,
            "SERVER_PROTOCOL": f"HTTP/{request.version[0]}.{request.version[1]}",
        }
        environ |= _peer(client)
        for name, value in request.headers:
            key = name.replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ

    @staticmethod
    def of_refused(line: str, client: Any) -> dict[str, str]:
        """What a log can be told of a request of which only its first `line` is known, or less."""
        method, target, protocol = [*line.split(" ", 2), "", ""][:3]
        fields = {"REQUEST_METHOD": method, "RAW_URI": target, "SERVER_PROTOCOL": protocol}
        return fields | _peer(client)


def _peer(client: Any) -> dict[str, str]:
    if not isinstance(client, tuple):
        return {"REMOTE_ADDR": ""}  # a Unix socket's peer has none
    return {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1])}
