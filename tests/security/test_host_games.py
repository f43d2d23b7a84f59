"""Hosts that are not the service's: in DNS rebinding, and in the URLs of answers.

See also tests/web/middleware/test_hosts.py, test_proxies.py and tests/http/test_foreign_pages.py.
"""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from fileservice.web.middleware import hosts, proxies
from tests.web.application import TEXT

OWN = "files.example"
FOREIGN = ["evil.example", "evil.example:80", "files.example.evil.example", "xfiles.example"]
MALFORMED = [
    "files.example@evil.example",
    "files.example/evil",
    "a b",
    "evil.example#",
    "[::1",
    "ä",
]


def lead_elsewhere(client: FlaskClient, fields: dict[str, str]) -> bool:
    """Return whether an answer to these fields has a URL with their host."""
    answers = [
        client.get("/download", headers=fields),
        client.get("/upload", headers=fields | {"Accept": "text/html"}),
        client.get("/", headers=fields),
        client.put("/upload/a.txt", data=TEXT, headers=fields),
    ]
    return any(
        "evil" in answer.text + str(answer.headers) and answer.status_code < 400
        for answer in answers
    )


@pytest.mark.parametrize("host", FOREIGN + MALFORMED)
def test_a_foreign_host_is_refused(client_of: Callable[..., FlaskClient], host: str) -> None:
    client = client_of(ALLOWED_HOSTS=OWN)
    assert client.get("/download", headers={"Host": OWN}).status_code == 200
    answer = client.get("/download", headers={"Host": host})
    assert answer.status_code in (400, 421)
    assert not lead_elsewhere(client, {"Host": host})


@pytest.mark.parametrize("host", MALFORMED)
def test_a_malformed_host_is_refused_where_any_is_allowed(
    client_of: Callable[..., FlaskClient], host: str
) -> None:
    client = client_of(ALLOWED_HOSTS="*")
    assert client.get("/download", headers={"Host": host}).status_code == 400
    assert not lead_elsewhere(client, {"Host": host})


def test_without_its_form_a_malformed_host_leads_elsewhere(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "is_authority", lambda _text: True)
    client = client_of(ALLOWED_HOSTS="*")
    client.put("/upload/kept.txt", data=TEXT)
    assert lead_elsewhere(client, {"Host": MALFORMED[0]})


def test_without_the_list_of_hosts_a_foreign_one_is_answered(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts.AllowedHosts, "__contains__", lambda _self, _host: True)
    client = client_of(ALLOWED_HOSTS=OWN)
    assert client.get("/download", headers={"Host": FOREIGN[0]}).status_code == 200


FIELDS = ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded", "X-Forwarded-Prefix"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_client_is_in_no_url(
    client_of: Callable[..., FlaskClient], field: str
) -> None:
    value = {"Forwarded": "host=evil.example", "X-Forwarded-Prefix": "/evil"}.get(
        field, "evil.example"
    )
    client = client_of(ALLOWED_HOSTS="*")
    client.put("/upload/kept.txt", data=TEXT)
    assert not lead_elsewhere(client, {"Host": OWN, field: value})


def test_if_every_peer_were_trusted_a_field_is_in_urls(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies.ClientAddresses, "_is_trusted", lambda _self, _peer: True)
    client = client_of(ALLOWED_HOSTS="*", TRUSTED_PROXIES="203.0.113.1")
    client.put("/upload/kept.txt", data=TEXT)
    assert lead_elsewhere(client, {"Host": OWN, "X-Forwarded-Host": "evil.example"})
