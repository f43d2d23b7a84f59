"""The address a client knows the service by: Host, X-Forwarded fields, PUBLIC_URL, in one table."""

import ipaddress
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ, run_wsgi_app

from fileservice.addresses import is_authority
from fileservice.app import create_app
from fileservice.settings import PREFIX, Settings

PROXY = "10.0.0.1"
CLIENT = "192.0.2.7"

HOSTS = [
    "files.example",
    "files.example.",
    "files.example:8000",
    "files.example:",
    "my_service:8000",
    "10.0.0.1",
    "[::1]",
    "[::ffff:10.0.0.1]:8000",
    "a" * 63 + ".example",
    ".".join(["a" * 63] * 3 + ["a" * 61]),
]
NO_HOSTS = [
    "..",
    ".",
    ".example",
    "a..b",
    "a" * 64,
    "a" * 64 + ".example",
    ".".join(["a" * 63] * 3 + ["a" * 62]),
    "files.example:65536",
    "files.example:http",
    "files.example:-1",
    "files.example:80:80",
    "[::1",
    "::1",
    "[]",
    "[:::1]",
    "[1.2.3.4]",
    "[fe80::1%25eth0]",
    "a b",
    "a/b",
    "a,b",
    "a@b",
    "a%2e",
    "a\x01b",
    "\u00e4",
]


