"""The parts of gunicorn and gevent that neither documents, each by what we rely on.

A test that fails here after an upgrade names the part that changed.
"""

import errno
import io
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import gevent.socket
import pytest
from gevent.server import StreamServer
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http.errors import (
    InvalidHeader,
    InvalidHeaderName,
    InvalidResponseHeader,
    LimitRequestHeaders,
    NoMoreData,
    ObsoleteFolding,
)

from fileservice.serving import gunicorn_api as api
from fileservice.serving.environ import wrap_file
from fileservice.wsgi_extensions import FileRegions


class BytesSource(api.BaseSource):
    """A source that holds all of its bytes, and gives them in two parts."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._parts = [data[:10], data[10:]]

    def chunk(self, *_size_hint: int | None) -> bytes:
        return self._parts.pop(0) if self._parts else b""


@pytest.fixture(params=["fast", "python"])
def cfg(request: pytest.FixtureRequest) -> Config:
    """gunicorn's defaults, with either parser."""
    cfg = Config()
    cfg.set("http_parser", request.param)
    return cfg


def read(cfg: Config, *lines: str, body: bytes = b"") -> api.Request:
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    return api.read_request(cfg, BytesSource(data), ("127.0.0.1", 1), 1)


def test_request_has_the_attributes_that_we_read(cfg: Config) -> None:
    request = read(cfg, "GET /a%20b?c=d HTTP/1.1", "Host: a", "X-Field: e")
    assert (request.method, request.uri) == ("GET", "/a%20b?c=d")
    assert (request.path, request.query) == ("/a%20b", "c=d")
    assert (request.version, request.scheme) == ((1, 1), "http")
    assert request.headers == [("HOST", "a"), ("X-FIELD", "e")]


def test_request_raises_no_more_data_if_the_head_ends_early(cfg: Config) -> None:
    with pytest.raises(NoMoreData):
        api.read_request(cfg, BytesSource(b"GET / HTTP/1.1\r\nHost:"), ("127.0.0.1", 1), 1)


def test_errors_of_the_source_reach_the_caller_of_the_parser(cfg: Config) -> None:
    class Limited(BytesSource):
        def chunk(self, *_size_hint: int | None) -> bytes:
            raise LimitRequestHeaders("too long")

    with pytest.raises(LimitRequestHeaders):
        api.read_request(cfg, Limited(b""), ("127.0.0.1", 1), 1)


@pytest.mark.parametrize(("fields", "expected"), [((), False), (("Expect: 100-continue",), True)])
def test_expectation_is_noted_in_expected_100_continue(
    cfg: Config, fields: tuple[str, ...], expected: bool
) -> None:
    request = read(cfg, "PUT / HTTP/1.1", "Host: a", "Content-Length: 5", *fields)
    assert api.expects_continue(request) is expected


@pytest.mark.parametrize(("fields", "length"), [((), 0), (("Content-Length: 5",), 5)])
def test_reader_of_a_body_without_chunks_has_its_length(
    cfg: Config, fields: tuple[str, ...], length: int
) -> None:
    request = read(cfg, "PUT / HTTP/1.1", "Host: a", *fields)
    assert api.body_length(request) == length


