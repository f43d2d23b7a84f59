"""What an address of this service may consist of: hosts with their ports, and prefixes of paths."""

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*)\.?)"
    r"(?::(?P<port>[0-9]{0,5}))?"
)
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@:+-]+)*")
_LONGEST_NAME = 253
"""A name in DNS has at most as many characters (RFC 1035 section 2.3.4), each label 63."""
_MAPPED = int(ipaddress.IPv6Address("::ffff:0:0"))


def is_authority(text: str) -> bool:
    """Whether `text` is a host that can be reached, with or without a port (RFC 3986 section 3.2).

    A host is an IPv6 address in brackets, or a name as DNS has it (which IPv4 addresses are, too).
    Underscores are allowed, since names of containers have them. An empty port is the usual one.
    """
    match = _AUTHORITY.fullmatch(text)
    if not match or int(match["port"] or 0) > 65535:
        return False
    if match["v6"]:
        return _is_ipv6(match["v6"])
    return len(match["name"]) <= _LONGEST_NAME


def host_of(authority: str) -> str:
    """The host in an authority, in lower case, without its brackets and without a dot at its end.

    Raises ValueError for what is no authority.
    """
    match = _AUTHORITY.fullmatch(authority)
    if not match:
        raise ValueError("this is no host with or without a port")
    return (match["v6"] or match["name"]).lower()


def is_prefix(text: str) -> bool:
    """Whether `text` can stand before the paths of the service: "" or "/files", "/a/b".

    Its segments are plain: nothing in them is encoded, and none of them is "." or "..".
    """
    return _PREFIX.fullmatch(text) is not None


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as proxies write it: 192.0.2.1, 192.0.2.1:80, ::1 or [::1]:80.

    Raises ValueError. An IPv4 address that is mapped to IPv6 comes back as IPv4.
    """
    if match := re.fullmatch(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", text):
        text = match[1] or match[2] or ""
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def in_any(text: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks. Raises ValueError.

    It is the same address, whether it is written as IPv4 or mapped to IPv6 (RFC 4291 section
    2.5.5.2), as a socket for both kinds has it. So is a network.
    """
    address = _as_ipv6(ipaddress.ip_network(parse_address(text)))
    return any(address.subnet_of(_as_ipv6(network)) for network in networks)


def _as_ipv6(network: Network) -> ipaddress.IPv6Network:
    if isinstance(network, ipaddress.IPv6Network):
        return network
    first = _MAPPED | int(network.network_address)
    return ipaddress.IPv6Network((first, 96 + network.prefixlen))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
