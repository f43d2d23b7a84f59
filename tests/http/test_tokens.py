"""Tokens over HTTP: what they may do, and that a change of ACCESS_FILE counts within 2 seconds."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fileservice.cli.access_edit import remove_token
from tests.cli.commands import new_token
from tests.support.request_ids import without_id
from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.support.wire import Answer, Wire, ask, chunked, eventually, request
from tests.support.workers import wires_to_both_workers

LINE = b"some text\n"
PROMISED_SECONDS = 2
"""More than three times what it takes, so a busy machine keeps this promise as well."""
Start = Callable[..., LiveServer]


class Access:
    """An ACCESS_FILE with a token of each kind, and their secrets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.secret: dict[str, str] = {}
        self.add("all", "list,read,write,delete")
        self.add("reader", "list,read")
        self.add("writer", "write")
        self.add("ci", "list,read,write,delete", "--prefix", "ci-")

    def add(self, name: str, scopes: str, *options: str) -> None:
        self.secret[name] = new_token(self.path, name, *options, scopes=scopes)

    def revoke(self, name: str) -> None:
        remove_token(self.path, name)

    def demote(self, name: str, scopes: str) -> None:
        """Give the token other scopes."""
        text = self.path.read_text()
        table = re.compile(rf"(\[tokens\.{name}\]\n.*?scopes = )\[.*?\]", re.DOTALL)
        self.replace(table.sub(rf"\1{scopes}", text, count=1))

    def replace(self, text: str) -> None:
        """Replace the file by rename: a part of a text that is written in place may be read."""
        new = self.path.with_name("access.toml.new")
        new.write_text(text)
        new.replace(self.path)

    def field(self, name: str) -> str:
        return f"Authorization: Bearer {self.secret[name]}"


@pytest.fixture(scope="module")
def shared_access(tmp_path_factory: pytest.TempPathFactory) -> Access:
    return Access(tmp_path_factory.mktemp("access") / "access.toml")


@pytest.fixture
def access(shared_access: Access) -> Iterator[Access]:
    """The ACCESS_FILE of the module; what a test changes in it is undone after the test."""
    text = shared_access.path.read_text()
    yield shared_access
    shared_access.replace(text)


@pytest.fixture(scope="module")
def shared_server(shared_access: Access, start_module_server: Start) -> LiveServer:
    """One worker that lets nobody in without a token."""
    return start_module_server(ACCESS_FILE=str(shared_access.path), ANONYMOUS="none", WORKERS="1")


@pytest.fixture
def server(access: Access, shared_server: LiveServer) -> LiveServer:
    """The server of this module, emptied, when it has read what `access` is now."""
    shared_server.clear()
    # A new token: the test before may have given the secret of another to a token of another name.
    access.add("new", "read")
    missing = request("GET /download/missing.txt", access.field("new"))
    eventually(lambda: ask(shared_server, missing).status == 404)
    eventually(lambda: ask(shared_server, request("GET /readyz")).status == 200)
    return shared_server


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def get(server: LiveServer, access: Access, name: str) -> Answer:
    return ask(server, request("GET /download", access.field(name)))


def test_without_credentials_or_with_wrong_ones_everything_is_refused_alike(
    server: LiveServer, access: Access
) -> None:
    (server.store / "a.txt").write_bytes(LINE)
    answers = []
    for fields in (
        [],
        ["Authorization: Bearer fs_wrong"],
        ["Authorization: Bearer"],
        ["Authorization:"],
        ["Authorization: Basic Og=="],
        ["Authorization: Digest x"],
        [access.field("all") + "x"],
        [access.field("all"), access.field("all")],
        [access.field("reader"), "Authorization: Bearer fs_wrong"],
    ):
        for line in ("GET /download/a.txt", "GET /download/missing.txt", "DELETE /download/a.txt"):
            answers.append(ask(server, request(line, *fields)))
    assert {answer.status for answer in answers} == {401}
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {
        'Bearer realm="fileservice", Basic realm="fileservice"'
    }
    assert len({without_id(answer.body, answer.headers) for answer in answers}) == 1
    assert server.published() == ["a.txt"]


