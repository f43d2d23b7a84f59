"""Addresses: the URL of a service, or of something in it, taken apart."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urlsplit

_SCHEMES = ("http", "https")
_COLLECTIONS = ("upload", "download")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is, and what of it an URL is about."""

    base: str
    """The URL of the service, without a slash at its end."""
    name: str = ""
    """The name of a file, if the URL has one."""
    link_secret: str = ""
    """The secret of a link, if it is the URL of one."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take apart the URL of a service, of a file in it, or of a link. Raise ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise ValueError("must be a URL that begins with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not have credentials, since other users of this machine see it")
        segments = parts.path.strip("/").split("/") if parts.path.strip("/") else []
        name = link_secret = ""
        if len(segments) >= 2 and segments[-2] == "s":
            link_secret, segments = segments[-1], segments[:-2]
        elif len(segments) >= 3 and segments[-3] == "s":
            link_secret, name, segments = segments[-2], segments[-1], segments[:-3]
        elif len(segments) >= 2 and segments[-2] in _COLLECTIONS:
            name, segments = segments[-1], segments[:-2]
        elif segments and segments[-1] in _COLLECTIONS:
            segments = segments[:-1]
        base = "/".join([f"{parts.scheme}://{parts.netloc}", *segments])
        return cls(base, unquote(name), link_secret)

    @property
    def origin(self) -> str:
        """The scheme, the host and the port."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def url(self, *segments: str) -> str:
        """Return the URL of a path in the service."""
        return "/".join([self.base, *(quote(segment, safe="") for segment in segments)])


def is_url(text: str) -> bool:
    """Return whether a text is meant as a URL rather than as the name of a file."""
    return text.startswith(tuple(f"{scheme}://" for scheme in _SCHEMES))


def file_name_in(url: str) -> str:
    """Return the last segment of the path of a URL, decoded."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
