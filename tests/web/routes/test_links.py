"""Links are made, listed and revoked."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.http import parse_options_header
from werkzeug.test import TestResponse

from fileservice.names import FileName
from fileservice.storage import Content, Owner
from fileservice.storage.local import LocalStore
from tests.storage.contract.expiry import FAR
from tests.support.access import EditedAccessFile, Rights
from tests.support.request_ids import without_id
from tests.support.rows import every_row
from tests.web.application import TEXT, application, published

RIGHTS = {
    "ada": Rights(frozenset({"list", "read", "write", "delete", "share"})),
    "bob": Rights(frozenset({"list", "read", "write", "share"})),
    "admin": Rights(frozenset({"admin"})),
    "reader": Rights(frozenset({"read", "share"})),
    "writer": Rights(frozenset({"write", "share"})),
    "team": Rights(frozenset({"read", "write", "share"}), prefix="team-"),
}
GUESTS = {"upload": {"prefix": "from-ada-", "files": 2, "bytes": "1KiB"}, "expires": "2d"}


def content(answer: TestResponse) -> bytes:
    return without_id(answer.data, answer.headers)


class Links:
    """A client for links, as each of the tokens."""

    def __init__(self, client: FlaskClient, access: EditedAccessFile, root: Path) -> None:
        self.client = client
        self.access = access
        self.root = root

    def ask(self, who: str, method: str, path: str, **options: Any) -> TestResponse:
        headers = self.access.credentials(who) | options.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **options)

    def make(self, who: str = "ada", **members: object) -> dict[str, Any]:
        answer = self.ask(who, "POST", "/links", json=members)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json
        return made

    def by_link(
        self, made: Mapping[str, Any], method: str, path: str, **options: Any
    ) -> TestResponse:
        secret = made["url"].rpartition("/")[2]
        headers = {"Authorization": f"Bearer {secret}"} | options.pop("headers", {})
        return self.client.open(path, method=method, headers=headers, **options)


@pytest.fixture
def links(tmp_path: Path) -> Links:
    access = EditedAccessFile(tmp_path / "access.toml")
    access.set_all(RIGHTS)
    root = tmp_path / "store"
    client = application(root, ACCESS_FILE=str(access.path), ANONYMOUS="none").test_client()
    (root / "a.pdf").write_bytes(TEXT)
    (root / "team-a.pdf").write_bytes(TEXT)
    return Links(client, access, root)


def test_link_to_a_file_is_answered_with_its_url_and_what_it_allows(links: Links) -> None:
    answer = links.ask(
        "ada", "POST", "/links", json={"name": "a.pdf", "uses": 3, "note": "hi", "password": "x"}
    )
    assert answer.status_code == 201
    made = answer.json
    assert answer.headers["Location"] == f"http://localhost/links/{made['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    base, _, secret = made.pop("url").rpartition("/")
    assert (base, len(secret)) == ("http://localhost/s", 43)
    assert made.pop("created")
    assert made.pop("qr").startswith("<svg ")
    assert made == {
        "id": made["id"],
        "maker": "token:ada",
        "expires": None,
        "state": "valid",
        "note": "hi",
        "password": True,
        "name": "a.pdf",
        "uses": 3,
        "uses_left": 3,
    }
    assert links.ask("ada", "GET", f"/links/{made['id']}").json["name"] == "a.pdf"


def test_link_for_guests_is_answered_with_its_limits(links: Links) -> None:
    made = links.make(**GUESTS)
    assert made["upload"] == {"prefix": "from-ada-", "files": 2, "bytes": 1024}
    assert made["received"] == {"files": 0, "bytes": 0}
    assert made["expires"]


def test_secret_is_in_no_other_answer_and_not_in_the_store(links: Links) -> None:
    made = links.make(name="a.pdf", password="hunter2")
    secret = made["url"].rpartition("/")[2]
    answers = [
        links.ask(who, "GET", path).text
        for who in ("ada", "admin")
        for path in ("/links", f"/links/{made['id']}")
    ]
    kept = [path.read_bytes() for path in links.root.rglob("*") if path.is_file()]
    for text in (secret, "hunter2"):
        assert not any(text in answer for answer in answers)
        assert not any(text.encode() in data for data in kept)


@every_row(
    ("who", "members", "status"),
    [
        ("writer", {"name": "a.pdf"}, 403),
        ("writer", {"name": "missing.pdf"}, 403),
        ("reader", GUESTS, 403),
        ("admin", {"name": "a.pdf"}, 403),
        ("team", {"name": "a.pdf"}, 403),
        ("team", {"upload": {"prefix": "tea"}}, 403),
        ("team", {"upload": {"prefix": "other-"}}, 403),
        ("ada", {"name": "missing.pdf"}, 404),
        ("reader", {"name": "a.pdf"}, 201),
        ("writer", GUESTS, 201),
        ("team", {"name": "team-a.pdf"}, 201),
        ("team", {"upload": {"prefix": "team-"}}, 201),
        ("team", {"upload": {"prefix": "team-guests-"}}, 201),
    ],
)
def test_link_gives_nothing_that_its_maker_does_not_have(
    links: Links, who: str, members: dict[str, object], status: int
) -> None:
    assert links.ask(who, "POST", "/links", json=members).status_code == status


@every_row(
    ("document", "member"),
    [
        ({"name": "a.pdf", "use": 1}, "use"),
        ({"upload": {"prefix": "x", "file": 1}}, "upload.file"),
        ({"name": "a.pdf", "expires": "7 weeks"}, "expires"),
        ([], "the body"),
    ],
)
def test_mistake_in_the_body_is_named(links: Links, document: object, member: str) -> None:
    answer = links.ask("ada", "POST", "/links", json=document)
    assert answer.status_code == 400
    assert (answer.json["code"], answer.json["member"]) == ("bad-request", member)


@every_row(
    "body",
    [
        b"{",
        b'{"name": "a.pdf", "name": "b.pdf"}',
        b"\xff",
        b"[" * 16_000,
        b'{"uses": ' + b"9" * 8_000 + b"}",
        b" " * 16_385,
    ],
)
def test_body_that_is_no_json_is_refused(links: Links, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = links.ask("ada", "POST", "/links", data=body, headers=headers)
    assert (answer.status_code, answer.json["code"]) == (400, "bad-request")


def test_body_of_another_type_is_refused(links: Links) -> None:
    answer = links.ask("ada", "POST", "/links", data=json.dumps({"name": "a.pdf"}))
    assert (answer.status_code, answer.json["code"]) == (415, "wrong-content-type")


def test_everybody_sees_and_revokes_their_own_links_and_admins_those_of_all(links: Links) -> None:
    of_ada, of_bob = links.make("ada", name="a.pdf"), links.make("bob", name="a.pdf")

    def listed(who: str) -> list[str]:
        return [link["id"] for link in links.ask(who, "GET", "/links").json]

    assert listed("ada") == [of_ada["id"]]
    assert listed("bob") == [of_bob["id"]]
    assert set(listed("admin")) == {of_ada["id"], of_bob["id"]}
    for method in ("GET", "DELETE"):
        foreign = links.ask("bob", method, f"/links/{of_ada['id']}")
        unknown = links.ask("bob", method, f"/links/{'0' * 32}")
        assert foreign.status_code == unknown.status_code == 404
        assert content(foreign) == content(unknown)
    assert links.ask("ada", "DELETE", f"/links/{of_ada['id']}").status_code == 204
    assert links.ask("ada", "DELETE", f"/links/{of_ada['id']}").status_code == 204
    assert links.ask("admin", "DELETE", f"/links/{of_bob['id']}").status_code == 204
    states = {link["id"]: link["state"] for link in links.ask("admin", "GET", "/links").json}
    assert states == {of_ada["id"]: "revoked", of_bob["id"]: "revoked"}


def test_list_says_which_links_have_lost_their_file(links: Links) -> None:
    made = [links.make(name=name) for name in ("a.pdf", "team-a.pdf", "a.pdf")] + [
        links.make(**GUESTS)
    ]
    (links.root / "a.pdf").write_bytes(TEXT + b"more")
    states = {each["id"]: each["state"] for each in links.ask("ada", "GET", "/links").json}
    assert [states[each["id"]] for each in made] == ["gone", "valid", "gone", "valid"]
    (links.root / "team-a.pdf").unlink()
    assert links.ask("ada", "GET", f"/links/{made[1]['id']}").json["state"] == "gone"


@pytest.mark.parametrize("end", ["", "/"])
def test_page_of_a_link_may_have_a_slash_at_its_end(links: Links, end: str) -> None:
    made, guests = links.make(name="a.pdf"), links.make(**GUESTS)
    path = "/s/" + made["url"].rpartition("/")[2]
    answer = links.client.get(path + end)
    assert (answer.status_code, answer.json["filename"]) == (200, "a.pdf")
    path = "/s/" + guests["url"].rpartition("/")[2]
    parts = {"file": (io.BytesIO(TEXT), "b.txt")}
    assert links.client.post(path + end, data=parts).status_code == 201
    assert links.client.get(f"/s/{'x' * 43}{end}").status_code == 404


def test_secret_of_a_link_with_a_password_is_not_enough(links: Links) -> None:
    made = links.make(name="a.pdf", password="hunter2")
    assert links.by_link(made, "GET", "/download/a.pdf").status_code == 401
    wrong = {"url": made["url"] + "." + "A" * 43}
    assert links.by_link(wrong, "GET", "/download/a.pdf").status_code == 401


def test_secret_that_is_wrong_is_answered_like_any_other_wrong_credential(links: Links) -> None:
    made = links.make(name="a.pdf")
    url = made["url"]
    wrong = {"url": url[:-1] + ("A" if url[-1] != "A" else "B")}
    answer = links.by_link(wrong, "GET", "/download/a.pdf")
    other = links.client.get("/download/a.pdf", headers={"Authorization": "Bearer fs_wrong"})
    assert (answer.status_code, content(answer)) == (other.status_code, content(other))
    assert answer.status_code == 401


def test_guest_uploads_for_the_maker_who_sees_what_came_by_which_link(links: Links) -> None:
    made, other = links.make(**GUESTS), links.make(**GUESTS)
    answer = links.by_link(made, "PUT", "/upload/from-ada-1.txt", data=TEXT)
    assert answer.status_code == 201, answer.text
    assert "from-ada-1.txt" in published(links.root)
    shown = links.ask("ada", "GET", f"/links/{made['id']}").json
    assert shown["received"] == {"files": 1, "bytes": len(TEXT)}
    assert shown["files"] == [
        {
            "filename": "from-ada-1.txt",
            "url": "http://localhost/download/from-ada-1.txt",
            "size": len(TEXT),
        }
    ]
    assert links.ask("ada", "GET", f"/links/{other['id']}").json["files"] == []


def test_what_came_by_a_link_is_shown_until_it_expires(links: Links) -> None:
    """A file that has expired may stay in a bucket for an hour, and counts for as long."""
    made, store = links.make(**GUESTS), LocalStore(links.root, fsync=False)
    owner = Owner("token:ada", guest=f"link:{made['id']}")
    for name, expires in (("from-ada-old.txt", 1), ("from-ada-new.txt", FAR)):
        writer = store.writer()
        try:
            writer.publish(FileName.parse(name), Content("text/plain"), owner, expires=expires)
        finally:
            writer.close()

    files = links.ask("ada", "GET", f"/links/{made['id']}").json["files"]

    assert [file["filename"] for file in files] == ["from-ada-new.txt"]


def test_guest_may_neither_list_read_nor_delete_not_even_its_own_file(links: Links) -> None:
    made = links.make(**GUESTS)
    assert links.by_link(made, "PUT", "/upload/from-ada-1.txt", data=TEXT).status_code == 201
    for method, path in (
        ("GET", "/download"),
        ("GET", "/download?prefix=from-ada-"),
        ("GET", "/download/from-ada-1.txt"),
        ("HEAD", "/download/from-ada-1.txt"),
        ("DELETE", "/download/from-ada-1.txt"),
        ("PUT", "/upload/other.txt"),
        ("GET", "/links"),
    ):
        assert links.by_link(made, method, path, data=TEXT).status_code == 403, (method, path)


def test_guest_who_guesses_names_learns_the_same_of_all_outside_the_prefix(links: Links) -> None:
    made = links.make(**GUESTS)
    answers = [
        links.by_link(made, method, path)
        for method, path in (
            ("PUT", "/upload/a.pdf"),
            ("PUT", "/upload/b.pdf"),
            ("GET", "/download/a.pdf"),
            ("GET", "/download/b.pdf"),
        )
    ]
    assert len({answer.status_code for answer in answers}) == 1
    assert content(answers[0]) == content(answers[1])
    assert content(answers[2]) == content(answers[3])


def test_name_that_another_guest_has_taken_is_only_taken(links: Links) -> None:
    """Its bytes are not compared with a declared digest, and not described."""
    first, second = links.make(**GUESTS), links.make(**GUESTS)
    name = "/upload/from-ada-1.txt"
    assert links.by_link(first, "PUT", name, data=TEXT).status_code == 201
    same = links.by_link(second, "PUT", name, data=TEXT)
    assert (same.status_code, same.json["code"]) == (409, "name-taken")
    digest = "sha-256=:" + "u2QmpOYL1hUs6nv4dSPZ4Ts/0FW0ZbyYw4V8RTHQ4PU=" + ":"
    for data in (TEXT, b"other"):
        answer = links.by_link(second, "PUT", name, data=data, headers={"Repr-Digest": digest})
        assert answer.status_code == 409
        assert content(answer) == content(same)
    forbidden = links.by_link(second, "PUT", name, data=TEXT, headers={"If-Match": '"x"'})
    assert forbidden.status_code == 403


def test_file_that_the_maker_deletes_makes_room_for_another(links: Links) -> None:
    made = links.make(**GUESTS)
    for number in (1, 2):
        stored = links.by_link(made, "PUT", f"/upload/from-ada-{number}.txt", data=TEXT)
        assert stored.status_code == 201
    refused = links.by_link(made, "PUT", "/upload/from-ada-3.txt", data=TEXT)
    assert (refused.status_code, refused.json["code"]) == (507, "quota-exceeded")
    assert links.ask("ada", "DELETE", "/download/from-ada-1.txt").status_code == 204
    assert links.by_link(made, "PUT", "/upload/from-ada-3.txt", data=TEXT).status_code == 201
    received = links.ask("ada", "GET", "/links").json[0]["received"]
    assert received == {"files": 2, "bytes": 2 * len(TEXT)}


def test_list_of_links_is_not_sent_again_while_no_link_has_changed(links: Links) -> None:
    made = links.make(name="a.pdf")
    answer = links.ask("ada", "GET", "/links")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert links.ask("ada", "GET", "/links", headers=known).status_code == 304
    assert links.ask("ada", "DELETE", f"/links/{made['id']}").status_code == 204
    again = links.ask("ada", "GET", "/links", headers=known)
    assert (again.status_code, again.json[0]["state"]) == (200, "revoked")


def ids(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [link["id"] for link in answer.json]


def test_pages_have_every_link_once_even_if_the_last_of_one_is_gone(links: Links) -> None:
    made = [links.make(name="a.pdf")["id"] for _ in range(5)]
    everything = ids(links.ask("ada", "GET", "/links"))
    assert sorted(everything) == sorted(made)
    seen, url = list[str](), "/links?limit=2"
    while url:
        page = links.ask("ada", "GET", url)
        seen += ids(page)
        if len(seen) == 2:
            LocalStore(links.root, fsync=False).private_files.remove(f"links/{seen[1]}")
        url = parse_options_header(page.headers.get("Link", ""))[0].strip("<>")
    assert seen == everything
    assert "Link" not in links.ask("ada", "GET", "/links?limit=4").headers


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=x", "after=1/x", "before=1", "q=a"])
def test_page_of_links_that_cannot_be_is_refused(links: Links, query: str) -> None:
    answer = links.ask("ada", "GET", f"/links?{query}")
    assert (answer.status_code, answer.json["code"]) == (400, "bad-request")