def test_secret_in_the_query_string_or_a_cookie_is_no_credential(
    server: LiveServer, access: Access
) -> None:
    secret = access.secret["all"]
    for line in (f"GET /download?access_token={secret}", f"GET /download?token={secret}"):
        assert ask(server, request(line)).status == 401
    assert ask(server, request("GET /download", f"Cookie: token={secret}")).status == 401


@pytest.mark.parametrize("credentials", ["bearer", "basic"])
def test_curl_uploads_lists_fetches_and_deletes_with_a_token(
    server: LiveServer,
    access: Access,
    tool: Callable[[str], str],
    tmp_path: Path,
    credentials: str,
) -> None:
    (tmp_path / "a.txt").write_bytes(LINE)
    secret = access.secret["all"]
    shown = ["-u", f"any:{secret}"] if credentials == "basic" else ["-H", access.field("all")]

    def curl(*arguments: str) -> bytes:
        command = [tool("curl"), "-sSf", *shown, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, check=True, stdout=-1, timeout=60
        ).stdout

    curl("-T", "a.txt", f"{server.url}/upload/")
    curl("-F", "file=@a.txt;filename=b.txt", f"{server.url}/upload")
    assert b"b.txt" in curl(f"{server.url}/download")
    assert curl(f"{server.url}/download/a.txt") == LINE
    curl("-X", "DELETE", f"{server.url}/download/a.txt")
    assert server.published() == ["b.txt"]


def test_token_without_the_scope_is_refused_before_the_body(
    server: LiveServer, access: Access
) -> None:
    (server.store / "a.txt").write_bytes(LINE)
    for name, line in (
        ("reader", "PUT /upload/b.txt"),
        ("reader", "POST /upload"),
        ("reader", "POST /tus/"),
        ("reader", "DELETE /download/a.txt"),
        ("writer", "GET /download"),
        ("writer", "GET /download/a.txt"),
        ("writer", "DELETE /download/a.txt"),
    ):
        fields = [access.field(name), "Content-Length: 1000", "Expect: 100-continue"]
        with Wire(server) as wire:
            answer = wire.ask(request(line, *fields))  # no 100 comes first
        assert (answer.status, answer.code()) == (403, "forbidden")
    assert server.published() == ["a.txt"]


def test_token_with_a_prefix_touches_only_names_that_begin_so(
    server: LiveServer, access: Access
) -> None:
    for name in ("ci-a.txt", "other.txt"):
        (server.store / name).write_bytes(LINE)

    def status(line: str, body: bytes | None = None) -> int:
        return ask(server, request(line, access.field("ci"), body=body)).status

    assert status("PUT /upload/ci-b.txt", LINE) == 201
    assert status("PUT /upload/%63i-c.txt", LINE) == 201
    assert status("GET /download/ci-a.txt") == 200
    assert status("DELETE /download/ci-a.txt") == 204
    for name in ("other.txt", "missing.txt", "CI-a.txt", "ci.txt", "%2563i-a.txt"):
        assert status(f"GET /download/{name}") == 403
        assert status(f"DELETE /download/{name}") == 403
        assert status(f"PUT /upload/{name}", LINE) == 403
    with server.client() as client:
        client.headers = bearer(access.secret["ci"])
        assert Tus(client).create("other2.txt", len(LINE)).status_code == 403
        form = client.post("/upload", files={"file": ("other3.txt", LINE)})
        assert form.status_code == 403
        draft = client.put("/upload/other4.txt", content=LINE, headers={"Upload-Complete": "?1"})
        assert draft.status_code == 403
    assert server.published() == ["ci-b.txt", "ci-c.txt", "other.txt"]


def test_tus_upload_with_a_token_is_for_that_token_alone(
    client: httpx.Client, server: LiveServer, access: Access
) -> None:
    client.headers = bearer(access.secret["writer"])
    tus = Tus(client)
    url = tus.begin("note.txt", 2 * len(LINE))
    assert tus.patch(url, 0, LINE).status_code == 204
    others = [bearer(access.secret["all"]), {}, bearer("fs_wrong")]
    for status, fields in zip((404, 401, 401), others, strict=True):
        with server.client() as other:
            other.headers = fields
            assert Tus(other).head(url).status_code == status
            assert Tus(other).patch(url, len(LINE), LINE).status_code == status
            assert Tus(other).delete(url).status_code == status
    assert tus.offset(url) == len(LINE)
    assert tus.patch(url, len(LINE), LINE).status_code == 204
    assert server.published() == ["note.txt"]


