"""Logs that are written by several threads and processes, to what may not take them."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fileservice.serving.log_writer import MAX_RECORD, LogWriter
from tests.serving.servers import ConfiguredServer
from tests.support.wire import Wire, ask, request

BODY = b"a line of text\n" * 10_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, logging.Logger]]:
    """The end of a pipe to read from, and a logger that writes to the other one."""
    reading, writing = os.pipe()
    logger = logging.Logger("lines")
    with os.fdopen(writing, "w") as stream:
        logger.addHandler(logging.StreamHandler(stream))
        yield reading, logger
    os.close(reading)


def test_lines_that_share_a_pipe_are_written_in_pieces_that_arrive_whole(
    pipe: tuple[int, logging.Logger],
) -> None:
    _reading, logger = pipe
    lengths = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lengths.append(len(record.getMessage()) + 1)

    logger.handlers[:] = [Recorder()]
    writer = LogWriter(logger)
    writer.write(["x" * 100] * 256 + ["y" * 5000] + ["z" * 100])
    writer.close(30)
    assert sum(lengths) == 257 * 101 + 5001
    assert [length for length in lengths if length > MAX_RECORD] == [5001], "it is one line"
    assert len(lengths) < 12


def test_whoever_writes_to_a_pipe_that_nobody_reads_is_not_held_up(
    pipe: tuple[int, logging.Logger],
) -> None:
    reading, logger = pipe
    writer = LogWriter(logger)
    for number in range(3000):
        writer.write([f"{number:04} {'x' * 200}"])
    with os.fdopen(os.dup(reading), "rb", buffering=0) as lines:
        received = b""
        while not received.endswith(b"\n") or received.count(b"\n") < 1000:
            received += lines.read(65536)
        writer.close(30)
    numbers = [int(line[:4]) for line in received.splitlines()]
    assert numbers[:1000] == list(range(1000)), "those that were left out are later ones"


def test_service_answers_while_nobody_reads_its_request_log(tmp_path: Path) -> None:
    fifo = tmp_path / "requests"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDWR)  # there is a reader, which reads nothing
    try:
        server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "REQUEST_LOG": str(fifo)})
        try:
            with Wire(server) as wire:
                for _ in range(1000):  # more than the pipe holds
                    assert wire.ask(request("GET /livez")).status == 200
        finally:
            os.set_blocking(reading, False)
            drain = threading.Thread(target=_read_all, args=(reading, server))
            drain.start()
            server.stop()
            drain.join()
    finally:
        os.close(reading)


def _read_all(descriptor: int, server: ConfiguredServer) -> None:
    while server.process.poll() is None:
        try:
            os.read(descriptor, 65536)
        except BlockingIOError:
            threading.Event().wait(0.01)


def test_uploads_and_downloads_at_the_same_time_are_all_in_the_audit_log(tmp_path: Path) -> None:
    """Uploads are reported in native threads, and downloads by greenlets."""
    log = tmp_path / "audit.log"
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "AUDIT_LOG": str(log)})
    try:
        assert ask(server, request("PUT /upload/0.txt", body=BODY)).status == 201

        def upload(client: int) -> None:
            with Wire(server) as wire:
                for number in range(80):
                    line = f"PUT /upload/{client}-{number}.txt"
                    assert wire.ask(request(line, body=BODY)).status == 201

        def download(_client: int) -> None:
            with Wire(server) as wire:
                for _ in range(400):
                    assert wire.ask(request("GET /download/0.txt")).status == 200

        with ThreadPoolExecutor(16) as clients:
            running = [clients.submit(upload, n) for n in range(8)]
            running += [clients.submit(download, n) for n in range(8)]
            for each in running:
                each.result(timeout=60)
    finally:
        server.kill()
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (events.count("stored"), events.count("read")) == (1 + 8 * 80, 8 * 400)
