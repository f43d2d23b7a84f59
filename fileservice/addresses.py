"""Authorities, IP addresses and path prefixes, as settings and header fields give them."""

import ipaddress
import re
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*)\.?)"
    r"(?::(?P<port>[0-9]{0,5}))?"
)
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~@:+-]+)*")
_ZONE = re.compile(r"(?P<address>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)%[A-Za-z0-9._~-]{1,64}")
"""An IPv6 address with a zone (RFC 6874 section 2)."""
_MAX_NAME_LENGTH = 253
"""Characters in a DNS name; each label of it has at most 63 (RFC 1035 section 2.3.4)."""
_MAPPED = int(ipaddress.IPv6Address("::ffff:0:0"))


@lru_cache(maxsize=256)
def is_authority(text: str) -> bool:
    """Return whether `text` is a host with or without a port (RFC 3986 section 3.2).

    A host is an IPv6 address in brackets, an IPv4 address or a DNS name. Underscores are allowed,
    since names of containers have them. The port may be empty.
    """
    match = _AUTHORITY.fullmatch(text)
    if not match or int(match["port"] or 0) > 65535:
        return False
    if match["v6"]:
        return _is_ipv6(match["v6"])
    return len(match["name"]) <= _MAX_NAME_LENGTH


def host_of(authority: str) -> str:
    """Return the host of an authority in lower case, without brackets and without a final dot.

    Raises ValueError if `authority` is not a host with or without a port.
    """
    match = _AUTHORITY.fullmatch(authority)
    if not match:
        raise ValueError("must be a host with or without a port")
    return (match["v6"] or match["name"]).lower()


def is_loopback(host: str) -> bool:
    """Return whether a host, without brackets, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_prefix(text: str) -> bool:
    """Return whether `text` can precede the paths of the service: "", "/files" or "/a/b".

    Nothing in its segments is percent-encoded, and none of them is "." or "..".
    """
    return _PREFIX.fullmatch(text) is not None


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an address as proxies write it: 192.0.2.1, 192.0.2.1:80, ::1 or [::1]:80.

    An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) is returned as the IPv4 address. A zone
    (RFC 4007 section 11) is left out: it says something only on the machine that wrote it. Raises
    ValueError.
    """
    if match := re.fullmatch(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", text):
        text = match[1] or match[2] or ""
    if match := _ZONE.fullmatch(text):
        text = match["address"]
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError("the zone has characters that no zone has")
    return address.ipv4_mapped or address


@lru_cache(maxsize=1024)
def in_any(text: str, networks: tuple[Network, ...]) -> bool:
    """Return whether the address `text` is in one of the networks. Raises ValueError.

    An IPv4 address and its IPv4-mapped IPv6 address, which dual-stack sockets report, are the same
    address; likewise for networks. The results are kept: the same proxies send many requests.
    """
    address = _as_ipv6(ipaddress.ip_network(parse_address(text)))
    return any(address.subnet_of(_as_ipv6(network)) for network in networks)


@lru_cache(maxsize=1024)
def client_key(address: str) -> str:
    """Return what identifies a client: an IPv4 address, or the /64 network of an IPv6 address.

    A client can choose any address in such a network (RFC 4291 section 2.5.1). The peer of a Unix
    socket has no address, so all of them are one client. The results are kept, since a client sends
    many requests.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


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
