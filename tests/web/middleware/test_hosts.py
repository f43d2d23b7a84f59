"""Which values of Host are answered."""

import ipaddress

import pytest

from fileservice.web.middleware.hosts import AllowedHosts

NAMED = AllowedHosts(
    ["files.example", "*.lan", "XN--a.example", ipaddress.ip_network("10.0.0.0/8")]
)
ITSELF = [
    *("localhost", "localhost:8000", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1"),
    *("127.1.2.3:80", "[::1]", "[::1]:8000", "0.0.0.0:8000", ""),
]
OTHERS = [
    *("evil.example", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example"),
    *("192.168.0.1", "[fd00::1]", "::1:8000", "[::1", "localhost:80:80", "localhost:http", " "),
    *("files.example@evil.example", "localhost/a", "127.0.0.1\0"),
]


@pytest.mark.parametrize("host", ITSELF)
def test_the_machines_own_names_are_answered(host: str) -> None:
    assert host in AllowedHosts([])
    assert host in NAMED


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_name_is_not(host: str) -> None:
    assert host not in AllowedHosts([])
    assert host not in NAMED


@pytest.mark.parametrize(
    "host",
    ["files.example", "Files.Example:8000", "files.example.", "a.lan", "a.b.lan:1", "xn--A.example"]
    + ["10.1.2.3", "10.1.2.3:80"],
)
def test_a_name_that_is_allowed_is_answered_with_any_port(host: str) -> None:
    assert host in NAMED
    assert host not in AllowedHosts([])


@pytest.mark.parametrize("host", ["lan", "a.files.example", "evillan", "11.0.0.1"])
def test_only_what_is_named_is_allowed(host: str) -> None:
    assert host not in NAMED
