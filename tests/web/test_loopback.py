"""Whether a request comes from a program on this machine, which may read the metrics."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.rows import every_row
from tests.web.application import application

LOCAL = {"REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": "localhost:8000"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    root: Path = tmp_path_factory.mktemp("store")
    return application(root, ALLOWED_HOSTS="*").test_client()


def status(client: FlaskClient, environ: dict[str, str]) -> int:
    return client.get("/metrics", environ_overrides=environ).status_code


@every_row(
    "environ",
    [
        LOCAL,
        LOCAL | {"REMOTE_ADDR": "::1", "HTTP_HOST": "[::1]:8000"},
        LOCAL | {"REMOTE_ADDR": "::ffff:127.0.0.1", "HTTP_HOST": "127.0.0.1"},
        LOCAL | {"HTTP_SEC_FETCH_SITE": "none"},
    ],
)
def test_a_program_on_this_machine_reads_the_metrics(
    client: FlaskClient, environ: dict[str, str]
) -> None:
    assert status(client, environ) == 200


@every_row(
    "environ",
    [
        LOCAL | {"REMOTE_ADDR": "192.0.2.1"},
        LOCAL | {"REMOTE_ADDR": ""},
        LOCAL | {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        LOCAL | {"HTTP_X_FORWARDED_PROTO": "https"},
        LOCAL | {"HTTP_X_REAL_IP": "127.0.0.1"},
        LOCAL | {"HTTP_FORWARDED": "for=127.0.0.1"},
        LOCAL | {"HTTP_VIA": "1.1 proxy"},
        LOCAL | {"HTTP_HOST": "files.example"},
        LOCAL | {"HTTP_HOST": "192.0.2.7"},
        LOCAL | {"HTTP_HOST": ""},
        LOCAL | {"HTTP_SEC_FETCH_SITE": "cross-site"},
        LOCAL | {"HTTP_SEC_FETCH_SITE": "same-origin"},
        LOCAL | {"HTTP_ORIGIN": "http://localhost:8000"},
        LOCAL | {"HTTP_REFERER": "http://localhost:8000/upload"},
    ],
)
def test_whoever_may_be_behind_a_proxy_or_a_page_does_not(
    client: FlaskClient, environ: dict[str, str]
) -> None:
    assert status(client, environ) in (401, 403)


def test_wrong_credentials_are_wrong_on_this_machine_too(client: FlaskClient) -> None:
    assert status(client, LOCAL | {"HTTP_AUTHORIZATION": "Bearer wrong"}) == 401


@pytest.mark.parametrize(
    "settings", [{"TRUSTED_PROXIES": "127.0.0.9"}, {"PUBLIC_URL": "https://files.example"}]
)
def test_behind_proxies_nobody_reads_the_metrics_without_a_scope(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """One that works in TCP passes on what its client says, such as a Host of localhost."""
    client = application(tmp_path, ALLOWED_HOSTS="*", **settings).test_client()
    assert status(client, LOCAL) == 401
