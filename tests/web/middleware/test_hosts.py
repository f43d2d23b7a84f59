"""Which values of Host are allowed."""

import ipaddress

from fileservice.web.middleware.hosts import AllowedHosts
from tests.support.rows import every_row

CONFIGURED = AllowedHosts(
    ["files.example", "*.lan", "XN--a.example", ipaddress.ip_network("10.0.0.0/8")]
)
OWN_NAMES = [
    *("localhost", "localhost:8000", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1"),
    *("127.1.2.3:80", "[::1]", "[::1]:8000", "0.0.0.0:8000", ""),
]
OTHER_NAMES = [
    *("evil.example", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example"),
    *("192.168.0.1", "[fd00::1]", "::1:8000", "[::1", "localhost:80:80", "localhost:http", " "),
    *("files.example@evil.example", "localhost/a", "127.0.0.1\0"),
]


@every_row("host", OWN_NAMES)
def test_the_names_by_which_a_machine_refers_to_itself_are_always_allowed(host: str) -> None:
    assert host in AllowedHosts([])
    assert host in CONFIGURED


@every_row("host", OTHER_NAMES)
def test_other_names_are_not_allowed(host: str) -> None:
    assert host not in AllowedHosts([])
    assert host not in CONFIGURED


@every_row(
    "host",
    ["files.example", "Files.Example:8000", "files.example.", "a.lan", "a.b.lan:1", "xn--A.example"]
    + ["10.1.2.3", "10.1.2.3:80"],
)
def test_a_configured_name_is_allowed_with_any_port(host: str) -> None:
    assert host in CONFIGURED
    assert host not in AllowedHosts([])


@every_row("host", ["lan", "a.files.example", "evillan", "11.0.0.1"])
def test_a_name_that_only_resembles_a_configured_one_is_not_allowed(host: str) -> None:
    assert host not in CONFIGURED
