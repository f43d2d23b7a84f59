"""Addresses that a client invents, to get around the limits that count by address.

See also tests/web/middleware/test_proxies.py, tests/http/test_forwarded_fields.py and
tests/http/test_limits.py.
"""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from fileservice.web.middleware import proxies

FIELDS = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP"]
WRONG = {"Authorization": "Bearer fs_wrong"}


def guesses(client: FlaskClient, field: str) -> int:
    """Guess twelve times, each from another address; return how many guesses were looked at."""
    statuses = []
    for number in range(12):
        address = f"192.0.2.{number}"
        value = f"for={address}" if field == "Forwarded" else address
        answer = client.get("/download", headers=WRONG | {field: value})
        statuses.append(answer.status_code)
    return statuses.count(401)


@pytest.mark.parametrize("field", FIELDS)
def test_an_invented_address_gives_no_more_guesses(
    client_of: Callable[..., FlaskClient], field: str
) -> None:
    assert guesses(client_of(AUTH_FAILURE_LIMIT="3/hour"), field) == 3


def test_behind_a_proxy_an_invented_address_gives_no_more_guesses(
    client_of: Callable[..., FlaskClient],
) -> None:
    client = client_of(AUTH_FAILURE_LIMIT="3/hour", TRUSTED_PROXIES="127.0.0.1")
    statuses = [
        client.get(
            "/download", headers=WRONG | {"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.1"}
        ).status_code
        for number in range(12)
    ]
    assert statuses.count(401) == 3


def test_if_every_peer_were_trusted_an_address_gives_more_guesses(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies.ClientAddresses, "_is_trusted", lambda _self, _peer: True)
    client = client_of(AUTH_FAILURE_LIMIT="3/hour", TRUSTED_PROXIES="203.0.113.1")
    assert guesses(client, "X-Forwarded-For") == 12
