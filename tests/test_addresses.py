"""Authorities, IP addresses and path prefixes."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileservice.addresses import host_of, in_any, is_authority, is_prefix, parse_address

IPV4 = st.ip_addresses(v=4)
IPV6 = st.ip_addresses(v=6)
NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


class TestAuthority:
    @pytest.mark.parametrize(
        ("text", "host"),
        [
            ("files.example.org", "files.example.org"),
            ("Files.Example.ORG:8000", "files.example.org"),
            ("files.example.org.", "files.example.org"),
            ("localhost:", "localhost"),
            ("my_host-1:65535", "my_host-1"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("[2001:DB8::1]:8000", "2001:db8::1"),
            ("[::ffff:192.0.2.1]", "::ffff:192.0.2.1"),
            ("a" * 63 + ".org", "a" * 63 + ".org"),
        ],
    )
    def test_host_with_or_without_a_port_is_an_authority(self, text: str, host: str) -> None:
        assert is_authority(text)
        assert host_of(text) == host

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ":8000",
            "a..b",
            ".a",
            "a b",
            "a:b",
            "a:65536",
            "a:-1",
            "a:٨٠",
            "a/b",
            "a?b",
            "user@a",
            "https://a",
            "é.example",
            "::1",
            "[::1",
            "[]",
            "[192.0.2.1]",
            "[:::1]",
            "[::1%eth0]",
            "a" * 64 + ".org",
            ".".join(["a" * 62] * 5),
        ],
    )
    def test_other_text_is_not_an_authority(self, text: str) -> None:
        assert not is_authority(text)

    def test_host_of_other_text_raises_value_error(self) -> None:
        with pytest.raises(ValueError, match="must be a host"):
            host_of("a b")


@pytest.mark.parametrize("text", ["", "/files", "/a/b", "/a.b-c_d~e", "/.well-known", "/..."])
def test_plain_segments_are_a_prefix(text: str) -> None:
    assert is_prefix(text)


@pytest.mark.parametrize(
    "text", ["/", "a", "/a/", "//a", "/a//b", "/.", "/..", "/a/../b", "/%61", "/a?b", "/a#b", "/é"]
)
def test_other_paths_are_not_a_prefix(text: str) -> None:
    assert not is_prefix(text)


class TestParseAddress:
    @given(IPV4 | IPV6.filter(lambda address: not address.ipv4_mapped))
    def test_address_is_parsed_to_itself(self, address) -> None:
        assert parse_address(str(address)) == address
        with_port = f"[{address}]:80" if address.version == 6 else f"{address}:80"
        assert parse_address(with_port) == address

    @given(IPV4)
    def test_ipv4_mapped_address_is_parsed_to_ipv4(self, address) -> None:
        assert parse_address(f"::ffff:{address}") == address

    @pytest.mark.parametrize("zone", ["eth0", "1", "wlan-0.2_x~"])
    def test_zone_of_a_link_local_address_is_left_out(self, zone: str) -> None:
        assert str(parse_address(f"fe80::1%{zone}")) == "fe80::1"
        assert str(parse_address(f"[fe80::1%{zone}]:80")) == "fe80::1"

    @pytest.mark.parametrize(
        "text",
        [
            *("", "unknown", "_hidden", "a.example", "192.0.2", "192.0.2.1:", "[::1]:x", "1"),
            *("fe80::1%", "fe80::1%a,b", "fe80::1%a b", "192.0.2.1%1", "%1"),
            *("::ffff:192.0.2.1:80", "192.0.2.01", "::1%<b>", "192.0.2.1, ::1", "٣.0.2.1"),
        ],
    )
    def test_other_text_raises_value_error(self, text: str) -> None:
        with pytest.raises(ValueError):
            parse_address(text)


class TestInAny:
    @pytest.mark.parametrize(
        "text",
        [
            *("10.1.2.3", "10.1.2.3:80", "::ffff:10.1.2.3", "::ffff:a01:203", "[fd00::1]:80"),
            "fd00::1%eth0",
        ],
    )
    def test_address_in_a_network_is_found(self, text: str) -> None:
        assert in_any(text, NETWORKS)

    @pytest.mark.parametrize("text", ["11.0.0.1", "::1", "::10.1.2.3"])
    def test_address_outside_the_networks_is_not_found(self, text: str) -> None:
        assert not in_any(text, NETWORKS)

    def test_ipv4_mapped_network_contains_ipv4_addresses(self) -> None:
        assert in_any("10.1.2.3", (ipaddress.ip_network("::ffff:10.0.0.0/104"),))

    def test_other_text_raises_value_error(self) -> None:
        with pytest.raises(ValueError):
            in_any("", NETWORKS)
