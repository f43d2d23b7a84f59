"""The address at which a client reached the service: Host, X-Forwarded fields and PUBLIC_URL."""

import ipaddress
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import create_environ, run_wsgi_app

from fileservice.addresses import is_authority
from fileservice.app import create_app
from fileservice.settings import PREFIX, Settings
from tests.support.rows import every_row
from tests.web.application import UnreadableBody

PROXY = "10.0.0.1"
CLIENT = "192.0.2.7"

VALID_HOSTS = [
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
INVALID_HOSTS = [
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


class Applications:
    """Applications over one store with one file, each with settings of its own."""

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
def applications(tmp_path_factory: pytest.TempPathFactory) -> Applications:
    return Applications(tmp_path_factory.mktemp("addresses") / "store")


@pytest.fixture(scope="module")
def client(applications: Applications) -> FlaskClient:
    return applications.client()


def url_of_file(
    client: FlaskClient, peer: str = PROXY, host: str = "inner:8000", **fields: str
) -> str:
    """Return the URL of the one file in the list."""
    response = get_list(client, peer, host, **fields)
    assert response.status_code == 200, response.text
    [record] = response.get_json()
    url: str = record["url"]
    return url


def get_list(client: FlaskClient, peer: str = PROXY, host: str = "inner:8000", **fields: str):
    headers = {f"X-Forwarded-{name}": value for name, value in fields.items()}
    return client.get("/download", headers={"Host": host} | headers, environ_base=peer_is(peer))


def peer_is(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


class TestHost:
    @every_row("host", VALID_HOSTS)
    def test_a_valid_host_is_part_of_the_urls_in_responses(
        self, client: FlaskClient, host: str
    ) -> None:
        assert url_of_file(client, host=host) == f"http://{host}/download/a.txt"

    @every_row("accept", ["text/html", "*/*"])
    @every_row("host", INVALID_HOSTS)
    def test_an_invalid_host_is_refused(self, client: FlaskClient, host: str, accept: str) -> None:
        environ = create_environ("/upload") | {"HTTP_HOST": host, "HTTP_ACCEPT": accept}
        body, status, _ = run_wsgi_app(client.application, environ, buffered=True)
        assert status == "400 Bad Request"
        assert "bad-request" in "".join(part.decode() for part in body)

    def test_host_may_be_missing_from_a_request_of_http_1_0(self, client: FlaskClient) -> None:
        for name in ("::1", "[::1]"):
            environ = create_environ("/download") | {"SERVER_NAME": name, "SERVER_PORT": "8000"}
            del environ["HTTP_HOST"]
            body, status, _ = run_wsgi_app(client.application, environ, buffered=True)
            assert status == "200 OK"
            assert "http://[::1]:8000/download/a.txt" in "".join(part.decode() for part in body)


class TestTrustedProxy:
    @every_row("host", VALID_HOSTS)
    def test_x_forwarded_host_replaces_host(self, client: FlaskClient, host: str) -> None:
        assert url_of_file(client, Host=host) == f"http://{host}/download/a.txt"

    @every_row("proto", ["https", "HTTPS"])
    @every_row("prefix", ["/files", "/files/", "/a/b.c_d-e~f@g:h"])
    def test_proto_and_prefix_are_part_of_the_urls_in_responses(
        self, client: FlaskClient, proto: str, prefix: str
    ) -> None:
        url = url_of_file(client, Host="files.example", Proto=proto, Prefix=prefix)
        expected = prefix.rstrip("/").replace("@", "%40").replace(":", "%3A")
        assert url == f"https://files.example{expected}/download/a.txt"

    @every_row(
        ("field", "value"),
        [("Host", host) for host in INVALID_HOSTS if "," not in host and host.isascii()]
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
    def test_an_invalid_field_is_refused_before_the_body_is_read(
        self, client: FlaskClient, field: str, value: str
    ) -> None:
        response = client.put(
            "/upload/new.txt",
            headers={"Content-Length": "5"},
            environ_base=peer_is(PROXY),
            environ_overrides={
                f"HTTP_X_FORWARDED_{field.upper()}": value,
                "wsgi.input": UnreadableBody(),
            },
        )
        assert response.status_code == 400
        assert response.get_json()["code"] == "bad-request"
        assert f"X-Forwarded-{field}" in response.get_json()["detail"]
        assert client.get("/download/new.txt").status_code == 404

    def test_empty_fields_are_ignored(self, client: FlaskClient) -> None:
        url = url_of_file(client, For="", Host=" ", Proto=",", Prefix="/")
        assert url == "http://inner:8000/download/a.txt"

    @every_row("field", ["Host", "Proto", "Prefix", "For"])
    def test_fields_of_other_peers_are_ignored(self, client: FlaskClient, field: str) -> None:
        assert (
            url_of_file(client, peer=CLIENT, **{field: ".."}) == "http://inner:8000/download/a.txt"
        )


@every_row(
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
        ("fe80::/10", "fe80::1%eth0", True),
        ("fd00::/8", "fe80::1%eth0", False),
        ("10.0.0.0/8", "::10.0.0.1", False),
        ("0.0.0.0/0,::/0", "not an address", False),
        ("10.0.0.0/8", "", True),  # a Unix socket's
    ],
)
def test_a_peer_in_a_trusted_network_is_a_trusted_proxy(
    applications: Applications, networks: str, peer: str, trusted: bool
) -> None:
    client = applications.client(TRUSTED_PROXIES=networks)
    url = url_of_file(client, peer, Host="outer.example")
    assert url == f"http://{'outer.example' if trusted else 'inner:8000'}/download/a.txt"


CHAINS = {
    "one proxy": ("192.0.2.7", "192.0.2.7", "o", "/o"),
    "one proxy, and an address that the client invented": (
        "6.6.6.6, 192.0.2.7",
        "192.0.2.7",
        "o",
        "/o",
    ),
    "one proxy, and an invalid address from the client": (
        "x, ::, 192.0.2.7",
        "192.0.2.7",
        "o",
        "/o",
    ),
    "two proxies": ("192.0.2.7, 10.0.0.2", "192.0.2.7", "m", "/m/o"),
    "three proxies": ("192.0.2.7, 10.0.0.3, 10.0.0.2", "192.0.2.7", "l", "/l/m/o"),
    "three proxies, and an address that the client invented": (
        "6.6.6.6, 192.0.2.7, 10.0.0.3, 10.0.0.2",
        "192.0.2.7",
        "l",
        "/l/m/o",
    ),
    "two proxies, with ports": ("192.0.2.7:4711, 10.0.0.2:80", "192.0.2.7", "m", "/m/o"),
    "two proxies, with IPv6": ("[2001:db8::7]:80, ::ffff:10.0.0.2", "2001:db8::7", "m", "/m/o"),
    "a client mapped to IPv6": ("::ffff:192.0.2.7", "192.0.2.7", "o", "/o"),
    "trusted proxies only": ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4", "l", "/l/m/o"),
    "more proxies than values": (
        "192.0.2.7, 10.0.0.5, 10.0.0.4, 10.0.0.3, 10.0.0.2",
        "192.0.2.7",
        "l",
        "/l/m/o",
    ),
    "a client that pretends to be a trusted proxy": (
        "6.6.6.6, 10.0.0.9, 192.0.2.7",
        "192.0.2.7",
        "o",
        "/o",
    ),
    "a client that pretends to be a mapped trusted proxy": (
        "6.6.6.6, ::ffff:10.0.0.9, 192.0.2.7, ::ffff:a00:2",
        "192.0.2.7",
        "m",
        "/m/o",
    ),
    "a client that pretends to have a long chain": (
        f"{', '.join(['6.6.6.6', *(['10.0.0.9'] * 900)])}, 192.0.2.7",
        "192.0.2.7",
        "o",
        "/o",
    ),
    "a client that names no address": ("unknown, _hidden, 192.0.2.7", "192.0.2.7", "o", "/o"),
    "a client with a zone": ("fe80::7%eth0", "fe80::7", "o", "/o"),
    "an address that only looks like a trusted one": ("10.0.0.9, ::10.0.0.9", "::a00:9", "o", "/o"),
    "empty elements": (", 192.0.2.7,, 10.0.0.2 ,", "192.0.2.7", "m", "/m/o"),
    "no chain": ("", PROXY, "o", "/o"),
}


@every_row(("chain", "address", "host", "prefix"), CHAINS.values())
def test_the_values_of_the_proxy_next_to_the_client_count(
    client: FlaskClient, chain: str, address: str, host: str, prefix: str
) -> None:
    lists = {"Host": "l, m, o", "Prefix": "/l, /m, /o", "Proto": "https,https,https"}
    with client:
        assert url_of_file(client, For=chain, **lists) == f"https://{host}{prefix}/download/a.txt"
        assert flask.request.remote_addr == address


@every_row(("hops", "status"), [(32, 200), (33, 400), (900, 400)])
def test_a_chain_of_trusted_proxies_ends_somewhere(
    client: FlaskClient, hops: int, status: int
) -> None:
    response = get_list(client, For=", ".join(["10.0.0.9"] * hops))
    assert response.status_code == status


def test_a_single_value_counts_whichever_proxy_appended_it(client: FlaskClient) -> None:
    url = url_of_file(
        client, For=f"{CLIENT}, 10.0.0.3, 10.0.0.2", Host="o", Proto="https", Prefix="/f"
    )
    assert url == "https://o/f/download/a.txt"


class TestPublicUrl:
    @every_row("peer", [PROXY, CLIENT])
    def test_a_public_url_takes_precedence_over_the_fields(
        self, applications: Applications, peer: str
    ) -> None:
        client = applications.client(PUBLIC_URL="https://example.org/files")
        fields = {"Host": "x.example", "Proto": "http", "Prefix": "/y"}
        assert url_of_file(client, peer, **fields) == "https://example.org/files/download/a.txt"
        headers = {f"X-Forwarded-{name}": value for name, value in fields.items()}
        response = client.get("/", headers=headers, environ_base=peer_is(peer))
        assert response.headers["Location"] == "/files/upload"

    def test_a_public_url_without_a_path_overrides_the_prefix_of_a_proxy(
        self, applications: Applications
    ) -> None:
        client = applications.client(PUBLIC_URL="https://example.org")
        response = client.get(
            "/", headers={"X-Forwarded-Prefix": "/y"}, environ_base=peer_is(PROXY)
        )
        assert response.headers["Location"] == "/upload"

    @every_row("prefix", ["/inner", "/files", "/download", "/upload"])
    def test_the_path_of_the_public_url_may_be_removed_by_the_proxy_or_not(
        self, applications: Applications, prefix: str
    ) -> None:
        client = applications.client(PUBLIC_URL=f"https://example.org{prefix}")
        for path in ("/download", f"{prefix}/download"):
            answer = client.get(path)
            assert (answer.status_code, answer.mimetype) == (200, "application/json")
        assert client.get(f"{prefix}x/download").status_code == 404

    @every_row("path", ["/inner", "/inner/", "/"])
    def test_the_path_of_the_public_url_alone_redirects_to_the_page(
        self, applications: Applications, path: str
    ) -> None:
        response = applications.client(PUBLIC_URL="https://example.org/inner").get(path)
        assert (response.status_code, response.headers["Location"]) == (302, "/inner/upload")

    def test_a_path_of_the_public_url_that_is_a_route_as_well_is_that_route(
        self, applications: Applications
    ) -> None:
        client = applications.client(PUBLIC_URL="https://example.org/files")
        assert b"<title>files</title>" in client.get("/files/").data


@every_row("host", VALID_HOSTS)
def test_a_valid_host_that_is_an_ipv6_address_is_valid_to_ipaddress(host: str) -> None:
    assert is_authority(host)
    if host.startswith("["):
        ipaddress.IPv6Address(host[1:].partition("]")[0])
