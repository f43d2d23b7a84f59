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
        if isinstance(client, tuple):
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = client[0], str(client[1])
        else:
            environ["REMOTE_ADDR"] = ""
        for name, value in request.headers:
            key = name.replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ
