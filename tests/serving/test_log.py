"""The log: no text in it can look like another entry, or control a terminal."""

import base64
import contextlib
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.servers import ConfiguredServer, answers
from tests.support.wire import Wire, ask, eventually, request

LINE = b"a line of text that fills the file\n"
LARGE = 64 << 20
ENTRY = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\] \[\d+\] \[[A-Z]+\] ")
ACCESS = re.compile(
    r'(?P<peer>\S+) - (?P<user>\S+) \[[^]]+\] "(?P<line>(?:\\.|[^"\\])*)" (?P<status>\d+|-)'
    r' (?P<sent>\d+) "(?P<referer>(?:\\.|[^"\\])*)" "(?P<agent>(?:\\.|[^"\\])*)"'
    r' (?P<seconds>\d+\.\d+) "(?P<outcome>(?:\\.|[^"\\])*)"'
    r" id=(?P<id>\S+) received=(?P<received>\d+) route=(?P<route>\S+) action=(?P<action>[\w -]+)"
    r" problem=(?P<problem>\S+)(?: parent=(?P<parent>\S+))?(?P<stages>(?: \w+=[\d.]+)*)"
)
FAULT = """
import fileservice.web.routes.health
from fileservice.access import Action
from fileservice.web.door import requires
def _fail(*_):
    import flask
    blueprint = flask.Blueprint("ops", __name__)
    @blueprint.get("/healthz")
    @requires(Action.PUBLIC, arguments=("fail", "at", "access_token", "quoted"))
    def health():
        if flask.request.args.get("fail"):
            raise RuntimeError(flask.request.args["fail"])
        return "ok"
    return blueprint
fileservice.web.routes.health.routes = _fail
"""

FAILING_OBSERVER = """
def post_worker_init(worker):
    class Failing:
        def observe(self, *_):
            raise RuntimeError("not recorded")
        def close(self):
            pass
    worker.observers.insert(0, Failing())
"""


class LoggedServer(ConfiguredServer):
    """A server that writes its logs to files."""

    def __init__(self, directory: Path, *lines: str, **settings: str) -> None:
        self.errors, self.accesses = directory / "error.log", directory / "access.log"
        super().__init__(
            {"STORE_URL": str(directory / "store"), **settings},
            f"errorlog = {str(self.errors)!r}",
            f"accesslog = {str(self.accesses)!r}",
            *lines,
        )

    def accessed(self, target: str) -> dict[str, str]:
        """The fields of the line of the access log that has `target` in its request line."""
        found: list[dict[str, str]] = []

        def is_there() -> bool:
            for line in self.accesses.read_text().split("\n")[:-1]:
                match = ACCESS.fullmatch(line)
                assert match, line
                if target in match["line"]:
                    found.append(match.groupdict())
            return bool(found)

        eventually(is_there)
        return found[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggedServer]:
    server = LoggedServer(tmp_path_factory.mktemp("logged"), FAULT)
    for name in ("whole", "range", "small-range", "head", "aborted"):
        with (server.store / f"{name}.txt").open("wb") as file:
            file.truncate(LARGE)
    server.put("small.txt", LINE)
    yield server
    server.kill()


def test_incident_id_of_a_500_is_logged_with_time_and_traceback(server: LoggedServer) -> None:
    answer = ask(server, request("GET /healthz?fail=broken"))
    assert answer.status == 500
    lines = server.errors.read_text().split("\n")
    (found,) = [n for n, line in enumerate(lines) if answer.json()["id"] in line]
    assert ENTRY.match(lines[found])
    assert "[ERROR]" in lines[found]
    assert "Traceback" in lines[found + 1]
    assert "RuntimeError: broken" in "\n".join(lines[found:])
    assert server.log() == ""


def test_control_characters_of_an_exception_are_escaped_in_the_log(
    server: LoggedServer,
) -> None:
    said = "%0D%0A[2026-01-01 00:00:00 +0000] [1] [ERROR] forged%1B[31m%C2%85%C2%9B%E2%80%A8%7F"
    assert ask(server, request(f"GET /healthz?fail={said.replace(' ', '+')}")).status == 500
    text = server.errors.read_text()
    assert "forged\\x1b[31m\\x85\\x9b\\u2028\\x7f" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)
    for line in text.split("\n")[:-1]:
        assert line.startswith("  ") or (ENTRY.match(line) and "forged" not in line), line


def test_quotation_marks_and_control_characters_are_escaped_in_the_access_log(
    server: LoggedServer,
) -> None:
    agent = b'a\\" "200" \xc2\x9b \xe2\x80\xa8'
    wanted = request("GET /healthz?quoted", "User-Agent: AGENT").replace(b"AGENT", agent)
    assert ask(server, wanted).status == 200
    assert server.accessed("quoted")["agent"] == ('a\\\\\\" \\"200\\" \xc2\\x9b \xe2\\x80\xa8')


def test_access_log_has_no_credentials_not_even_a_user_name_that_is_wrong(
    server: LoggedServer,
) -> None:
    pair = base64.b64encode(b"fs_secret-in-the-wrong-place:").decode()
    assert ask(server, request("GET /download?wrong", f"Authorization: Basic {pair}")).status == 401
    assert server.accessed("wrong")["user"] == "-"
    assert "fs_secret" not in server.accesses.read_text() + server.errors.read_text()


def test_secret_in_the_wrong_place_is_in_no_log(server: LoggedServer) -> None:
    secret = f"fs_{secrets.token_urlsafe(32)}"
    for number, (line, *fields) in enumerate(
        [
            (f"GET /healthz?access_token={secret}&at=0",),
            (f"GET /download/{secret}?at=1",),
            (f"GET http://any:{secret}@files.example/healthz?at=2",),
            ("GET /healthz?at=3", f"Referer: http://files.example/upload?token={secret}"),
            ("GET /healthz?at=4", f"User-Agent: {secret}"),
            (f"GET /healthz?fail={secret}&at=5",),
        ]
    ):
        ask(server, request(line, *fields))
        assert server.accessed(f"at={number}")
    logged = server.accesses.read_text() + server.errors.read_text() + server.log()
    assert secret not in logged
    assert "/healthz?access_token=fs_[secret]&at=0 HTTP" in logged
    assert "RuntimeError: fs_[secret]" in logged


def test_whom_a_proxy_names_is_one_word_of_the_access_log(tmp_path: Path) -> None:
    names = {
        "ada@example.org": "person:ada@example.org",
        'ada" - - [x] "GET /': 'person:ada\\"\\x20-\\x20-\\x20[x]\\x20\\"GET\\x20/',
        "Zo\u00eb": "person:Zo\u00eb",
        "-": "person:-",
    }
    (tmp_path / "access.toml").write_text("[groups.staff]\nscopes = ['list']\n")
    server = LoggedServer(
        tmp_path,
        TRUSTED_PROXIES="127.0.0.1",
        ACCESS_FILE=str(tmp_path / "access.toml"),
        IDENTITY_HEADER="X-Remote-User",
        IDENTITY_GROUPS_HEADER="X-Remote-Groups",
    )
    try:
        logged = {}
        for limit, name in enumerate(names, 100):
            fields = (f"X-Remote-User: {name}", "X-Remote-Groups: staff")
            assert ask(server, request(f"GET /download?limit={limit}", *fields)).status == 200
            logged[name] = server.accessed(f"limit={limit}")["user"]
        assert logged == names
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("line", "fields", "sent"),
    [
        ("GET /download/small.txt", (), len(LINE)),
        ("GET /download/whole.txt", (), LARGE),
        ("GET /download/range.txt", ("Range: bytes=5-1000004",), 1_000_000),
        ("GET /download/small-range.txt", ("Range: bytes=5-10",), 6),
        ("HEAD /download/head.txt", (), 0),
    ],
)
def test_access_log_counts_the_bytes_of_a_file(
    server: LoggedServer, line: str, fields: tuple[str, ...], sent: int
) -> None:
    answer = ask(server, request(line, *fields))
    assert answer.status in (200, 206)
    entry = server.accessed(line)
    assert (entry["sent"], entry["outcome"]) == (str(sent), "complete")
    assert entry["status"] == str(answer.status)


def test_aborted_download_is_logged_as_aborted_with_the_bytes_sent(
    server: LoggedServer,
) -> None:
    with Wire(server) as wire:
        wire.send(request("GET /download/aborted.txt"))
        assert wire.socket.recv(1000)
        wire.reset()
    entry = server.accessed("aborted")
    assert entry["outcome"] == "aborted: the client went away"
    assert 0 < int(entry["sent"]) < LARGE


def test_stalled_download_is_logged_as_aborted_with_its_duration(tmp_path: Path) -> None:
    server = LoggedServer(tmp_path, IDLE_TIMEOUT="1s")  # in which no other client must be prompt
    try:
        with (server.store / "stalled.txt").open("wb") as file:
            file.truncate(LARGE)
        with Wire(server) as wire:
            wire.send(request("GET /download/stalled.txt"))
            assert wire.socket.recv(1, socket.MSG_PEEK)
            entry = server.accessed("stalled")
    finally:
        server.kill()
    assert entry["outcome"] == "aborted: the client took nothing"
    assert float(entry["seconds"]) > 1


def test_upload_whose_client_disconnects_is_logged_as_aborted(server: LoggedServer) -> None:
    with Wire(server) as wire:
        wire.send(request("PUT /upload/gone.txt", "Content-Length: 100") + LINE)
    assert server.accessed("gone.txt")["outcome"] == "aborted: the body broke off"


@pytest.mark.parametrize(
    ("head", "line", "status"),
    [
        (b"GET /bad-field HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", "GET /bad-field HTTP/1.1", "400"),
        (b"nonsense\x1b\r\n\r\n", "nonsense\\x1b", "400"),
        (b"GET /" + b"l" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", "GET /" + "l" * 251, "414"),
        (b"GET /long HTTP/1.1\r\nX: " + b"a" * 50_000, "GET /long HTTP/1.1", "431"),
        (b"GET /no-host HTTP/1.1\r\n\r\n", "GET /no-host HTTP/1.1", "400"),
    ],
)
def test_request_with_a_bad_head_is_logged_with_its_first_line(
    server: LoggedServer, head: bytes, line: str, status: str
) -> None:
    with Wire(server) as wire:
        wire.send(head)
        (answer,) = answers(wire)
    entry = server.accessed(line)
    assert (entry["line"], entry["status"]) == (line, status)
    assert entry["outcome"].startswith("refused: ")
    assert entry["sent"] == str(len(answer.body))


def test_transfers_that_a_shutdown_ends_are_logged_by_name(tmp_path: Path) -> None:
    server = LoggedServer(tmp_path, "graceful_timeout = 5")
    try:
        with (server.store / "large.txt").open("wb") as file:
            file.truncate(LARGE)
        with Wire(server) as up, Wire(server) as down:
            up.send(request("PUT /upload/up.txt", "Content-Length: 1000000") + LINE * 10_000)
            down.send(request("GET /download/large.txt"))
            assert down.socket.recv(1, socket.MSG_PEEK)
            eventually(server.staged)
            assert server.stop() == 0
    finally:
        server.kill()
    for target in ("PUT /upload/up.txt", "GET /download/large.txt"):
        assert server.accessed(target)["outcome"] == "cut: the service stops"
        assert f"{target} from 127.0.0.1:" in server.errors.read_text()
    assert server.log() == ""


def test_failure_to_accept_connections_is_logged_in_the_usual_format(tmp_path: Path) -> None:
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    server = LoggedServer(tmp_path, few)
    try:
        with contextlib.ExitStack() as crowd:
            for _ in range(60):
                crowd.callback(server.connect().close)
            eventually(lambda: "Too many open files" in server.errors.read_text() + server.log())
        (entry, *_) = [
            line for line in server.errors.read_text().splitlines() if "Too many open" in line
        ]
        assert ENTRY.match(entry)
        assert "no connection can be accepted at present" in entry
        assert "Traceback" not in server.log()
    finally:
        server.kill()


def test_the_line_of_an_upload_has_its_stages_and_the_id_of_the_answer(
    server: LoggedServer,
) -> None:
    body = LINE * 10_000
    answer = ask(server, request("PUT /upload/stages.txt", body=body))
    assert answer.status == 201
    entry = server.accessed("stages.txt")
    assert entry["id"] == answer.headers["X-Request-Id"]
    assert (entry["received"], entry["route"]) == (str(len(body)), "/upload/<name>")
    stages = dict(stage.split("=") for stage in entry["stages"].split())
    assert set(stages) == {"receive", "inspect", "hash", "sync", "publish"}
    assert all(0 < float(seconds) <= float(entry["seconds"]) for seconds in stages.values())


def test_the_line_of_a_refused_request_says_why(server: LoggedServer) -> None:
    answer = ask(server, request("GET /download/missing.txt"))
    entry = server.accessed("missing.txt")
    assert entry["problem"] == "not-found"
    assert entry["id"] == answer.json()["request-id"]


def test_answer_to_a_bad_head_has_an_id_that_is_in_the_log(server: LoggedServer) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /bad-id HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n")
        (answer,) = answers(wire)
    assert answer.json()["request-id"] == answer.headers["X-Request-Id"]
    assert server.accessed("/bad-id")["id"] == answer.headers["X-Request-Id"]


def test_a_stopped_server_has_written_every_line(tmp_path: Path) -> None:
    server = LoggedServer(tmp_path)
    try:
        for number in range(20):
            ask(server, request(f"GET /healthz?number={number}&"))
        assert server.stop() == 0
        text = server.accesses.read_text()
        assert all(f"?number={number}&" in text for number in range(20))
    finally:
        server.kill()


def test_what_fails_to_record_requests_is_logged_and_keeps_nothing_from_the_log(
    tmp_path: Path,
) -> None:
    server = LoggedServer(tmp_path, FAILING_OBSERVER)
    try:
        for number in range(3):
            ask(server, request(f"GET /healthz?number={number}&"))
            assert server.accessed(f"?number={number}&")["status"] == "400"
        assert "RuntimeError: not recorded" in server.errors.read_text()
    finally:
        server.kill()