class Asked:
    """An application, and what it makes of requests to it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        store.mkdir()
        (store / "a.txt").write_text("text\n")

    def client(self, **settings: str) -> FlaskClient:
        environ = {
            "STORE_URL": str(self.store),
            "TRUSTED_PROXIES": "10.0.0.0/8",
            "ALLOWED_HOSTS": "*",
        } | settings
        app = create_app(Settings.from_environ({PREFIX + n: v for n, v in environ.items()}))
        return app.test_client()


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(tmp_path_factory.mktemp("addresses") / "store")


@pytest.fixture(scope="module")
def behind(asked: Asked) -> FlaskClient:
    return asked.client()


def seen(client: FlaskClient, peer: str = PROXY, host: str = "inner:8000", **fields: str) -> str:
    """The address of the one file in the list."""
    answer = ask(client, peer, host, **fields)
    assert answer.status_code == 200, answer.text
    [record] = answer.get_json()
    url: str = record["url"]
    return url


def ask(client: FlaskClient, peer: str = PROXY, host: str = "inner:8000", **fields: str):
    headers = {f"X-Forwarded-{name}": value for name, value in fields.items()}
    return client.get("/download", headers={"Host": host} | headers, environ_base=peer_is(peer))


def peer_is(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


class TestHost:
    @pytest.mark.parametrize("host", HOSTS)
    def test_is_what_addresses_are_made_of(self, behind: FlaskClient, host: str) -> None:
        assert seen(behind, host=host) == f"http://{host}/download/a.txt"

    @pytest.mark.parametrize("accept", ["text/html", "*/*"])
    @pytest.mark.parametrize("host", NO_HOSTS)
    def test_that_is_none_is_refused(self, behind: FlaskClient, host: str, accept: str) -> None:
        environ = create_environ("/upload") | {"HTTP_HOST": host, "HTTP_ACCEPT": accept}
        body, status, _ = run_wsgi_app(behind.application, environ, buffered=True)
        assert status == "400 Bad Request"
        assert "bad-request" in "".join(part.decode() for part in body)

    def test_may_be_missing_from_a_request_of_http_1_0(self, behind: FlaskClient) -> None:
        for name in ("::1", "[::1]"):
            environ = create_environ("/download") | {"SERVER_NAME": name, "SERVER_PORT": "8000"}
            del environ["HTTP_HOST"]
            body, status, _ = run_wsgi_app(behind.application, environ, buffered=True)
            assert status == "200 OK"
            assert "http://[::1]:8000/download/a.txt" in "".join(part.decode() for part in body)


class TestFieldsOfATrustedProxy:
    @pytest.mark.parametrize("host", HOSTS)
    def test_tell_the_host(self, behind: FlaskClient, host: str) -> None:
        assert seen(behind, Host=host) == f"http://{host}/download/a.txt"

    @pytest.mark.parametrize("proto", ["https", "HTTPS"])
    @pytest.mark.parametrize("prefix", ["/files", "/files/", "/a/b.c_d-e~f@g:h"])
    def test_tell_the_scheme_and_the_prefix(
        self, behind: FlaskClient, proto: str, prefix: str
    ) -> None:
        url = seen(behind, Host="files.example", Proto=proto, Prefix=prefix)
        expected = prefix.rstrip("/").replace("@", "%40").replace(":", "%3A")
        assert url == f"https://files.example{expected}/download/a.txt"

    @pytest.mark.parametrize(
        ("field", "value"),
        [("Host", host) for host in NO_HOSTS if "," not in host and host.isascii()]
        + [("Proto", value) for value in ("ftp", "javascript", "https:", "h ttp")]
        + [
            ("Prefix", value)
            for value in (
                "files",
                "//evil.example",
                "/a//b",
                "/..",
                "/a/../b",
                "/.",
                "/a\x01b",
                "/a b",
                "/%2e%2e",
                "/a?b",
                "/a#b",
                "/\\evil",
                "https://evil.example",
            )
        ]
        + [
            ("For", value)
            for value in ("unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[::1", "::1]", "a.example")
        ],
    )
    def test_that_make_no_sense_are_refused_before_a_byte_is_read(
        self, behind: FlaskClient, field: str, value: str
    ) -> None:
        answer = behind.put(
            "/upload/new.txt",
            headers={"Content-Length": "5"},
            environ_base=peer_is(PROXY),
            environ_overrides={
                f"HTTP_X_FORWARDED_{field.upper()}": value,
                "wsgi.input": Untouched(),
            },
        )
        assert answer.status_code == 400
        assert answer.get_json()["code"] == "bad-request"
        assert f"X-Forwarded-{field}" in answer.get_json()["detail"]
        assert behind.get("/download/new.txt").status_code == 404

    def test_are_nothing_when_they_are_empty(self, behind: FlaskClient) -> None:
        url = seen(behind, For="", Host=" ", Proto=",", Prefix="/")
        assert url == "http://inner:8000/download/a.txt"

    @pytest.mark.parametrize("field", ["Host", "Proto", "Prefix", "For"])
    def test_are_nothing_from_anybody_else(self, behind: FlaskClient, field: str) -> None:
        assert seen(behind, peer=CLIENT, **{field: ".."}) == "http://inner:8000/download/a.txt"


class Untouched:
    """A body that nobody may read."""

    def read(self, *_size: int) -> bytes:
        raise AssertionError("the body was read")

    readline = readinto = __iter__ = read


@pytest.mark.parametrize(
    ("networks", "peer", "trusted"),
    [
        ("10.0.0.0/8", "10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("::ffff:10.0.0.0/104", "10.0.0.1", True),
        ("::ffff:10.0.0.0/104", "11.0.0.1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.1", True),
        ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "fe80::1", False),
        ("10.0.0.0/8,fd00::/8", "fd00::1", True),
        ("0.0.0.0/0", "::1", False),
        ("10.0.0.0/8", "", True),  # a Unix socket's
    ],
)
def test_a_proxy_is_trusted_by_its_network(
    asked: Asked, networks: str, peer: str, trusted: bool
) -> None:
    client = asked.client(TRUSTED_PROXIES=networks)
    url = seen(client, peer, Host="outer.example")
    assert url == f"http://{'outer.example' if trusted else 'inner:8000'}/download/a.txt"


CHAINS = {
    "one proxy": ("192.0.2.7", "192.0.2.7", "o", "/o"),
    "one proxy, and a client that lies": ("6.6.6.6, 192.0.2.7", "192.0.2.7", "o", "/o"),
    "one proxy, and a client that sends nonsense": ("x, ::, 192.0.2.7", "192.0.2.7", "o", "/o"),
    "two proxies": ("192.0.2.7, 10.0.0.2", "192.0.2.7", "m", "/m/o"),
    "three proxies": ("192.0.2.7, 10.0.0.3, 10.0.0.2", "192.0.2.7", "l", "/l/m/o"),
    "three, and a lie": ("6.6.6.6, 192.0.2.7, 10.0.0.3, 10.0.0.2", "192.0.2.7", "l", "/l/m/o"),
    "two, by ports": ("192.0.2.7:4711, 10.0.0.2:80", "192.0.2.7", "m", "/m/o"),
    "two, by IPv6": ("[2001:db8::7]:80, ::ffff:10.0.0.2", "2001:db8::7", "m", "/m/o"),
    "a client mapped to IPv6": ("::ffff:192.0.2.7", "192.0.2.7", "o", "/o"),
    "trusted ones only": ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4", "l", "/l/m/o"),
    "more proxies than values": (
        "192.0.2.7, 10.0.0.5, 10.0.0.4, 10.0.0.3, 10.0.0.2",
        "192.0.2.7",
        "l",
        "/l/m/o",
    ),
    "empty members": (", 192.0.2.7,, 10.0.0.2 ,", "192.0.2.7", "m", "/m/o"),
    "no chain": ("", PROXY, "o", "/o"),
}


@pytest.mark.parametrize(("chain", "client", "host", "prefix"), CHAINS.values(), ids=CHAINS)
def test_the_proxy_next_to_the_client_tells(
    behind: FlaskClient, chain: str, client: str, host: str, prefix: str
) -> None:
    lists = {"Host": "l, m, o", "Prefix": "/l, /m, /o", "Proto": "https,https,https"}
    with behind:
        assert seen(behind, For=chain, **lists) == f"https://{host}{prefix}/download/a.txt"
        assert flask.request.remote_addr == client


def test_a_single_value_is_told_by_whoever_passed_it_on(behind: FlaskClient) -> None:
    url = seen(behind, For=f"{CLIENT}, 10.0.0.3, 10.0.0.2", Host="o", Proto="https", Prefix="/f")
    assert url == "https://o/f/download/a.txt"


class TestAPublicUrl:
    @pytest.mark.parametrize("peer", [PROXY, CLIENT])
    def test_stands_above_whatever_a_request_says(self, asked: Asked, peer: str) -> None:
        client = asked.client(PUBLIC_URL="https://example.org/files")
        fields = {"Host": "x.example", "Proto": "http", "Prefix": "/y"}
        assert seen(client, peer, **fields) == "https://example.org/files/download/a.txt"
        headers = {f"X-Forwarded-{name}": value for name, value in fields.items()}
        answer = client.get("/", headers=headers, environ_base=peer_is(peer))
        assert answer.headers["Location"] == "/files/upload"

    def test_without_a_path_has_none_even_if_a_proxy_tells_one(self, asked: Asked) -> None:
        client = asked.client(PUBLIC_URL="https://example.org")
        answer = client.get("/", headers={"X-Forwarded-Prefix": "/y"}, environ_base=peer_is(PROXY))
        assert answer.headers["Location"] == "/upload"

    @pytest.mark.parametrize("path", ["/files/download", "/download"])
    def test_may_be_in_the_path_of_a_request_or_not(self, asked: Asked, path: str) -> None:
        client = asked.client(PUBLIC_URL="https://example.org/files")
        assert client.get(path).status_code == 200
        assert client.get(f"/filesx{path}").status_code == 404

    @pytest.mark.parametrize("path", ["/files", "/files/", "/"])
    def test_alone_leads_to_the_page_like_the_root(self, asked: Asked, path: str) -> None:
        answer = asked.client(PUBLIC_URL="https://example.org/files").get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/files/upload")

    def test_that_begins_as_our_own_paths_do_must_be_removed_by_the_proxy(
        self, asked: Asked
    ) -> None:
        client = asked.client(PUBLIC_URL="https://example.org/download")
        assert client.get("/download").status_code == 200
        assert client.get("/download/download").status_code == 404


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_one_is_one_to_ipaddress_too(host: str) -> None:
    assert is_authority(host)
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:].partition("]")[0])
