"""Certificates: what is read at the start, and anew when the service is told to reload (SIGHUP)."""

import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gunicorn.config import Config

from fileservice.serving.certificates import CertificateError, load_certificate
from tests.serving.servers import TlsServer
from tests.support.wire import Wire, eventually, request

LINE = b"a line of text that fills the file\n"
DATA = LINE * 1_000_000
PROBE = request("GET /healthz")


@pytest.fixture
def issue(tmp_path: Path, tool: Callable[[str], str]) -> Callable[[], tuple[Path, Path]]:
    """Return a function that replaces the certificate and the key, and returns their paths."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def issue() -> tuple[Path, Path]:
        subprocess.run(
            [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt"]
            + ["ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
            + ["-addext", "subjectAltName=IP:127.0.0.1"]
            + ["-keyout", str(key), "-out", str(certificate)],
            check=True,
            capture_output=True,
        )
        return certificate, key

    return issue


@pytest.fixture
def server(tmp_path: Path, issue: Callable[[], tuple[Path, Path]]) -> Iterator[TlsServer]:
    server = TlsServer({"STORE_URL": str(tmp_path / "store"), "WORKERS": "2"}, *issue())
    yield server
    server.kill()


def served(server: TlsServer) -> bytes:
    """The certificate that a new connection gets, whoever has signed it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = server.connect_silently()
    with context.wrap_socket(raw) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate
    return certificate


def der(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


def test_new_certificate_is_served_after_a_reload_and_transfers_go_on(
    server: TlsServer, issue: Callable[[], tuple[Path, Path]]
) -> None:
    server.put("large.txt", DATA)
    with Wire(server) as up, Wire(server) as down:
        up.send(request("PUT /upload/up.txt", f"Content-Length: {len(DATA)}") + DATA[:100_000])
        down.send(request("GET /download/large.txt"))
        eventually(server.staged)
        old = set(server.workers())
        certificate, _ = issue()
        assert served(server) != der(certificate)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(set(server.workers()) - old) == 2)
        eventually(lambda: served(server) == der(certificate))
        up.send(DATA[100_000:])
        assert up.answer().status == 201
        assert down.answer().body == DATA
    assert "Traceback" not in server.log()
    assert "MonkeyPatchWarning" not in server.log()  # of modules that keep what gevent replaces


@pytest.mark.thorough
def test_reload_with_a_broken_certificate_keeps_the_one_that_was_served(
    server: TlsServer, issue: Callable[[], tuple[Path, Path]]
) -> None:
    before = served(server)
    certificate, key = issue()
    whole = key.read_bytes()
    key.write_bytes(whole[:100])  # as it is while another program writes it

    server.replace_workers()

    assert served(server) == before
    assert f"--keyfile {str(key)!r}: they are not a certificate and its key" in server.log()
    server.kill_workers()  # one that is started later has the certificate as well
    assert served(server) == before
    key.write_bytes(whole)
    server.replace_workers()
    eventually(lambda: served(server) == der(certificate))


def test_service_does_not_start_with_a_broken_key_and_names_it(
    tmp_path: Path, issue: Callable[[], tuple[Path, Path]]
) -> None:
    certificate, key = issue()
    key.write_text("no key\n")
    with pytest.raises(RuntimeError, match="did not start") as raised:
        TlsServer({"STORE_URL": str(tmp_path / "store")}, certificate, key)
    (line,) = [line for line in str(raised.value).splitlines() if "--certfile" in line]
    assert str(key) in line
    assert "Traceback" not in str(raised.value)


def test_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    cfg = Config()
    cfg.set("certfile", missing)
    cfg.set("keyfile", missing)
    with pytest.raises(CertificateError, match=r"cannot be read \(No such file or directory\)"):
        load_certificate(cfg)
