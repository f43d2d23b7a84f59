"""The XML documents that S3 is sent and answers with."""

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.sax.saxutils import escape

from fileservice.storage.s3.errors import ErrorAnswer, TransientError

_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def deletion(keys: Iterable[str]) -> bytes:
    """Return the document that asks to remove objects (DeleteObjects)."""
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f"<Delete {_NAMESPACE}>{objects}<Quiet>true</Quiet></Delete>".encode()


def completion(etags: Iterable[str]) -> bytes:
    """Return the document that lists the parts of an object (CompleteMultipartUpload)."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    root = "CompleteMultipartUpload"
    return f"<{root} {_NAMESPACE}>{parts}</{root}>".encode()


class _Builder(TreeBuilder):
    """Refuses documents that define entities, which could become large when they are expanded."""

    def doctype(self, *_: object) -> NoReturn:
        raise ParseError("S3 sends no document type declaration")


class Document:
    """An XML document, whose elements are found by their names without the namespace."""

    def __init__(self, data: bytes, root: str) -> None:
        """Raises TransientError for what is no XML, or has another element at its root.

        An answer that has begun with a 200 may tell of an error nevertheless: raises ErrorAnswer.
        """
        try:
            # The answer to CompleteMultipartUpload begins with white space that kept it alive.
            self._root = _parse(data.strip())
        except (ParseError, LookupError, ValueError) as error:
            raise TransientError("the storage answered with something else than XML") from error
        namespace, brace, name = self._root.tag.rpartition("}")
        self._namespace = namespace + brace
        self._is_encoded = self.find("EncodingType") == "url"
        if name == "Error":
            raise ErrorAnswer(500, self.find("Code") or "")
        if name != root:
            raise TransientError(f"the storage answered with {name} instead of {root}")

    def all(self, name: str) -> list[Element]:
        """Return the elements with this name below the root."""
        return self._root.findall(self._namespace + name)

    def find(self, name: str, parent: Element | None = None) -> str | None:
        """Return the text of the element with this name below another; None if there is none."""
        within = self._root if parent is None else parent
        return within.findtext(self._namespace + name)

    def text(self, name: str, parent: Element | None = None) -> str:
        """Return the text of an element that every such answer has. Raises TransientError."""
        text = self.find(name, parent)
        if text is None:
            raise TransientError(f"the storage answered without {name}")
        return text

    def decoded(self, name: str, parent: Element | None = None) -> str:
        """Return a text that is encoded like a part of a URL (encoding-type). As `text`."""
        text = self.text(name, parent)
        return unquote_plus(text) if self._is_encoded else text

    def number(self, name: str, parent: Element) -> int:
        """Return a number. Raises TransientError."""
        text = self.text(name, parent)
        if not text.isdecimal():
            raise TransientError(f"the storage answered with a malformed {name}")
        return int(text)

    def time(self, name: str, parent: Element) -> datetime:
        """Return a time (RFC 3339). Raises TransientError."""
        text = self.text(name, parent)
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise TransientError(f"the storage answered with a malformed {name}") from error


def error_code(data: bytes) -> str:
    """Return the code in the body of an error; an empty text if there is none.

    The answer to HEAD has no body, and proxies answer with other documents.
    """
    try:
        root = _parse(data)
    except (ParseError, LookupError, ValueError):
        return ""
    namespace = root.tag[: root.tag.rfind("}") + 1]
    return root.findtext(f"{namespace}Code") or ""


def _parse(data: bytes) -> Element:
    parser = XMLParser(target=_Builder())  # noqa: S314  # it accepts no definitions of entities
    parser.feed(data)
    root: Element = parser.close()
    return root