def test_reader_of_a_chunked_body_has_no_length(cfg: Config) -> None:
    request = read(cfg, "PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
    assert api.body_length(request) is None


@pytest.mark.parametrize("section", [b"A: 1", b"A: 1\r\nB: 2", b"GET: / HTTP/1.1"])
def test_trailers_are_fields(cfg: Config, section: bytes) -> None:
    api.check_trailers(read(cfg, "PUT / HTTP/1.1", "Host: a"), section)


@pytest.mark.parametrize(
    "section", [b"A", b"A : 1", b"A: 1\r\n b", b"Content-Length: 5", b"Host: b"]
)
def test_lines_that_are_no_trailers_raise_an_error(cfg: Config, section: bytes) -> None:
    with pytest.raises((InvalidHeader, InvalidHeaderName, ObsoleteFolding)):
        api.check_trailers(read(cfg, "PUT / HTTP/1.1", "Host: a"), section)


def test_bytes_behind_the_head_can_be_taken_from_the_source_and_put_back(cfg: Config) -> None:
    source = BytesSource(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next")
    api.read_request(cfg, source, ("127.0.0.1", 1), 1)
    assert source.take_buffered() == b"GET /next"
    source.unread(b"GET /again")
    assert source.take_buffered() == b"GET /again"


def test_host_of_a_request_can_be_replaced(cfg: Config) -> None:
    request = read(cfg, "GET http://b HTTP/1.1", "Host: a", "Accept: c")
    api.replace_host(request, "b")
    assert sorted(request.headers) == [("ACCEPT", "c"), ("HOST", "b")]
    assert request.path == "/"


def test_path_info_is_decoded_once_as_latin_1(cfg: Config) -> None:
    request = read(cfg, "GET /%c3%a4%2525 HTTP/1.1", "Host: a")
    assert api.path_info(request) == "/\xc3\xa4%25"


def test_base_environ_has_what_pep_3333_requires_of_a_server() -> None:
    environ = api.shared_environ(Config())
    assert {"wsgi.version", "wsgi.errors", "wsgi.multiprocess", "wsgi.run_once"} < set(environ)
    assert environ["wsgi.multithread"] is True


class RecordedResponse(api.BaseResponse):
    """A response that keeps the blocks instead of sending them."""

    def __init__(self, request: api.Request) -> None:
        super().__init__(request, None, Config())
        self.blocks: list[bytes] = []

    def send_headers(self) -> None:
        self.headers_sent = True

    def send_block(self, data: bytes) -> None:
        self.blocks.append(data)


def respond(method: str = "GET", version: str = "1.1", *fields: str) -> RecordedResponse:
    return RecordedResponse(read(Config(), f"{method} / HTTP/{version}", "Host: a", *fields))


def test_write_passes_no_more_bytes_to_emit_body_than_content_length() -> None:
    response = respond()
    write = response.start_response("200 OK", [("Content-Length", "4")])
    write(b"abc")
    write(b"def")
    assert response.blocks == [b"abc", b"d"]
    assert response.sent == 4


def test_write_passes_nothing_to_emit_body_in_the_response_to_head() -> None:
    response = respond("HEAD")
    response.start_response("200 OK", [("Content-Length", "3")])(b"")
    assert response.blocks == []


def test_response_without_length_is_chunked_and_its_head_says_so() -> None:
    response = respond()
    response.start_response("200 OK", [("X-Field", "a"), ("Connection", "close")])
    assert response.chunked
    head = response.head("today", closes=False).decode().split("\r\n")
    assert head[0] == "HTTP/1.1 200 OK"
    assert head[1].startswith("Server: ")
    assert head[2:] == [
        "Date: today",
        "Connection: keep-alive",
        "Transfer-Encoding: chunked",
        "X-Field: a",
        "",
        "",
    ]


def test_response_with_a_line_break_in_a_field_is_refused() -> None:
    with pytest.raises(InvalidResponseHeader):
        respond().start_response("200 OK", [("X-Field", "a\r\nb")])


def test_a_resolved_config_has_the_values_of_the_settings_and_properties() -> None:
    cfg = Config()
    cfg.set("limit_request_fields", 7)
    cfg.set("certfile", "/dev/null")
    resolved = api.resolved(cfg)
    assert (resolved.limit_request_fields, resolved.is_ssl) == (7, cfg.is_ssl)
    assert resolved.is_ssl
    assert resolved.forwarded_allow_networks() == cfg.forwarded_allow_networks()


@pytest.mark.parametrize(
    ("trusted", "fields", "scheme"),
    [
        ("127.0.0.1", {"X-FORWARDED-PROTO": "https"}, "https"),
        ("10.0.0.1", {"X-FORWARDED-PROTO": "https"}, "http"),
        ("127.0.0.1", {}, "http"),
    ],
)
def test_what_a_trusted_peer_may_say_is_configured_as_in_gunicorn(
    cfg: Config, trusted: str, fields: dict[str, str], scheme: str
) -> None:
    cfg.set("forwarded_allow_ips", trusted)
    cfg.set("secure_scheme_headers", fields)
    cfg.set("forwarder_headers", "")
    lines = ("GET / HTTP/1.1", "Host: a", "X-Forwarded-Proto: https")
    assert read(api.resolved(cfg), *lines).scheme == scheme


@pytest.mark.parametrize(
    ("version", "fields", "closes"),
    [
        ("1.1", (), False),
        ("1.1", ("Connection: close",), True),
        ("1.0", (), True),
        ("1.0", ("Connection: keep-alive",), False),
    ],
)
def test_should_close_follows_the_request(
    version: str, fields: tuple[str, ...], closes: bool
) -> None:
    response = respond("GET", version, *fields)
    response.start_response("200 OK", [("Content-Length", "0")])
    assert bool(response.should_close()) is closes


def test_settings_are_part_of_every_config_made_after_the_import() -> None:
    cfg = Config()
    cfg.set("idle_timeout", "7.5")
    assert (cfg.idle_timeout, cfg.head_timeout) == (7.5, 15.0)
    assert (cfg.linger_timeout, cfg.drain_delay) == (5.0, 0.0)


def test_settings_can_be_added_to_a_config_made_before_the_import() -> None:
    cfg = Config()
    for name in ("idle_timeout", "head_timeout", "linger_timeout", "drain_delay"):
        del cfg.settings[name]
    api.add_settings(cfg, {"idle_timeout": 7.5})
    assert (cfg.idle_timeout, cfg.head_timeout) == (7.5, 15.0)


def test_adding_settings_keeps_the_values_of_those_that_are_there() -> None:
    cfg = Config()
    cfg.set("idle_timeout", 7.5)
    api.add_settings(cfg, {"idle_timeout": 1})
    assert cfg.idle_timeout == 7.5


@pytest.mark.parametrize("value", [-1, "nan", "soon", None])
def test_setting_that_is_no_number_of_seconds_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        Config().set("head_timeout", value)


def test_worker_has_the_attributes_that_we_read() -> None:
    class Application:
        def wsgi(self) -> str:
            return "the application"

    cfg = Config()
    cfg.set("max_requests", 5)
    worker = api.BaseWorker(3, os.getppid(), ["listener"], Application(), 30, cfg, "log")
    try:
        worker.load_wsgi()
        assert (worker.age, worker.sockets, worker.nr) == (3, ["listener"], 0)
        assert (worker.cfg, worker.log, worker.wsgi) == (cfg, "log", "the application")
        assert (worker.max_requests, worker.worker_connections) == (5, 1000)
        assert worker.alive
        worker.notify()
        worker.handle_exit(15, None)
        assert not worker.alive
    finally:
        worker.tmp.close()


def in_new_hub(act: Any) -> None:
    """Run `act` in a thread, which has a hub of its own."""

    def run() -> None:
        try:
            act()
        finally:
            gevent.get_hub().destroy()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_hub_calls_print_exception_for_a_greenlet_that_fails() -> None:
    logged = []

    def fail() -> None:
        raise ValueError("broken")

    def act() -> None:
        api.log_loop_errors(lambda _context, exc_info: logged.append(exc_info))
        gevent.spawn(fail).join()
        gevent.wait()  # the log has a greenlet of its own

    in_new_hub(act)
    ((kind, error, trace),) = logged
    assert (kind, str(error)) == (ValueError, "broken")
    assert trace


def test_hub_calls_print_exception_with_the_server_that_cannot_accept() -> None:
    logged = []

    class Full(StreamServer):
        def do_read(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    def act() -> None:
        over = gevent.event.Event()

        def log(context: object, exc_info: Any) -> None:
            logged.append((context, exc_info[1]))
            over.set()

        api.log_loop_errors(log)
        server = Full(("127.0.0.1", 0), handle=lambda *_: None)
        server.start()
        with gevent.socket.create_connection(server.address):
            assert over.wait(50)
        server.stop()

    in_new_hub(act)
    assert any(api.is_accept_error(context, error) for context, error in logged)
    assert not api.is_accept_error(None, OSError())
    assert not api.is_accept_error(logged[0][0], ValueError())


def test_a_server_accepts_again_although_the_log_of_its_failure_had_to_wait() -> None:
    """A log has a lock, which other threads take. Waiting is not possible in gevent's own loop,
    and a callback that raises there is never called again: no connection would be accepted.
    """
    answers = []

    class FullAtFirst(StreamServer):
        is_full = True

        def do_read(self) -> Any:
            if self.is_full:
                self.is_full = False
                raise OSError(errno.EMFILE, "Too many open files")
            return super().do_read()

    def act() -> None:
        api.log_loop_errors(lambda *_: gevent.sleep(0.001))
        server = FullAtFirst(("127.0.0.1", 0), handle=lambda client, _: client.sendall(b"hello"))
        server.start()
        try:
            with gevent.socket.create_connection(server.address, timeout=50) as client:
                answers.append(client.recv(10))
        finally:
            server.stop()

    in_new_hub(act)
    assert answers == [b"hello"]


def test_handlers_of_gunicorn_are_marked_and_others_are_not(tmp_path: Path) -> None:
    cfg = Config()
    cfg.set("errorlog", str(tmp_path / "error.log"))
    other = logging.StreamHandler(io.StringIO())
    log = logging.getLogger("gunicorn.error")
    before = list(log.handlers)
    log.handlers[:] = [other]
    try:
        api.BaseLogger(cfg)
        api.set_formatter(log, lambda line_format: logging.Formatter(f"new {line_format}"))
        formats = [handler.formatter and handler.formatter._fmt for handler in log.handlers]
        assert formats == [None, f"new {api.BaseLogger.error_fmt}"]
    finally:
        for handler in log.handlers:
            handler.close()
        log.handlers[:] = before


def test_file_wrapper_of_our_server_leaves_file_regions_as_they_are() -> None:
    regions = FileRegions(io.BytesIO(b"abc"), [b"abc"], lambda *_: None)
    assert wrap_file(regions, 8192) is regions
    assert list(wrap_file(io.BytesIO(b"abc"))) == [b"abc"]


# The command


class _Application(BaseApplication):
    """An application whose configuration has the defaults only."""

    def load_config(self) -> None:
        pass


def test_the_command_of_a_new_master_is_in_the_context_of_its_start() -> None:
    arbiter = Arbiter(_Application())
    assert (arbiter.START_CTX[0], arbiter.START_CTX["args"]) == (
        sys.executable,
        [sys.executable, *sys.argv],
    )
    api.set_restart_command(arbiter, ["python", "-m", "fileservice", "serve"])
    assert arbiter.START_CTX[0] == "python"
    assert arbiter.START_CTX["args"] == ["python", "-m", "fileservice", "serve"]


def test_directory_of_the_configuration_is_entered_by_one_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("wsgi_app = 'a:b'\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gunicorn", "--chdir", "/"])
    entered = []

    class Command(api.BaseCommand):
        def chdir(self) -> None:
            entered.append(self.cfg.chdir)

    path = list(sys.path)
    command = Command("usage")
    assert entered[1:] == ["/"]  # the first is where gunicorn was imported
    assert command.cfg.wsgi_app == "a:b"
    assert sys.path == path
    assert Path.cwd() == tmp_path
