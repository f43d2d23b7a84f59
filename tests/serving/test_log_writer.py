"""Logs that are written by several threads and processes, to what may not take them."""

import fcntl
import json
import logging
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fileservice.serving import log_writer
from fileservice.serving.log_writer import MAX_RECORD, LogWriter
from tests.serving.servers import ConfiguredServer
from tests.support.wire import Wire, ask, eventually, request

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


LINES = ["x" * 100] * 256 + ["y" * 5000] + ["z" * 100]


def written(strace: str, tmp_path: Path, *, into: str) -> list[int]:
    """Write LINES in a process whose log is a file, or a pipe; return the sizes of its writes."""
    trace, script = tmp_path / "trace", tmp_path / "script.py"
    script.write_text(
        "import logging, sys\n"
        "from fileservice.serving.log_writer import LogWriter\n"
        "logger = logging.Logger('lines')\n"
        "logger.addHandler(logging.StreamHandler(sys.stdout))\n"
        "writer = LogWriter(logger)\n"
        f"writer.write({LINES!r})\n"
        "writer.close(30)\n"
    )
    command = (
        f"{strace} -f -e trace=write -e write=none -o {trace} {sys.executable} {script} {into}"
    )
    subprocess.run(["sh", "-c", command], check=True, cwd=Path(__file__).parent.parent.parent,
                   env=os.environ | {"PYTHONPATH": "."})  # fmt: skip
    return [int(size) for size in re.findall(r"write\(1, .* = (\d+)$", trace.read_text(), re.M)]


def test_lines_that_share_a_pipe_are_written_in_pieces_that_arrive_whole(
    tool: Callable[[str], str], tmp_path: Path
) -> None:
    lengths = written(tool("strace"), tmp_path, into=f"| cat > {tmp_path / 'log'}")
    assert [length for length in lengths if length > MAX_RECORD] == [5001], "it is one line"
    assert len(lengths) < 12
    assert (tmp_path / "log").read_text().splitlines() == LINES


def test_lines_for_a_file_are_written_at_once(tool: Callable[[str], str], tmp_path: Path) -> None:
    assert len(written(tool("strace"), tmp_path, into=f"> {tmp_path / 'log'}")) == 1
    assert (tmp_path / "log").read_text().splitlines() == LINES


def test_a_handler_of_another_kind_has_a_record_of_each_line(
    pipe: tuple[int, logging.Logger],
) -> None:
    _reading, logger = pipe
    records = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())

    logger.handlers[:] = [Recorder()]
    writer = LogWriter(logger)
    writer.write(LINES)
    writer.close(30)
    assert records == LINES


def test_a_formatter_of_an_operator_is_used(tmp_path: Path) -> None:
    logger = logging.Logger("lines")
    handler = logging.FileHandler(tmp_path / "log")
    handler.setFormatter(logging.Formatter("requests: %(message)s"))
    logger.addHandler(handler)
    writer = LogWriter(logger)
    writer.write(["a", "b"])
    writer.close(30)
    handler.close()
    assert (tmp_path / "log").read_text() == "requests: a\nrequests: b\n"


def test_handlers_and_levels_of_an_operator_are_respected(tmp_path: Path) -> None:
    parent, logger = logging.Logger("all"), logging.Logger("lines")
    logger.parent = parent
    parent.addHandler(logging.FileHandler(tmp_path / "all"))
    for name, level in (("lines", logging.INFO), ("errors", logging.ERROR)):
        handler = logging.FileHandler(tmp_path / name)
        handler.setLevel(level)
        logger.addHandler(handler)
    writer = LogWriter(logger)
    writer.write(["a", "b"])
    writer.close(30)
    for handler in (*parent.handlers, *logger.handlers):
        handler.close()
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {"all": "a\nb\n", "lines": "a\nb\n", "errors": ""}


def test_a_pipe_that_does_not_block_gets_all_lines(pipe: tuple[int, logging.Logger]) -> None:
    reading, logger = pipe
    (handler,) = logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    os.set_blocking(handler.stream.fileno(), False)
    writer = LogWriter(logger)
    lines = [f"{number:04} {'x' * 200}" for number in range(1000)]  # more than the pipe holds
    writer.write(lines)
    with os.fdopen(os.dup(reading), "rb", buffering=0) as pieces:
        received = b""
        while received.count(b"\n") < len(lines):
            received += pieces.read(65536)
    writer.close(30)
    assert received.decode().splitlines() == lines


