"""HTTP/2 and HTTP/3 by the proxies that docs/deployment.md describes, with real clients."""

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cluster.run import nginx as run_nginx
from tests.support.ports import free_port
from tests.support.servers import ROOT, LiveServer
from tests.support.wire import eventually

CURLE_PARTIAL_FILE = 18

DATA = b"".join(b"line %d\n" % number for number in range(100_000))


def documented(language: str) -> str:
    """The configuration in this language in docs/deployment.md."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    (lines,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    return str(lines)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    """The certificate of localhost; its key is beside it."""
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", str(directory / "key.pem"), "-out", str(directory / "certificate.pem")],
        check=True,
        capture_output=True,
    )
    return directory / "certificate.pem"


@pytest.fixture(scope="module")
def server(start_module_server: Callable[..., LiveServer]) -> LiveServer:
    return start_module_server(TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS="localhost")


@contextlib.contextmanager
def behind_nginx(directory: Path, server: LiveServer, certificate: Path) -> Iterator[int]:
    """Run nginx as documented, and return its port."""
    port = free_port()
    lines = documented("nginx").replace("listen 443", f"listen 127.0.0.1:{port}")
    lines = lines.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    lines = lines.replace("files.example.org;", "localhost;", 1)
    lines = lines.replace("/etc/ssl/private/files.example.org.key", f"{certificate.parent}/key.pem")
    lines = lines.replace("/etc/ssl/files.example.org.pem", str(certificate))
    with run_nginx(directory, port, f"events {{}}\nhttp {{\n{lines}\n}}\n"):
        yield port


@contextlib.contextmanager
def behind_caddy(
    caddy: str, directory: Path, server: LiveServer, certificate: Path
) -> Iterator[int]:
    """Run Caddy as documented, and return its port."""
    port = free_port()
    own = f"https://localhost:{port} {{\n    bind 127.0.0.1\n    tls {certificate} "
    own += f"{certificate.parent}/key.pem"
    lines = documented("caddyfile").replace("files.example.org {", own)
    lines = lines.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    (directory / "Caddyfile").write_text(
        f"{{\n    admin off\n    http_port {free_port()}\n}}\n{lines}"
    )
    environ = os.environ | {"HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    command = [caddy, "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, env=environ, stdout=log, stderr=log) as process,
    ):
        try:
            eventually(lambda: process.poll() is not None or _is_open(port), 60)
            assert process.poll() is None, (directory / "log").read_text()
            yield port
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@pytest.fixture
def curl(tool: Callable[[str], str], certificate: Path, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs curl --http2, and returns the version and the status.

    `statuses` are the exit statuses of curl that are expected.
    """

    def run(*arguments: str, statuses: Sequence[int] = (0,)) -> str:
        command = [tool("curl"), "--silent", "--show-error", "--http2", "--noproxy", "*"]
        command += ["--cacert", str(certificate), "--write-out", "%{http_version} %{http_code}"]
        command += ["--output", str(tmp_path / "body"), "--dump-header", str(tmp_path / "head")]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=100)
        assert done.returncode in statuses, done.stderr
        return done.stdout

    return run


def is_served_by_http2(
    port: int, name: str, curl: Callable[..., str], server: LiveServer, directory: Path
) -> None:
    """Upload, be refused, and download, and compare what comes back."""
    url, body = f"https://localhost:{port}", directory / "body"
    sent = directory / "sent.txt"
    sent.write_bytes(DATA)
    assert curl("--upload-file", str(sent), f"{url}/upload/{name}") == "2 201"
    assert f"location: {url}/download/{name}\n" in (directory / "head").read_text().lower()
    assert (server.store / name).read_bytes() == DATA
    # A proxy may reset the stream of an upload after the whole response, so that the client stops
    # sending (RFC 9113 section 8.1). Then curl 7.88 may lose the end of the body of the response.
    expected = 0, CURLE_PARTIAL_FILE
    assert curl("--upload-file", str(sent), f"{url}/upload/{name}", statuses=expected) == "2 409"
    head = (directory / "head").read_text()
    assert "application/problem+json" in head
    (length,) = re.findall(r"content-length: (\d+)", head)
    assert body.stat().st_size < int(length) or b"name-taken" in body.read_bytes()
    empty = ["--request", "PUT", "--header", "Content-Length: 0"]
    assert curl(*empty, f"{url}/upload/{name}") == "2 409"
    assert b"name-taken" in body.read_bytes()
    assert curl(f"{url}/download/{name}") == "2 200"
    assert body.read_bytes() == DATA
    assert curl("--range", "100-199", f"{url}/download/{name}") == "2 206"
    assert body.read_bytes() == DATA[100:200]
    fields = ["--header", "X-Forwarded-Prefix: /elsewhere", "--header", "X-Forwarded-Host: evil"]
    assert curl(*fields, f"{url}/download") == "2 200"
    assert f'"{url}/download/{name}"' in body.read_text()


@pytest.mark.usefixtures("nginx", "over_a_directory")
def test_nginx_as_documented_gives_clients_http2(
    server: LiveServer, certificate: Path, curl: Callable[..., str], tmp_path: Path
) -> None:
    with behind_nginx(tmp_path, server, certificate) as port:
        is_served_by_http2(port, "nginx.txt", curl, server, tmp_path)


@pytest.mark.thorough
@pytest.mark.usefixtures("over_a_directory")
def test_caddy_as_documented_gives_clients_http2_and_http3(
    server: LiveServer,
    certificate: Path,
    curl: Callable[..., str],
    deploy_tool: Callable[[str], str],
    tmp_path: Path,
) -> None:
    with behind_caddy(deploy_tool("caddy"), tmp_path, server, certificate) as port:
        is_served_by_http2(port, "caddy.txt", curl, server, tmp_path)
        assert "h3" in (tmp_path / "head").read_text().lower()  # Alt-Svc
        client = [deploy_tool("python"), str(Path(__file__).with_name("http3_client.py"))]
        paths = ["/upload/quic.txt", "/download/quic.txt", str(tmp_path / "sent.txt")]
        done = subprocess.run(
            [*client, str(port), str(certificate), *paths], capture_output=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        statuses, _, body = done.stdout.partition(b"\n")
        assert (statuses, body) == (b"201 200", DATA)
