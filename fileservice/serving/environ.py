"""The WSGI environment of a request (PEP 3333)."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from wsgiref.util import FileWrapper

from fileservice.serving.gunicorn_api import Request, path_info, shared_environ
from fileservice.wsgi_extensions import FileRegions

_FILE_BLOCK_SIZE = 256 * 1024


class EnvironFactory:
    """Makes the environments of the requests that arrive by one listener.

    All of them have the `extensions` that the worker offers.
    """

    def __init__(
        self, cfg: Any, server: Any, extensions: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        name, port = server[:2] if isinstance(server, tuple) else (str(server), "")
        self._shared = shared_environ(cfg) | {
            **extensions,
            "wsgi.file_wrapper": wrap_file,
            "SERVER_NAME": name,
            "SERVER_PORT": str(port),
        }

    def make(self, request: Request, client: Any) -> dict[str, Any]:
        """Return the environment of `request`, which comes from the address `client`."""
        environ: dict[str, Any] = self._shared | {
            "wsgi.input": request.body,
            "wsgi.url_scheme": request.scheme,
            "REQUEST_METHOD": request.method,
            "RAW_URI": request.uri,
            "PATH_INFO": path_info(request),
            "QUERY_STRING": request.query,
            "SERVER_PROTOCOL": f"HTTP/{request.version[0]}.{request.version[1]}",
        }
        environ |= _client_fields(client)
        for name, value in request.headers:
            key = name.replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        return environ


def wrap_file(file: Any, block_size: int = _FILE_BLOCK_SIZE) -> FileRegions | FileWrapper:
    """Return an iterable of the file's blocks: `wsgi.file_wrapper` of PEP 3333.

    FileRegions are returned as they are; the response sends them by sendfile(2).
    """
    if isinstance(file, FileRegions):
        return file
    return FileWrapper(file, max(block_size, _FILE_BLOCK_SIZE))


@lru_cache(maxsize=512)
def _client_fields(client: Any) -> dict[str, str]:
    if not isinstance(client, tuple):
        return {"REMOTE_ADDR": ""}  # the peer of a Unix socket has no address
    return {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1])}
