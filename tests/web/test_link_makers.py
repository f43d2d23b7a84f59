"""Whoever makes a link, it depends on what the rules say of that principal afterwards."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.access import access_file
from tests.support.access import EditedAccessFile
from tests.web.application import TEXT, application

SHARE, READ = frozenset({"read", "share"}), frozenset({"read"})
PERSON = {"X-Person": "ada", "X-Groups": "staff,unknown"}


class Service:
    """An application with one file, behind a proxy that names people."""

    def __init__(self, directory: Path) -> None:
        self.access = EditedAccessFile(directory / "access.toml")
        root = directory / "store"
        self.app = application(
            root,
            ACCESS_FILE=str(self.access.path),
            ANONYMOUS="none",
            TRUSTED_PROXIES="127.0.0.1",
            IDENTITY_HEADER="X-Person",
            IDENTITY_GROUPS_HEADER="X-Groups",
        )
        (root / "a.txt").write_bytes(TEXT)

    def link(
        self, headers: Mapping[str, str], client: FlaskClient | None = None
    ) -> Callable[[], int]:
        """Make a link to the file; return what returns the status of a download by it."""
        made = (client or self.app.test_client()).post(
            "/links", json={"name": "a.txt"}, headers=headers
        )
        assert made.status_code == 201, made.text
        bearer = {"Authorization": f"Bearer {made.json['url'].rpartition('/')[2]}"}
        stranger = self.app.test_client()
        return lambda: stranger.get("/download/a.txt", headers=bearer).status_code

    def signed_in(self, name: str) -> FlaskClient:
        """A browser whose user has signed in with this token."""
        client = self.app.test_client()
        form = {"token": self.access.secret(name)}
        answer = client.post("/sign-in", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303, answer.text
        return client


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(access_file, "_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(access_file, "_WRITING_SECONDS", 0.0)
    return Service(tmp_path)


def test_link_of_a_person_whom_a_proxy_names_lasts_as_long_as_its_rights(service: Service) -> None:
    service.access.set_people({"ada": SHARE}, {})
    status = service.link(PERSON)
    assert status() == 200
    service.access.set_people({"ada": READ}, {})
    assert status() == 410
    service.access.set_people({}, {})
    assert status() == 410


def test_link_of_a_person_is_gone_with_the_group_that_allowed_it(service: Service) -> None:
    service.access.set_people({"ada": READ}, {"staff": SHARE, "others": SHARE})
    status = service.link(PERSON)
    assert status() == 200
    service.access.set_people({"ada": READ}, {"others": SHARE})
    assert status() == 410
    service.access.set_people({}, {"staff": SHARE})
    assert status() == 200


def test_group_that_is_named_later_does_not_keep_a_link(service: Service) -> None:
    """The rules did not name it when the link was made, so it is not known who was in it."""
    service.access.set_people({}, {"staff": SHARE})
    status = service.link(PERSON)
    service.access.set_people({}, {"unknown": SHARE})
    assert status() == 410


def test_link_made_by_a_browser_that_signed_in_with_a_token_is_that_of_the_token(
    service: Service,
) -> None:
    service.access.set("ci", SHARE)
    status = service.link({"Sec-Fetch-Site": "same-origin"}, service.signed_in("ci"))
    assert status() == 200
    service.access.revoke("ci")
    assert status() == 410
    service.access.forget_secret("ci")
    service.access.set("ci", SHARE)
    assert status() == 410


def test_link_outlives_the_session_in_which_it_was_made(service: Service) -> None:
    service.access.set("ci", SHARE)
    client = service.signed_in("ci")
    own_page = {"Sec-Fetch-Site": "same-origin"}
    status = service.link(own_page, client)
    assert client.post("/sign-out", headers=own_page).status_code == 303
    assert status() == 200


def test_page_of_another_site_makes_no_link(service: Service) -> None:
    service.access.set("ci", SHARE)
    client = service.signed_in("ci")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = client.post("/links", json={"name": "a.txt"}, headers=headers)
        assert (answer.status_code, answer.json["code"]) == (403, "cross-site")
    assert client.get("/links").json == []


def test_who_lost_its_rights_sees_and_revokes_nothing(service: Service) -> None:
    service.access.set("ci", SHARE)
    credentials = service.access.credentials("ci")
    client = service.app.test_client()
    made = client.post("/links", json={"name": "a.txt"}, headers=credentials).json
    service.access.set("ci", READ)
    assert client.get("/links", headers=credentials).status_code == 403
    assert client.delete(f"/links/{made['id']}", headers=credentials).status_code == 403
    service.access.set("ci", SHARE)
    assert [each["state"] for each in client.get("/links", headers=credentials).json] == ["valid"]


def test_state_says_that_the_maker_has_lost_its_rights(service: Service) -> None:
    service.access.set("ci", SHARE)
    service.access.set("admin", "admin")
    service.link(service.access.credentials("ci"))
    service.access.revoke("ci")
    admin = service.app.test_client().get("/links", headers=service.access.credentials("admin"))
    assert [each["state"] for each in admin.json] == ["void"]