def test_upload_by_the_draft_with_a_token_continues(
    client: httpx.Client, server: LiveServer, access: Access
) -> None:
    client.headers = bearer(access.secret["writer"])
    created = client.put("/upload/a.txt", content=LINE, headers={"Upload-Complete": "?0"})
    assert created.status_code == 201
    url = created.headers["Location"]
    assert httpx.head(url).status_code == 401
    assert httpx.head(url, headers=bearer(access.secret["all"])).status_code == 404
    done = client.patch(
        url,
        content=LINE,
        headers={
            "Upload-Complete": "?1",
            "Upload-Offset": str(len(LINE)),
            "Content-Type": "application/partial-upload",
        },
    )
    assert done.status_code == 201, done.text
    assert server.published() == ["a.txt"]


@pytest.mark.parametrize(
    ("way", "change", "status"),
    [
        ("put", "revoked", 401),
        ("tus", "revoked", 401),
        ("draft", "demoted", 403),
        ("form", "demoted", 403),
        *(
            pytest.param(way, change, status, marks=pytest.mark.thorough)
            for way, change, status in [
                ("chunked", "revoked", 401),
                ("chunked", "demoted", 403),
                ("put", "demoted", 403),
                ("tus", "demoted", 403),
                ("draft", "revoked", 401),
                ("form", "revoked", 401),
            ]
        ),
    ],
)
def test_upload_under_way_of_a_token_that_is_changed_publishes_nothing(
    server: LiveServer, access: Access, way: str, change: str, status: int
) -> None:
    line, fields, begin, end = _bodies(way)
    url = "/upload/a.txt"
    with server.client() as client:
        client.headers = bearer(access.secret["all"])
        if way == "tus":
            url = Tus(client).begin("a.txt", 2 * len(LINE)).removeprefix(server.url)
        elif way == "draft":
            created = client.put(url, content=b"", headers={"Upload-Complete": "?0"})
            url = created.headers["Location"].removeprefix(server.url)
    with Wire(server) as wire:
        fields += [access.field("all"), "Expect: 100-continue"]
        assert wire.ask(request(line.format(url), *fields)).status == 100  # it may begin
        wire.send(begin)
        if change == "revoked":
            access.revoke("all")
            eventually(lambda: get(server, access, "all").status == 401)
        else:
            access.demote("all", '["list"]')
            eventually(
                lambda: (
                    ask(server, request("GET /download/b.txt", access.field("all"))).status == 403
                )
            )
        wire.send(end)
        assert wire.answer().status == status
    assert server.published() == []
    eventually(lambda: not server.staged())


def _bodies(way: str) -> tuple[str, list[str], bytes, bytes]:
    """Return the request line, the fields and the two halves of the body."""
    length = f"Content-Length: {2 * len(LINE)}"
    if way == "chunked":
        body = chunked(LINE, LINE)
        middle = body.index(LINE) + len(LINE)
        return "PUT {}", ["Transfer-Encoding: chunked"], body[:middle], body[middle:]
    if way == "form":
        begin = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + LINE
        )
        end = LINE + b"\r\n--x--\r\n"
        size = f"Content-Length: {len(begin + end)}"
        return "POST /upload", ["Content-Type: multipart/form-data; boundary=x", size], begin, end
    if way == "tus":
        fields = ["Tus-Resumable: 1.0.0", "Upload-Offset: 0", length]
        return "PATCH {}", [*fields, "Content-Type: application/offset+octet-stream"], LINE, LINE
    if way == "draft":
        fields = ["Upload-Complete: ?1", "Upload-Offset: 0", length]
        return "PATCH {}", [*fields, "Content-Type: application/partial-upload"], LINE, LINE
    return "PUT {}", [length], LINE, LINE


def test_change_counts_in_every_worker_within_the_promised_time(
    access: Access, start_server: Start
) -> None:
    server = start_server(ACCESS_FILE=str(access.path), ANONYMOUS="none", WORKERS="2")
    with wires_to_both_workers(server) as wires:
        ask_all = request("GET /download", access.field("all"))
        assert [wire.ask(ask_all).status for wire in wires] == [200, 200]

        workers = server.workers()

        access.revoke("all")
        _await_statuses(wires, ask_all, 401)
        access.add("new", "list")
        ask_new = request("GET /download", access.field("new"))
        _await_statuses(wires, ask_new, 200)
        access.demote("new", '["read"]')
        _await_statuses(wires, ask_new, 403)
    assert server.workers() == workers


