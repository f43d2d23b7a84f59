"""Path parameters: what the variable part of a route's path stands for, as a value.

A rule such as `/upload/<new_file:name>` names one of the converters below. `parse_path_parameters`
runs before any view and replaces the text by the converter's value, or raises the error that says
what is wrong with it. Views never see the text.
"""

from collections.abc import Callable
from typing import Self

from flask import Request, request
from werkzeug.routing import BaseConverter

from fileservice.names import BadName, FileName
from fileservice.web.errors import NoSuchFile


def stored_file_name(raw: bytes) -> FileName:
    """Return the name of a file that may exist. Raises NoSuchFile."""
    try:
        return FileName.parse_bytes(raw)
    except BadName:
        raise NoSuchFile(raw.decode(errors="replace")) from None


def opaque_id(raw: bytes) -> str:
    """Return what may be the id of an upload or a link; whoever looks for it refuses the rest."""
    return raw.decode("latin-1")


class _RestOfPath(BaseConverter):
    """Match the rest of the path, slashes included.

    A router that matched only good values would answer 404 to all others, without the reason.
    """

    regex = r"[\s\S]+"
    part_isolating = False
    parse: Callable[[bytes], str]

    def to_python(self, value: str) -> Self:  # noqa: ARG002  # Werkzeug decoded it with losses
        """Return the converter, which `parse_path_parameters` replaces by the value."""
        return self


class NewFileConverter(_RestOfPath):
    """The FileName of an upload. Raises BadName."""

    parse = FileName.parse_bytes


class StoredFileConverter(_RestOfPath):
    """The FileName of a file that may exist. Raises NoSuchFile."""

    parse = staticmethod(stored_file_name)


class UploadConverter(_RestOfPath):
    """The id of a resumable upload."""

    parse = staticmethod(opaque_id)


class LinkConverter(_RestOfPath):
    """The id of a link."""

    parse = staticmethod(opaque_id)


CONVERTERS = {
    "new_file": NewFileConverter,
    "stored_file": StoredFileConverter,
    "upload": UploadConverter,
    "link": LinkConverter,
}


def parse_path_parameters() -> None:
    """Replace the arguments of the view by their values; to be called before every view.

    Raises BadName, NoSuchFile. The bytes are those of the path, percent-decoded once: Werkzeug
    would replace what is not UTF-8, and so let one name stand for another. OPTIONS concerns every
    name alike (RFC 9110 section 9.3.7), so that a preflight is answered for any.
    """
    current: Request = request._get_current_object()  # type: ignore[attr-defined]
    arguments = current.view_args or {}
    for argument, value in arguments.items():
        if isinstance(value, _RestOfPath) and current.method != "OPTIONS":
            assert current.url_rule
            # It is the last parameter of the rule, and those before it contain no slash.
            segments = current.url_rule.rule.rpartition("<")[0].count("/")
            path: str = current.environ["PATH_INFO"]
            arguments[argument] = value.parse(path.split("/", segments)[-1].encode("latin-1"))
