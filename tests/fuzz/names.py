"""Targets: names of files, paths, and addresses."""

import email.policy
import unicodedata
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from werkzeug.http import parse_options_header

from fileservice.addresses import host_of, is_authority
from fileservice.names import MAX_BYTES, BadName, FileName
from fileservice.protocols import tus
from fileservice.setting_parsers import parse_networks
from fileservice.web.errors import BadAddress
from fileservice.web.local_path import local_path as accepted_path
from fileservice.web.middleware.proxies import forwarded as forwarded_values
from fileservice.web.path_parameters import opaque_id
from fileservice.web.representations import content_disposition as disposition_of

_PROXIES = parse_networks("127.0.0.0/8,::1")


def _name(data: bytes) -> FileName | None:
    try:
        return FileName.parse_bytes(data)
    except BadName as error:
        assert str(error)
        return None


def file_name(data: bytes) -> None:
    """A name is one segment of a path in NFC, which is parsed to itself."""
    name = _name(data)
    if name is None:
        return
    assert FileName.parse(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert unicodedata.normalize("NFC", data.decode()) == name
    assert 0 < len(name.encode()) <= MAX_BYTES
    assert not set(name) & set("/\\\0\r\n")
    assert name[0] != "."
    assert name[-1] != "."
    assert name.extension == name.extension.lower()


def content_disposition(data: bytes) -> None:
    """A field has one line, and two parsers of others read the name from it."""
    name = _name(data)
    if name is None:
        return
    value = disposition_of("attachment", name)
    assert value.isascii()
    assert value.isprintable()
    kind, options = parse_options_header(value)
    assert kind == "attachment"
    assert options == {"filename": name}
    message = EmailMessage(policy=email.policy.HTTP)
    message["Content-Disposition"] = value
    assert message.get_content_disposition() == "attachment"


def path_of_an_upload(data: bytes) -> None:
    """What follows the prefix in a URL is one id, as the path of a request is read."""
    text = data.decode("latin-1")
    try:
        ids = tus.parts({"Upload-Concat": f"final;{text}"})
    except tus.BadField:
        return
    assert ids
    assert len(ids) == len(text.split())
    for url, found in zip(text.split(), ids, strict=True):
        try:
            path = urlsplit(url).path
        except ValueError:
            assert found == ""
            continue
        assert found == opaque_id(_decoded_once(path.rpartition(tus.PREFIX)[2]))


def _decoded_once(segment: str) -> bytes:
    decoded, position = bytearray(), 0
    while position < len(segment):
        code = segment[position + 1 : position + 3]
        if segment[position] == "%" and len(code) == 2 and set(code) <= set(_HEXADECIMAL):
            decoded.append(int(code, 16))
            position += 3
        else:
            decoded += segment[position].encode()
            position += 1
    return bytes(decoded)


_HEXADECIMAL = "0123456789abcdefABCDEF"


def local_path(data: bytes) -> None:
    """A path to return to is one of this service, however often it is decoded."""
    text = data.decode("utf-8", "replace")
    for prefix in ("", "/files"):
        path = accepted_path(text, prefix)
        assert path in (text, f"{prefix}/upload")
        assert path.isascii()
        assert path.isprintable()
        assert " " not in path
        for read in (path, unquote(path), unquote(unquote(path))):
            plain = read.partition("?")[0]
            assert plain.startswith(f"{prefix}/")
            assert not plain.startswith("//")
            assert "\\" not in plain
        parts = urlsplit(path)
        assert (parts.scheme, parts.netloc) == ("", "")
        assert not {".", ".."} & set(parts.path.split("/"))


def authority(data: bytes) -> None:
    """A host can be part of a URL, from which the same host is read."""
    text = data.decode("latin-1")
    if not is_authority(text):
        return
    parts = urlsplit(f"http://{text}/path")
    assert parts.path == "/path"
    assert parts.username is None
    assert parts.query == parts.fragment == ""
    assert (parts.hostname or "").removesuffix(".") == host_of(text)
    assert (parts.port or 0) in range(65536)


def forwarded(data: bytes) -> None:
    """Fields of a proxy make a valid address, or are refused."""
    values = data.decode("latin-1").split("\n")
    names = ("FOR", "PROTO", "HOST", "PREFIX")
    environ = {
        f"HTTP_X_FORWARDED_{name}": value for name, value in zip(names, values, strict=False)
    }
    try:
        changes = forwarded_values(environ, _PROXIES)
    except BadAddress as error:
        assert str(error)
        return
    assert changes.keys() <= {"REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME"}
    assert changes.get("wsgi.url_scheme", "http") in ("http", "https")
    assert is_authority(changes.get("HTTP_HOST", "host"))
    prefix = changes.get("SCRIPT_NAME", "")
    assert not prefix.startswith("//")
    assert prefix == "" or prefix.startswith("/")
    assert not set(prefix) & set('%?#\\<>" \t')