def _await_statuses(wires: list[Wire], asked: bytes, status: int) -> None:
    """Wait until all workers give this answer, for no longer than is promised.

    The time is counted in answers, of which a machine that is busy gives fewer in a second.
    """
    for _ in range(PROMISED_SECONDS * 20):
        if {wire.ask(asked).status for wire in wires} == {status}:
            return
        time.sleep(1 / 20)
    pytest.fail(f"not all workers answer {status} within {PROMISED_SECONDS} seconds")


def test_broken_edit_keeps_the_rules_is_logged_once_and_makes_the_service_unready(
    server: LiveServer, access: Access
) -> None:
    good = access.path.read_text()
    assert ask(server, request("GET /readyz")).status == 200
    access.replace(good + "[tokens.secretive]\nscopes = 1\n")
    eventually(lambda: ask(server, request("GET /readyz")).status == 503)
    answer = ask(server, request("GET /readyz"))
    assert answer.code() == "not-ready"
    assert "secretive" not in answer.body.decode()
    assert ask(server, request("GET /healthz")).status == 200
    assert get(server, access, "all").status == 200
    assert get(server, access, "ci").status == 200
    for _ in range(20):
        assert ask(server, request("GET /readyz")).status == 503
    assert server.log().count("[tokens.secretive] scopes: must be a list") == 1

    access.replace(good.replace("[tokens.all]", "[tokens.renamed]"))
    eventually(lambda: ask(server, request("GET /readyz")).status == 200)
    assert get(server, access, "all").status == 200  # the secret is the same


def test_worker_that_starts_while_the_file_is_broken_lets_no_token_in(
    server: LiveServer, access: Access
) -> None:
    good = access.path.read_text()
    access.replace("[")
    server.kill_workers()
    eventually(lambda: get(server, access, "all").status == 401)
    assert ask(server, request("GET /readyz")).status == 503
    access.replace(good)
    eventually(lambda: get(server, access, "all").status == 200)
    assert ask(server, request("GET /readyz")).status == 200


@pytest.mark.thorough
def test_reload_while_the_file_is_broken_stops_nothing(server: LiveServer, access: Access) -> None:
    good = access.path.read_text()
    access.replace("[")
    server.replace_workers()
    assert ask(server, request("GET /healthz")).status == 200
    access.replace(good)
    eventually(lambda: get(server, access, "all").status == 200)


def test_service_does_not_start_with_a_broken_file_and_reports_all_mistakes(
    tmp_path: Path, start_server: Start
) -> None:
    path = tmp_path / "access.toml"
    path.write_text("[tokens.a]\n[token.b]\n")
    with pytest.raises(RuntimeError) as raised:
        start_server(ACCESS_FILE=str(path))
    log = str(raised.value)
    assert "fileservice cannot start:" in log
    for problem in ("[token]: there is no such table", "[tokens.a] hash: is missing"):
        assert f"FILESERVICE_ACCESS_FILE={str(path)!r}: {problem}" in log
    assert "Traceback" not in log
    path.unlink()
    with pytest.raises(RuntimeError, match="cannot be read: No such file or directory"):
        start_server(ACCESS_FILE=str(path))


def test_no_secret_is_in_the_log_or_in_an_answer(access: Access, start_server: Start) -> None:
    server = start_server(ACCESS_FILE=str(access.path), ANONYMOUS="none")
    for name in access.secret:
        for fields in ([access.field(name)], [access.field(name) + "wrong"]):
            for line in ("GET /download", "PUT /upload/a.exe", "GET /download/%00", "GET /x"):
                answer = ask(server, request(line, *fields, body=b""))
                assert access.secret[name] not in answer.body.decode() + str(answer.headers)
    assert not any(secret in server.log() for secret in access.secret.values())


def test_token_that_expires_stops_working(access: Access, server: LiveServer) -> None:
    access.add("short", "list", "--expires", "1s")
    eventually(lambda: get(server, access, "short").status == 401)
    assert access.secret["short"].startswith("fs_")
