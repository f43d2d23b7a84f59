"""Clamd: the real one tells clean files from others, and nothing else passes for its answer."""

import os
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fileservice.executor import NativeSockets
from fileservice.setting_parsers import parse_clamd_url
from fileservice.upload import Clamd, ClamdError, TooLargeForClamd
from tests.support.clamd import EICAR, SIGNATURE, ClamdServer, false_clamd, read_stream
from tests.support.rows import every_row

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdServer]:
    with ClamdServer(tmp_path_factory.mktemp("clamd")) as server:
        yield server


def client(url: str, timeout: float = 60) -> Clamd:
    address = parse_clamd_url(url)
    assert address
    return Clamd(address, timeout, NativeSockets())


@contextmanager
def descriptor_of(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


def require_ready(url: str, size: int) -> None:
    """Ask as the service does, but for longer: clamd may be slow on a busy machine."""
    client(url).require_ready(size, 60)


def scan(url: str, content: bytes, timeout: float = 60) -> str | None:
    with descriptor_of(content) as descriptor:
        return client(url, timeout).scan(descriptor, len(content))


class TestRealClamd:
    @pytest.mark.parametrize("way", ["url", "socket_url"])
    def test_signature_is_found_and_clean_files_have_none(
        self, server: ClamdServer, way: str
    ) -> None:
        url = getattr(server, way)
        require_ready(url, MIB)
        assert scan(url, EICAR) == SIGNATURE
        assert scan(url, b"a text") is None
        assert scan(url, b"") is None

    def test_signature_at_the_end_of_a_long_file_is_found(self, server: ClamdServer) -> None:
        assert scan(server.url, os.urandom(3 * MIB + 17) + EICAR) == SIGNATURE

    def test_larger_files_than_clamd_looks_at_are_not_called_clean(self, tmp_path: Path) -> None:
        """Its limit for INSTREAM may be higher, but it ends a scan of 2 GiB before it begins."""
        two_gib = 1 << 31
        with ClamdServer(tmp_path / "clamd", max_stream="3000M") as server:
            with pytest.raises(TooLargeForClamd, match="another scanner"):
                require_ready(server.url, two_gib)
            require_ready(server.url, two_gib - 3)
            with tempfile.TemporaryFile() as file:
                file.truncate(two_gib)
                with pytest.raises(TooLargeForClamd):
                    client(server.url).scan(file.fileno(), two_gib)

    def test_only_the_given_number_of_bytes_is_sent(self, server: ClamdServer) -> None:
        with descriptor_of(b"a text" + EICAR) as descriptor:
            assert client(server.url).scan(descriptor, 6) is None

    def test_offset_of_the_descriptor_does_not_matter(self, server: ClamdServer) -> None:
        with descriptor_of(EICAR) as descriptor:
            os.lseek(descriptor, 20, os.SEEK_SET)
            assert client(server.url).scan(descriptor, len(EICAR)) == SIGNATURE
            assert os.lseek(descriptor, 0, os.SEEK_CUR) == 20

    def test_limit_of_streams_is_found_out_to_the_byte(self, server: ClamdServer) -> None:
        require_ready(server.url, 50 * MIB)
        with pytest.raises(TooLargeForClamd, match="StreamMaxLength"):
            require_ready(server.url, 50 * MIB + 1)
        with pytest.raises(TooLargeForClamd):
            require_ready(server.url, 1 << 40)

    def test_longer_file_than_clamd_takes_is_not_scanned(self, server: ClamdServer) -> None:
        with pytest.raises(TooLargeForClamd):
            scan(server.socket_url, bytes(51 * MIB))

    def test_stopped_and_suspended_clamd_raise_an_error(self, tmp_path: Path) -> None:
        with ClamdServer(tmp_path) as own:
            own.suspend()
            with pytest.raises(ClamdError, match="in time"):
                scan(own.url, EICAR, timeout=0.5)
            with pytest.raises(ClamdError, match="in time"):
                scan(own.socket_url, bytes(20 * MIB), timeout=0.5)  # more than the socket holds
            own.resume()
            assert scan(own.url, EICAR) == SIGNATURE
            own.stop()
            for url in (own.url, own.socket_url):
                with pytest.raises(ClamdError, match="cannot be reached"):
                    scan(url, EICAR)
                with pytest.raises(ClamdError, match="cannot be reached"):
                    require_ready(url, 1)


def after_the_stream(answer: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        read_stream(connection)
        connection.sendall(answer)

    return serve


@every_row(
    "answer",
    [
        b"",
        b"OK\0",
        b"stream: \0",
        b"stream: OKAY\0",
        b"stream:  FOUND\0",
        b"PONG\0",
        b"UNKNOWN COMMAND\0",
        b"stream: scan failed ERROR\0",
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"stream: OK\0stream: OK\0",
        b"\xff\xfe",
        b"x" * 100_000,
    ],
)
def test_any_other_answer_is_an_error(answer: bytes) -> None:
    with false_clamd(after_the_stream(answer)) as url, pytest.raises(ClamdError):
        scan(url, b"a text")


def test_answer_in_pieces_is_put_together() -> None:
    def serve(connection: socket.socket) -> None:
        assert read_stream(connection) == b"a text"
        for byte in b"stream: Some.Signature-1 FOUND\0":
            connection.sendall(bytes((byte,)))

    with false_clamd(serve) as url:
        assert scan(url, b"a text") == "Some.Signature-1"


def test_signature_has_no_control_characters_and_is_not_long() -> None:
    evil = b"A\r\nSet-Cookie: a=\x1b[31m\xc3\xa4<b>"
    with false_clamd(after_the_stream(b"stream: " + evil + b"x" * 500 + b" FOUND\0")) as url:
        signature = scan(url, b"a text")
    assert signature
    assert signature.isascii()
    assert signature.isprintable()
    assert " " not in signature
    assert len(signature) <= 100


def test_clean_before_the_end_of_the_file_is_an_error() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"stream: OK\0")
        read_stream(connection)

    with false_clamd(serve) as url, pytest.raises(ClamdError, match="before"):
        scan(url, bytes(20 * MIB))  # more than fits between the two


@every_row("answer", [b"", b"stream: OK\0"])
def test_connection_that_is_closed_meanwhile_is_an_error(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(answer)
        if not answer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with false_clamd(serve) as url, pytest.raises(ClamdError):
        scan(url, bytes(20 * MIB))


def test_host_without_an_address_is_an_error() -> None:
    with pytest.raises(ClamdError, match="cannot be found"):
        client("tcp://clamd.invalid:3310").require_ready(1)
