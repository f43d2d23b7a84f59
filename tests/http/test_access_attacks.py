"""Attacks on access control that worked on other services; each test is one of them.

Where rights change in the middle of an upload, see tests/web/test_rights_that_change.py.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.support.access import EditedAccessFile
from tests.support.request_ids import FIELD, without_id
from tests.support.servers import LiveServer
from tests.support.tus import Tus, encoded
from tests.support.wire import Answer, Wire, ask, eventually, request

LINE = b"some text\n"
ALL = "list,read,write,delete"
UNKNOWN = "0" * 32
PARTIAL = {"Content-Type": "application/partial-upload"}
_numbers = itertools.count()


@dataclass(frozen=True)
class Guarded:
    """A server that lets nobody in without a token, and its ACCESS_FILE."""

    server: LiveServer
    access: EditedAccessFile

    def settle(self) -> None:
        """Return when the server knows the present state of the file."""
        probe = f"probe-{next(_numbers)}"
        field = self.access.set(probe, "list")
        limit = {"limit": 1}
        eventually(
            lambda: httpx.get(f"{self.server.url}/download", headers=field, params=limit).is_success
        )
        self.access.revoke(probe)

    def client(self, name: str) -> httpx.Client:
        return httpx.Client(
            base_url=self.server.url, headers=self.access.credentials(name), timeout=30
        )

    def field(self, name: str) -> str:
        return f"Authorization: {self.access.credentials(name)['Authorization']}"

    def ask(self, name: str, line: str | bytes, *fields: str, body: bytes | None = None) -> Answer:
        return ask(self.server, request(line, self.field(name), *fields, body=body))


@pytest.fixture(scope="module")
def shared_access(tmp_path_factory: pytest.TempPathFactory) -> EditedAccessFile:
    access = EditedAccessFile(tmp_path_factory.mktemp("access") / "access.toml")
    access.set("ada", ALL)
    access.set("bob", ALL)
    access.set("admin", f"{ALL},share,admin")
    access.set("ab", ALL, prefix="ab")
    access.set("e", ALL, prefix="e")
    access.set("accent", ALL, prefix="e\u0301")
    for scope in ALL.split(","):
        access.set(scope, scope)
    return access


@pytest.fixture(scope="module")
def shared_guarded(
    shared_access: EditedAccessFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    store = tmp_path_factory.mktemp("guarded") / "store"
    server = LiveServer(
        {
            "STORE_URL": str(store),
            "WORKERS": "1",
            "ANONYMOUS": "none",
            "ACCESS_FILE": str(shared_access.path),
        }
    )
    yield Guarded(server, shared_access)
    server.stop()


@pytest.fixture
def guarded(shared_guarded: Guarded) -> Guarded:
    """The shared server, emptied; its tokens are not changed by tests."""
    shared_guarded.server.clear()
    return shared_guarded


def seen(answer: httpx.Response) -> tuple[object, ...]:
    """All that a client sees of an answer but for the time and the id of the request."""
    changing = ("date", FIELD)
    headers = [field for field in answer.headers.multi_items() if field[0] not in changing]
    return answer.status_code, headers, without_id(answer.content, answer.headers)


# Unfinished uploads


def begin_tus(client: httpx.Client, length: int = 2 * len(LINE), **fields: str) -> str:
    tus = Tus(client)
    url = tus.begin(f"{next(_numbers)}.txt", length, **fields)
    assert tus.patch(url, 0, LINE).status_code == 204
    return url.rpartition("/")[2]


def begin_draft(client: httpx.Client) -> str:
    created = client.put(
        f"/upload/{next(_numbers)}.txt", content=LINE, headers={"Upload-Complete": "?0"}
    )
    assert created.status_code == 201
    return created.headers["Location"].rpartition("/")[2]


def ended_tus(client: httpx.Client) -> str:
    return begin_tus(client, len(LINE))


def rejected_tus(client: httpx.Client) -> str:
    tus = Tus(client)
    url = tus.begin(f"{next(_numbers)}.png", len(LINE))
    assert tus.patch(url, 0, LINE).status_code == 415
    assert tus.head(url).status_code == 410
    return url.rpartition("/")[2]


def part(client: httpx.Client) -> str:
    return begin_tus(client, len(LINE), Upload_Concat="partial")


def final(client: httpx.Client) -> str:
    concat = f"final;/tus/{part(client)}"
    answer = Tus(client).create(f"{next(_numbers)}.txt", Upload_Concat=concat)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].rpartition("/")[2]


STATES = [begin_tus, begin_draft, ended_tus, rejected_tus, part, final]


def every_request(client: httpx.Client, upload: str) -> Iterator[httpx.Response]:
    """Everything that can be asked about an upload, by both protocols."""
    tus = Tus(client)
    for offset in (0, len(LINE), 2 * len(LINE)):
        yield tus.patch(f"/tus/{upload}", offset, LINE)
        yield tus.patch(f"/tus/{upload}", offset, b"")
        for complete in ("?0", "?1"):
            headers = PARTIAL | {"Upload-Offset": str(offset), "Upload-Complete": complete}
            yield client.patch(f"/resume/{upload}", content=LINE, headers=headers)
    yield tus.head(f"/tus/{upload}")
    yield client.head(f"/resume/{upload}")
    yield tus.request("POST", f"/tus/{upload}", {"X-HTTP-Method-Override": "PATCH"})
    yield tus.request("POST", f"/tus/{upload}", {"X-HTTP-Method-Override": "DELETE"})
    yield tus.delete(f"/tus/{upload}")
    yield client.delete(f"/resume/{upload}")


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_an_upload_of_others_is_answered_like_an_id_that_never_existed(
    guarded: Guarded, state: Callable[[httpx.Client], str]
) -> None:
    """Whatever has become of it, even for an admin, and the upload does not change."""
    with guarded.client("ada") as ada:
        upload = state(ada)
        before = seen(Tus(ada).head(f"/tus/{upload}")), guarded.server.published()
        for name in ("bob", "admin", "write"):
            with guarded.client(name) as other:
                answers = [seen(answer) for answer in every_request(other, upload)]
                unknown = [seen(answer) for answer in every_request(other, UNKNOWN)]
            assert answers == unknown
        assert (seen(Tus(ada).head(f"/tus/{upload}")), guarded.server.published()) == before


def test_an_upload_can_be_ended_only_by_who_began_it_and_with_write_alone(
    guarded: Guarded,
) -> None:
    with guarded.client("write") as writer:
        for protocol, begin in (("tus", begin_tus), ("resume", begin_draft)):
            upload = begin(writer)
            for name, status in (("delete", 403), ("ada", 404), ("admin", 404)):
                with guarded.client(name) as other:
                    ended = Tus(other).delete(f"/{protocol}/{upload}")
                    assert ended.status_code == status
            assert Tus(writer).delete(f"/{protocol}/{upload}").status_code == 204
            assert Tus(writer).head(f"/tus/{upload}").status_code == 404


def test_ending_an_upload_that_is_complete_does_not_delete_its_file(guarded: Guarded) -> None:
    with guarded.client("write") as writer:
        upload = ended_tus(writer)
        (name,) = guarded.server.published()
        Tus(writer).delete(f"/tus/{upload}")
        assert guarded.server.published() == [name]
        assert writer.delete(f"/download/{name}").status_code == 403


def test_a_request_of_another_principal_does_not_interrupt_an_upload(guarded: Guarded) -> None:
    """Some requests take the upload over from one that is under way, if it is the same client's."""
    with guarded.client("ada") as ada, Wire(guarded.server) as wire:
        created = ada.put("/upload/a.txt", content=b"", headers={"Upload-Complete": "?0"})
        path = created.headers["Location"].removeprefix(guarded.server.url)
        length = f"Content-Length: {2 * len(LINE)}"
        fields = ["Upload-Offset: 0", "Upload-Complete: ?1", length]
        kind = f"Content-Type: {PARTIAL['Content-Type']}"
        wire.send(request(f"PATCH {path}", guarded.field("ada"), kind, *fields) + LINE)
        stored = guarded.server.store / ".fileservice/uploads" / path.rpartition("/")[2]
        eventually(lambda: stored.stat().st_size == len(LINE))
        with guarded.client("bob") as bob:
            for answer in every_request(bob, path.rpartition("/")[2]):
                assert answer.status_code in (404, 405, 415)
        wire.send(LINE)
        assert wire.answer().status == 201
    assert guarded.server.published() == ["a.txt"]