def test_a_log_that_cannot_be_written_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.Logger("lines")
    logger.addHandler(logging.FileHandler("/dev/full"))
    writer = LogWriter(logger)
    for line in ("a", "b", "c"):
        writer.write([line])
    writer.close(30)
    logger.handlers[0].close()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "No space left" in caplog.text


def test_no_line_is_joined_to_one_that_the_disk_had_no_space_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, size = tmp_path / "log", 1 << 30  # no other file of this process is so large
    log.touch()
    os.truncate(log, size)
    logger = logging.Logger("lines")
    logger.addHandler(logging.FileHandler(log))
    writer = LogWriter(logger)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, limits[1]))
    try:
        writer.write(["abcdefgh"])
        eventually(lambda: "File too large" in caplog.text)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.write(["ijkl"])
    writer.close(30)
    logger.handlers[0].close()
    with log.open("rb") as lines:
        lines.seek(size)
        assert lines.read() == b"abcde\nijkl\n"


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
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, 4096)
    try:
        server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "REQUEST_LOG": str(fifo)})
        try:
            with Wire(server) as wire:
                for _ in range(200):  # more than the pipe holds
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


@pytest.mark.parametrize("uploads", [10, pytest.param(80, marks=pytest.mark.thorough)])
def test_uploads_and_downloads_at_the_same_time_are_all_in_the_audit_log(
    tmp_path: Path, uploads: int
) -> None:
    """Uploads are reported in native threads, and downloads by greenlets."""
    log = tmp_path / "audit.log"
    server = ConfiguredServer({"STORE_URL": str(tmp_path / "store"), "AUDIT_LOG": str(log)})
    try:
        assert ask(server, request("PUT /upload/0.txt", body=BODY)).status == 201

        def upload(client: int) -> None:
            with Wire(server) as wire:
                for number in range(uploads):
                    line = f"PUT /upload/{client}-{number}.txt"
                    assert wire.ask(request(line, body=BODY)).status == 201

        def download(_client: int) -> None:
            with Wire(server) as wire:
                for _ in range(5 * uploads):
                    assert wire.ask(request("GET /download/0.txt")).status == 200

        with ThreadPoolExecutor(16) as clients:
            running = [clients.submit(upload, n) for n in range(8)]
            running += [clients.submit(download, n) for n in range(8)]
            for each in running:
                each.result()
    finally:
        server.kill()
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (events.count("stored"), events.count("read")) == (1 + 8 * uploads, 8 * 5 * uploads)


def test_lines_are_left_out_and_counted_until_the_thread_can_be_started(
    pipe: tuple[int, logging.Logger],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    reading, logger = pipe
    writer = LogWriter(logger)

    def start_none(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as without_threads:
        without_threads.setattr(log_writer, "_start_thread", start_none)
        writer.write(["a", "b"])
        writer.close(10)
    writer.write(["c"])
    writer.close(10)
    assert os.read(reading, 100) == b"c\n"
    assert [record.getMessage() for record in caplog.records] == [
        "2 lines of the request log were left out"
    ]


def test_log_whose_file_was_closed_a_moment_ago_is_written_once_it_is_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SIGUSR1 has gunicorn close the file, which it cannot always open again."""

    class Closing:
        """A lock with which somebody else has closed the file before it is given, once."""

        def acquire(self) -> bool:
            handler.stream, self.stream = self.stream, handler.stream
            return True

        def release(self) -> None:
            handler.stream = self.stream or handler.stream

        stream: object = None

    logger = logging.Logger("lines")
    handler = logging.FileHandler(tmp_path / "log")
    logger.addHandler(handler)
    handler.lock = Closing()  # type: ignore[assignment]
    writer = LogWriter(logger)
    writer.write(["lost"])
    eventually(lambda: caplog.messages)
    handler.lock = threading.RLock()
    writer.write(["written"])
    writer.close(30)
    assert caplog.messages == ["the request log cannot be written: its file is not open"]
    assert (tmp_path / "log").read_text() == "written\n"
    handler.close()
