"""Servers with changed settings of gunicorn, and requests to observe them with."""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx

from tests.support.servers import LiveServer
from tests.support.wire import Answer, Wire, request

SILENT_SECONDS = 0.3
"""Seconds without a byte after which the server counts as silent."""


class ConfiguredServer(LiveServer):
    """The service with its own gunicorn.conf.py and `lines` of configuration after it."""

    def __init__(
        self, settings: Mapping[str, str], *lines: str, command: Sequence[str] = ()
    ) -> None:
        store = Path(settings["STORE_URL"])
        store.parent.mkdir(parents=True, exist_ok=True)
        configuration = store.with_name(f"{store.name}.conf.py")
        configuration.write_text(
            "\n".join(
                [
                    # Its functions must see the variables that `lines` change.
                    "import pathlib",
                    "exec(pathlib.Path('gunicorn.conf.py').read_text())",
                    *lines,
                    "",
                ]
            )
        )
        self.arguments = ["--config", str(configuration)]
        super().__init__({"WORKERS": "1", "FSYNC": "false", **settings}, *command)

    def open_descriptors(self) -> list[str]:
        """Return the connections and the files of the store that the workers have open."""
        opened = [path for pid in self.workers() for path in _descriptors(pid)]
        connections = {f"socket:[{inode}]" for inode in _connections()}
        return [path for path in opened if path in connections or path.startswith(f"{self.store}/")]

    def put(self, name: str, data: bytes) -> None:
        """Put a file into the directory of the store, as rsync would."""
        aside = self.store.with_name(f"{self.store.name}-{name}")
        aside.write_bytes(data)
        aside.rename(self.store / name)


class TlsServer(ConfiguredServer):
    """The service over TLS, with a certificate that only its own clients trust."""

    def __init__(
        self, settings: Mapping[str, str], certificate: Path, key: Path, head_seconds: int = 200
    ) -> None:
        self.certificate = certificate
        self.tls = ssl.create_default_context(cafile=str(certificate))
        super().__init__(
            settings,
            f"certfile = {str(certificate)!r}",
            f"keyfile = {str(key)!r}",
            f"head_timeout = {head_seconds}",
            "keepalive = 200",
        )

    def start(self) -> None:
        self.url = f"https://127.0.0.1:{self.port}"
        super().start()

    def _http_connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=self.tls)

    def connect(self) -> socket.socket:
        return self.tls.wrap_socket(super().connect(), server_hostname="127.0.0.1")

    def connect_silently(self) -> socket.socket:
        """Open a connection without a TLS handshake."""
        return super().connect()

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.url, timeout=30, verify=self.tls) as client:
            yield client


def _descriptors(pid: int) -> list[str]:
    """Return what the descriptors of a process refer to."""
    paths = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                paths.append(str(descriptor.readlink()))
    return paths


def _connections() -> Iterator[str]:
    """Yield the inodes of all TCP connections over IPv4."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] != "0A":  # TCP_LISTEN
            yield fields[9]


def answers(wire: Wire) -> list[Answer]:
    """Return all responses that arrive before the server closes the connection."""
    found = []
    wire.socket.settimeout(30)
    while True:
        try:
            if not wire._reader.peek(1):
                return found
        except ConnectionResetError:
            return found
        found.append(wire.answer())


def receives_nothing(wire: Wire, seconds: float = SILENT_SECONDS) -> bool:
    """Return whether the server neither sends a byte nor closes for so long."""
    wire.socket.settimeout(seconds)
    try:
        wire.socket.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return True
    finally:
        wire.socket.settimeout(30)
    return False


class Traffic:
    """Threads that upload, download and delete files until the context ends.

    Each request has a connection of its own. `failures` describes those that failed, and `done`
    counts all.
    """

    def __init__(self, server: LiveServer, threads: int = 4) -> None:
        self.failures: list[str] = []
        self.done = 0
        self._server = server
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(threads)
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number: int) -> None:
        data = b"line %d\n" % number * 2000
        count = 0
        while not self._over.is_set():
            count += 1
            name = f"traffic-{number}-{count}.txt"
            for line, body, wanted in (
                (f"PUT /upload/{name}", data, 201),
                (f"GET /download/{name}", None, 200),
                (f"DELETE /download/{name}", None, 204),
            ):
                try:
                    with Wire(self._server) as wire:
                        answer = wire.ask(request(line, "Connection: close", body=body))
                    if answer.status != wanted or (wanted == 200 and answer.body != data):
                        self.failures.append(f"{line}: {answer}")
                except (OSError, AssertionError) as error:
                    self.failures.append(f"{line}: {error!r}")
                self.done += 1