def test_a_part_of_others_cannot_be_concatenated(guarded: Guarded) -> None:
    with guarded.client("ada") as ada, guarded.client("bob") as bob:
        foreign, own = part(ada), part(bob)
        url = guarded.server.url
        for form in (f"/tus/{{}} /tus/{own}", f"/tus/{own} /tus/{{}}", f"{url}/tus/{{}}"):
            answers = []
            for upload in (foreign, UNKNOWN):
                concat = f"final;{form.format(upload)}"
                answer = Tus(bob).create("stolen.txt", Upload_Concat=concat)
                text = without_id(answer.content, answer.headers).decode()
                answers.append((answer.status_code, text.replace(upload, "ID")))
            assert answers[0] == answers[1]
            assert answers[0][0] == 400
            assert json.loads(answers[0][1])["code"] == "bad-concat"
        assert guarded.server.published() == []
        assert Tus(ada).offset(f"/tus/{foreign}") == len(LINE)
        assert Tus(bob).offset(f"/tus/{own}") == len(LINE)


def test_an_upload_belongs_to_its_token_also_after_a_restart(
    start_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    access = EditedAccessFile(tmp_path / "access.toml")
    access.set("ada", "write")
    access.set("bob", ALL)
    server = start_server(ANONYMOUS="write", ACCESS_FILE=str(access.path), WORKERS="1")
    guarded = Guarded(server, access)
    with guarded.client("ada") as ada:
        mine = begin_tus(ada)
    with server.client() as stranger:
        of_strangers = begin_tus(stranger)
    server.kill()
    server.start()
    with guarded.client("bob") as bob, server.client() as stranger, guarded.client("ada") as ada:
        for other, upload in ((bob, mine), (stranger, mine), (ada, of_strangers)):
            answers = [seen(answer) for answer in every_request(other, upload)]
            assert answers == [seen(answer) for answer in every_request(other, UNKNOWN)]
        for owner, upload in ((ada, mine), (stranger, of_strangers)):
            answer = Tus(owner).patch(f"/tus/{upload}", len(LINE), LINE)
            assert answer.status_code == 204
            assert "Content-Location" in answer.headers
    assert len(server.published()) == 2


# Names


def spellings(name: str) -> list[bytes]:
    """Ways to write the path of a file that a check and a use could understand differently."""
    encoded_name = quote(name)
    first = name[0].encode()
    return [
        *(f"/{{}}/{path}".encode() for path in (
            f"ab/../{name}", f"ab/%2e%2e/{name}", f"ab%2f..%2f{name}", f"ab%2F%2E%2E%2F{name}",
            f"ab%5c..%5c{name}", f"ab\\..\\{name}", f"ab/..;/{name}", f"..;/{{}}/{name}",
            f"ab;/../{name}", f"./{name}", f"/{name}", f"//{name}", f"%2f{name}", f"%2e/{name}",
            f"%00{name}", f"ab%00/../{name}", f"{name}%00ab", f"{name}%00", f"{name}.", f"{name}/",
            f"{name}/.", f"{name}/ab", f"{name}%20", f"{name}%09", f"%20{name}", f"{name}::$DATA",
            f"{name};ab", f"{name}?ab", f"{name}%3fab", f"{name}#ab", f"{name}%23ab",
            f"%25{ord(name[0]):02x}{name[1:]}", f"%{ord(name[0]):02x}{name[1:]}",
            f"%{ord(name[0]):02X}{name[1:]}", f"{encoded_name}", name.upper(), name.swapcase(),
            f"%EF%BD%81{name[1:]}", f"%u0061{name[1:]}", f"{name[0]}%CC%81{name[1:]}",
            f"ab%0d%0aX: {name}".replace(" ", "%20"), f"ab%2f%2e%2e%2f%2e%2e%2f{{}}%2f{name}",
        )),
        b"/{}/%C0%AE%C0%AE%C0%AF" + name.encode(),
        b"/{}/%C1%" + b"%02X" % (0x80 | (first[0] & 0x3F)) + name[1:].encode(),
        b"/{}/%E0%81%" + b"%02X" % (0x80 | (first[0] & 0x3F)) + name[1:].encode(),
        b"/{}/ab/..%c0%af" + name.encode(),
        b"//{}/" + name.encode(),
        b"/./{}/" + name.encode(),
        b"/ab/../{}/" + name.encode(),
        b"/{}/../{}/" + name.encode(),
        b"/%7b%7d/../{}/" + name.encode(),
        b"/{}%2f" + name.encode(),
        b"/{}%2F" + name.encode(),
        b"http://files.example/{}/" + name.encode(),
        b"http://files.example/{}/ab/../" + name.encode(),
        b"http://ab@files.example/{}/" + name.encode(),
        b"http://files.example//{}/" + name.encode(),
        b"HTTP://files.example:80/{}/%2e%2e/{}/" + name.encode(),
    ]  # fmt: skip


FIELDS = [
    (),
    ("X-HTTP-Method-Override: GET",),
    ("X-Method-Override: DELETE", "X-HTTP-Method: DELETE"),
    ("X-Original-URL: /download/ab.txt", "X-Rewrite-URL: /download/ab.txt"),
    ("X-Forwarded-Prefix: /download", "X-Script-Name: /download", "Script-Name: /download"),
    ("X-Forwarded-User: ada", "Remote-User: ada", "X-Remote-User: ada"),
]
"""Fields by which some services change the path, the method or the user of a request."""
FOREIGN = ["a.txt", "A.TXT", "aab.txt", "b.txt", "zab.txt", "á.txt"]


@pytest.mark.parametrize(
    "fields",
    [FIELDS[0], *(pytest.param(some, marks=pytest.mark.thorough) for some in FIELDS[1:])],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_no_spelling_of_a_path_gets_around_the_prefix(
    guarded: Guarded, method: str, fields: tuple[str, ...]
) -> None:
    store = guarded.server.store
    for name in FOREIGN:
        (store / name).write_bytes(b"foreign\n")
    base, body = (b"upload", LINE) if method == "PUT" else (b"download", None)
    own = guarded.ask("ab", b"%s /%s/ab.txt" % (method.encode(), base), body=body)
    assert own.status == (201 if method == "PUT" else 404)
    for name in ("a.txt", "b.txt", "new.txt"):
        for spelling in spellings(name):
            target = spelling.replace(b"{}", base).replace(b" ", b"%20")
            answer = guarded.ask("ab", method.encode() + b" " + target, *fields, body=body)
            assert b"foreign" not in answer.body, target
            assert 201 <= answer.status < 300 or answer.status >= 400, target
            added = set(guarded.server.published()) - set(FOREIGN)
            assert all(new.startswith("ab") for new in added), target
            assert answer.status >= 400 or added, target
            for new in added:
                (store / new).unlink()
    assert all((store / name).read_bytes() == b"foreign\n" for name in FOREIGN)


def test_spellings_of_an_own_name_reach_that_file_and_no_other(guarded: Guarded) -> None:
    """The check and the use decode the path once, and in the same way."""
    (guarded.server.store / "ab%2e.txt").write_bytes(b"literal\n")
    (guarded.server.store / "ab..txt").write_bytes(LINE)
    for path, body in (("ab%252e.txt", b"literal\n"), ("ab%2e.txt", LINE), ("%61b..txt", LINE)):
        answer = guarded.ask("ab", f"GET /download/{path}")
        assert (answer.status, answer.body) == (200, body)


def test_a_prefix_reaches_neither_shorter_names_nor_others(guarded: Guarded) -> None:
    for name in ("a.txt", "Ab.txt", "ab.txt", "abc.txt", "ac.txt"):
        (guarded.server.store / name).write_bytes(LINE)
    with guarded.client("ab") as client:
        for name, status in (("a.txt", 403), ("Ab.txt", 403), ("ac.txt", 403), ("a", 403),
                             ("ab.txt", 200), ("abc.txt", 200)):  # fmt: skip
            assert client.get(f"/download/{name}").status_code == status
            assert client.delete(f"/download/{name}", headers={"If-Match": '"x"'}).status_code in (
                403 if status == 403 else 412,
            )
            form = client.post("/upload", files={"file": (name, LINE)})
            assert form.status_code == (403 if status == 403 else 409)
            assert Tus(client).create(name, 5).status_code == (403 if status == 403 else 409)
        names = [file["filename"] for file in client.get("/download").json()]
        assert names == ["ab.txt", "abc.txt"]


def test_prefix_and_name_are_compared_in_one_normalisation_form(guarded: Guarded) -> None:
    composed, decomposed = "é.txt", "e\u0301.txt"
    for number, name in enumerate((composed, decomposed)):
        for token, status in (("accent", 201), ("e", 403)):
            path = f"/upload/{quote(name)}"
            answer = guarded.ask(token, f"PUT {path}", body=LINE)
            assert answer.status == (409 if status == 201 and number else status)
            with guarded.client(token) as client:
                created = Tus(client).create(name.replace(".", f"{number}."), 5)
                assert created.status_code == status
    assert guarded.server.published() == [composed]
    with guarded.client("e") as client:
        assert client.get("/download").json() == []
    with guarded.client("accent") as client:
        assert [file["filename"] for file in client.get("/download").json()] == [composed]


@pytest.mark.parametrize("token", ["read", "ab"])
def test_an_overridden_method_is_the_one_that_is_decided_about(
    guarded: Guarded, token: str
) -> None:
    (guarded.server.store / "a.txt").write_bytes(LINE)
    with guarded.client("ada") as ada:
        upload = begin_tus(ada)
        for method in ("GET", "POST", "HEAD", "PUT"):
            for path in (f"/tus/{upload}", "/tus/", "/tus/../download/a.txt", "/download/a.txt"):
                for override in ("DELETE", "PATCH", "delete", "PUT", "OPTIONS"):
                    fields = ["Tus-Resumable: 1.0.0", f"X-HTTP-Method-Override: {override}"]
                    body = b"" if method in ("POST", "PUT") else None
                    answer = guarded.ask(token, f"{method} {path}", *fields, body=body)
                    is_options = override == "OPTIONS" and path.startswith("/tus/")
                    is_read = token == "read" and path == "/download/a.txt"
                    assert answer.status >= 400 or is_options or is_read
        assert Tus(ada).offset(f"/tus/{upload}") == len(LINE)
    assert guarded.server.published() == ["a.txt"]


# Credentials, and what is said about others


def test_a_secret_counts_in_authorization_and_nowhere_else(guarded: Guarded) -> None:
    secret = guarded.access.secret("ada")
    basic = encoded(f"ada:{secret}")
    for line, *fields in (
        (f"GET /download?access_token={secret}",),
        (f"GET /download?token={secret}&authorization=Bearer%20{secret}",),
        ("GET /download", f"Cookie: access_token={secret}; session={secret}; token={secret}"),
        ("GET /download", f"X-API-Key: {secret}", f"X-Auth-Token: {secret}"),
        ("GET /download", f"Proxy-Authorization: Bearer {secret}"),
        ("GET /download", f"X-Authorization: Bearer {secret}", f"X-Original-Auth: Basic {basic}"),
        ("GET /download", f"Authorization: Digest {secret}"),
        ("GET /download", f"Authorization: {secret}"),
        ("GET /download", f"Authorization: Bearer Bearer {secret}"),
        ("GET /download", f"Authorization: Basic {encoded(f'{secret}:')}"),
        ("GET /download", f"Authorization: Basic {encoded(secret)}"),
    ):
        answer = ask(guarded.server, request(line, *fields))
        assert answer.status == 401, (line, fields)
        assert secret.encode() not in answer.body
    assert guarded.ask("ada", "GET /download").status == 200
    for line, field in (
        (f"GET http://ada:{secret}@files.example/download", "X: y"),
        ("GET /download", f"Authorization: Bearer {secret}\0"),
        ("GET /download", f"Authorization : Bearer {secret}"),
    ):
        answer = ask(guarded.server, request(line, field))
        assert answer.status == 400
        assert secret.encode() not in answer.body
    form = httpx.post(
        f"{guarded.server.url}/upload",
        data={"access_token": secret},
        files={"file": ("a.txt", LINE)},
    )
    assert form.status_code == 401


def test_errors_and_lists_name_nothing_that_belongs_to_others(guarded: Guarded) -> None:
    foreign = ["b-secret.txt", "a.txt", "aa.txt"]
    for name in foreign:
        (guarded.server.store / name).write_bytes(b"foreign\n")
    with guarded.client("ada") as ada:
        uploads = [begin_tus(ada), rejected_tus(ada), begin_draft(ada)]
        also = [name for name in guarded.server.published() if name not in foreign]
    with guarded.client("ab") as client:
        answers = [
            client.get(path, headers={"Accept": accept})
            for path in (
                "/download", "/download?limit=1&sort=-size", "/download?q=secret", "/upload",
                "/download?prefix=b", "/download?limit=0", "/download?after=b-secret.tx",
                "/upload?q=secret", "/upload?limit=x", "/download/b-secret.tx", "/nothing",
                "/download/ab-missing.txt", "/tus/", "/healthz", "/readyz",
            )
            for accept in ("text/html", "application/json")
        ]  # fmt: skip
        answers += [
            client.put("/upload/b-secret.tx", content=LINE),
            client.put("/upload/ab-1.txt", content=LINE, headers={"Repr-Digest": "sha-256=:AA==:"}),
            client.post("/upload", files={"file": ("b-secret.tx", LINE)}),
            *every_request(client, uploads[0]),
        ]
    for answer in answers:
        said = answer.text + str(answer.headers)
        assert not any(name in said for name in (*foreign, *also)), answer.url
        assert not any(f"{upload}" in answer.text for upload in uploads), answer.url
        assert "foreign" not in said
        assert not re.search(r"\bada\b", said)
