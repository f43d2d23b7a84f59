"""A link that ends in the middle of a guest's upload publishes nothing, whatever its form."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from werkzeug.test import TestResponse

from fileservice.access import Link, LinkStore, Maker, UploadGrant
from fileservice.access.rules_parser import parse_rules
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import published
from tests.web.test_rights_that_change import (
    NAME,
    PARTIAL,
    WAYS,
    WHOLE,
    Service,
    Uploader,
    draft_patch,
    put,
    tus_patch,
)

SCOPES = "share,write"


@dataclass
class Guest(Uploader):
    """A client with the secret of a link, which a token has made."""

    links: LinkStore | None = None
    link: Link | None = None

    def change(self, change: str) -> None:
        self.changes.append(change)
        assert self.links
        assert self.link
        match change:
            case "link revoked":
                self.links.revoke(self.link.id)
            case "link expired":
                self.expire(int(time.time()))
            case "maker revoked":
                self.access.revoke("ci")
            case "maker expired":
                self.access.set("ci", SCOPES, expired=True)
            case "maker may not share":
                self.access.set("ci", "list,read,write,delete,admin")
            case "maker may not write":
                self.access.set("ci", "list,read,share,delete,admin")
            case "maker has another prefix":
                self.access.set("ci", SCOPES, prefix="b")
            case "token made anew":
                self.access.forget_secret("ci")
                self.access.set("ci", SCOPES)

    def expire(self, moment: int | None) -> None:
        assert self.links
        assert self.link
        self.links.update(self.link.id, lambda link: replace(link, expires=moment))


CHANGES = [
    "link revoked",
    "link expired",
    "maker revoked",
    "maker expired",
    "maker may not share",
    "maker may not write",
    "maker has another prefix",
    "token made anew",
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("guests"))


@pytest.fixture
def guest(service: Service, monkeypatch: pytest.MonkeyPatch) -> Guest:
    client, access, root = service.emptied(monkeypatch), service.access, service.root
    access.set("ci", SCOPES)
    links = LinkStore(LocalStore(root, fsync=False).private_files)
    maker = Maker.of_token("ci", parse_rules(access.path.read_text()))
    link, secret = links.create(maker, UploadGrant("a"))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return Guest(client, access, root, monkeypatch, links=links, link=link)


def assert_gone(answer: TestResponse) -> None:
    assert answer.status_code == 410
    if answer.data:
        assert answer.json["code"] == "link-gone"
        assert "ci" not in answer.json["detail"].split()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_upload_whose_link_does_not_change_is_published(
    guest: Guest, way: Callable[[Uploader, str], TestResponse]
) -> None:
    answer = way(guest, "")
    assert answer.status_code in (201, 204), answer.text
    assert (guest.root / NAME).read_bytes() == WHOLE


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "way",
    [
        way if way in (put, tus_patch) else pytest.param(way, marks=pytest.mark.thorough)
        for way in WAYS
    ],
    ids=[way.__name__ for way in WAYS],
)
def test_a_link_that_ends_during_an_upload_publishes_nothing(
    guest: Guest, way: Callable[[Uploader, str], TestResponse], change: str
) -> None:
    answer = way(guest, change)
    assert guest.changes == [change]
    assert_gone(answer)
    assert published(guest.root) == []
    assert list((guest.root / ".fileservice/staging").iterdir()) == []


@pytest.mark.parametrize("way", [tus_patch, draft_patch], ids=lambda way: way.__name__)
def test_asking_for_the_offset_publishes_nothing_by_a_link_that_has_expired(
    guest: Guest, way: Callable[[Uploader, str], TestResponse]
) -> None:
    """All bytes have arrived, so that asking would publish the file, and does so later."""
    assert_gone(way(guest, "link expired"))
    (upload,) = (path.name for path in (guest.root / ".fileservice/uploads").iterdir()
                 if len(path.name) == 32)  # fmt: skip
    for path, headers in ((f"/tus/{upload}", VERSION), (f"/resume/{upload}", {})):
        assert_gone(guest.client.head(path, headers=headers))
    assert published(guest.root) == []
    guest.expire(None)
    assert guest.client.head(f"/tus/{upload}", headers=VERSION).status_code == 200
    assert (guest.root / NAME).read_bytes() == WHOLE


@pytest.mark.parametrize("change", CHANGES)
def test_an_upload_that_was_begun_before_the_link_ended_cannot_be_continued(
    guest: Guest, change: str
) -> None:
    tus = guest.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME))
    draft = guest.begin({"Upload-Complete": "?0"}, "/upload/ab.txt")
    guest.change(change)
    headers = VERSION | BYTES | {"Upload-Offset": "0"}
    assert_gone(guest.send("PATCH", tus, headers, WHOLE, ""))
    headers = PARTIAL | {"Upload-Offset": "0", "Upload-Complete": "?1"}
    assert_gone(guest.send("PATCH", draft, headers, WHOLE, ""))
    assert published(guest.root) == []


def test_unfinished_upload_belongs_to_the_link_and_not_to_its_maker(guest: Guest) -> None:
    tus = guest.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME))
    maker = guest.access.credentials("ci")
    for method in ("HEAD", "DELETE"):
        answer = guest.client.open(tus, method=method, headers=VERSION | maker)
        assert answer.status_code == 404
    assert guest.client.head(tus, headers=VERSION).status_code == 200


def test_unfinished_upload_belongs_to_all_who_have_the_link_and_to_no_other_link(
    guest: Guest,
) -> None:
    assert guest.links
    assert guest.link
    tus = guest.begin(VERSION | {"Upload-Length": str(len(WHOLE))} | named(NAME))
    _, secret = guest.links.create(guest.link.maker, UploadGrant("a"))
    other = {"Authorization": f"Bearer {secret}"}
    assert guest.client.head(tus, headers=VERSION | other).status_code == 404
    assert guest.client.delete(tus, headers=VERSION | other).status_code == 404
    assert guest.client.delete(tus, headers=VERSION).status_code == 204


def test_file_of_a_guest_belongs_to_the_maker_and_names_the_link(guest: Guest) -> None:
    assert guest.link
    assert put(guest, "").status_code == 201
    owner = LocalStore(guest.root, fsync=False).stat(FileName.parse(NAME)).owner
    assert owner
    assert (owner.principal, owner.guest) == ("token:ci", guest.link.principal_id)
