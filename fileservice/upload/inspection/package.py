"""What is in documents that are zip archives: Office Open XML (ECMA-376) and OpenDocument 1.3.

The parts that describe the others are unpacked, within limits, and parsed by defusedxml. No other
part is.
"""

import zlib
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

from fileservice.content_risks import ContentRisk
from fileservice.executor import RunCpu
from fileservice.upload.errors import ContentRefused, TooComplex
from fileservice.upload.inspection.archive_scan import ArchiveScan
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.reading import ReadAt
from fileservice.upload.inspection.zip_directory import DEFLATED, STORED, BadArchive

_MAX_DESCRIPTIONS = 4 << 20
"""How many bytes the parts that are parsed may have together once they are unpacked."""
_SLICE = 1 << 16
_MAX_TAG = 1 << 18
"""How many bytes may lie between the beginnings of two elements. A parser is not interrupted in the
middle of a tag, and other threads of Python wait until it has ended."""
_MAX_DEPTH = 16
_MAX_PARSED = 5_000
"""How many parts are parsed; in a bucket, each is read by a request."""
_MAX_ELEMENTS = 50_000
"""How many elements the parts that are parsed may have together."""
_MACRO_PARTS = (b"vbaproject", b"vbadata", b"macrosheets/")
_MACRO_TYPES = ("macroenabled", "vbaproject", "vbadata", "macrosheet")
_MACRO_FOLDERS = (b"basic/", b"scripts/")
_EMBEDDED_PARTS = (b"embeddings/", b"activex/", b"oleobject")
_HYPERLINK = "/hyperlink"
CONTENT_TYPES = b"[content_types].xml"
_MANIFEST = b"meta-inf/manifest.xml"

_Visit = Callable[[str, Mapping[str, str]], None]


def check_office(
    scan: ArchiveScan, read_at: ReadAt, policy: ContentPolicy, run_cpu: RunCpu
) -> None:
    """Check a document without macros in its type. Raise BadArchive, TooComplex, ContentRefused."""
    if any(part in name for name in scan.names for part in _MACRO_PARTS):
        raise BadArchive("a document with macros")
    parts = _Parts(scan, read_at, run_cpu)
    parts.parse(CONTENT_TYPES, _visit_content_type)
    if ContentRisk.EMBEDDED_OBJECTS in policy.refused and any(
        part in name for name in scan.names for part in _EMBEDDED_PARTS
    ):
        raise ContentRefused(ContentRisk.EMBEDDED_OBJECTS.value, "an embedded object")
    if ContentRisk.EXTERNAL_RELATIONS in policy.refused:
        for name in scan.names:
            if name.endswith(b".rels"):
                parts.parse(name, _visit_relation)


def check_open_document(
    scan: ArchiveScan, read_at: ReadAt, policy: ContentPolicy, run_cpu: RunCpu
) -> None:
    """Check an OpenDocument file or an EPUB. Raise BadArchive, TooComplex or ContentRefused."""
    if ContentRisk.MACROS in policy.refused and any(
        name.startswith(_MACRO_FOLDERS) and name not in _MACRO_FOLDERS for name in scan.names
    ):
        raise ContentRefused(ContentRisk.MACROS.value, "macros")
    if _MANIFEST not in scan.names:
        return
    if not policy.refuses(ContentRisk.EMBEDDED_OBJECTS, ContentRisk.ENCRYPTED):
        return

    def visit(tag: str, attributes: Mapping[str, str]) -> None:
        if tag.endswith("encryption-data") and ContentRisk.ENCRYPTED in policy.refused:
            raise ContentRefused(ContentRisk.ENCRYPTED.value, "encrypted parts")
        if ContentRisk.EMBEDDED_OBJECTS in policy.refused and any(
            value.endswith("sun.star.oleobject") for value in attributes.values()
        ):
            raise ContentRefused(ContentRisk.EMBEDDED_OBJECTS.value, "an embedded object")

    _Parts(scan, read_at, run_cpu).parse(_MANIFEST, visit)


def _visit_content_type(_tag: str, attributes: Mapping[str, str]) -> None:
    content_type = attributes.get("ContentType", "").lower()
    if any(kind in content_type for kind in _MACRO_TYPES):
        raise BadArchive("a document with macros")


def _visit_relation(_tag: str, attributes: Mapping[str, str]) -> None:
    if attributes.get("TargetMode", "").strip().lower() == "external":
        kind = attributes.get("Type", "")
        if not kind.lower().endswith(_HYPERLINK):
            raise ContentRefused(ContentRisk.EXTERNAL_RELATIONS.value, "an external relation")


class _Target:
    """Passes the elements of a document on, and keeps none (see xml.etree.XMLParser)."""

    def __init__(self, visit: _Visit, elements: int) -> None:
        self._visit = visit
        self.elements = elements
        self._depth = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.elements += 1
        if self.elements > _MAX_ELEMENTS:
            raise TooComplex("structure", _MAX_ELEMENTS, "elements that describe its parts")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BadArchive("a document with a part that is nested too deeply")
        self._visit(tag, attributes)

    def end(self, _tag: str) -> None:
        self._depth -= 1

    def close(self) -> None:
        pass


class _Parts:
    """The parts of one document that are parsed."""

    def __init__(self, scan: ArchiveScan, read_at: ReadAt, run_cpu: RunCpu) -> None:
        self._scan = scan
        self._read_at = read_at
        self._run_cpu = run_cpu
        self._rest = _MAX_DESCRIPTIONS
        self._elements = 0
        self._parsed = 0

    def parse(self, name: bytes, visit: _Visit) -> None:
        """Unpack and parse one part. Raise BadArchive or TooComplex."""
        self._parsed += 1
        if self._parsed > _MAX_PARSED:
            raise TooComplex("descriptions", _MAX_PARSED, "parts that describe others")
        method, offset, size = self._scan.content(name)
        if method not in (STORED, DEFLATED):
            raise BadArchive("a document with parts that are compressed in an unusual way")
        if size > self._rest:
            raise TooComplex("descriptions", _MAX_DESCRIPTIONS, "bytes that describe its parts")
        packed = self._read_at(size, offset)
        target = _Target(visit, self._elements)
        self._rest -= self._run_cpu(_parse, packed, method, self._rest, target)
        self._elements = target.elements


def _parse(packed: bytes, method: int, limit: int, target: _Target) -> int:
    """Parse one part; return how many bytes it has."""
    text = packed
    if method == DEFLATED:
        try:
            text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
        except zlib.error:
            raise BadArchive("a document with a part that cannot be unpacked") from None
    if len(text) > limit:
        raise TooComplex("descriptions", _MAX_DESCRIPTIONS, "bytes that describe its parts")
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    try:
        _feed_slices(parser, text, target)
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise BadArchive("a document with a part that is not XML") from None
    return len(text)


def _feed_slices(parser: DefusedXMLParser, text: bytes, target: _Target) -> None:
    last_element = 0
    for offset in range(0, len(text), _SLICE):
        elements = target.elements
        parser.feed(text[offset : offset + _SLICE])
        if target.elements != elements:
            last_element = offset
        elif offset - last_element >= _MAX_TAG:
            raise TooComplex("descriptions", _MAX_TAG, "bytes in a tag that describes its parts")
