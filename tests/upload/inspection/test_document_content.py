"""What documents contain: macros, embedded objects, external relations and encryption."""

import io
import zipfile

import pytest

from fileservice.content_risks import ContentRisk
from fileservice.upload import ContentMismatch, ContentPolicy, TooComplex
from fileservice.upload.inspection import compound_file
from tests.support.rows import every_row
from tests.upload.inspection.support import SAMPLES, inspect, make_zip, members_of
from tests.upload.inspection.test_archive_content import ALL, NONE, refused_by

TYPES = "[Content_Types].xml"
RELATIONS = "word/_rels/document.xml.rels"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def with_members(document: str, **changed: bytes) -> bytes:
    members = {**members_of(document), **changed}
    methods = [(zipfile.ZipInfo(name), content) for name, content in members.items()]
    for info, _ in methods[1:]:
        info.compress_type = zipfile.ZIP_DEFLATED
    return make_zip(methods)


def relation(kind: str, mode: str = ' TargetMode="External"', encoding: str = "utf-8") -> bytes:
    return (
        f'<?xml version="1.0" encoding="{encoding}"?><Relationships xmlns="http://schemas.'
        'openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        f'Type="{OFFICE}/{kind}" Target="http://example.org/a"{mode}/></Relationships>'
    ).encode(encoding)


@every_row("document", ["note.docx", "t.xlsx", "note.odt", "t.ods", "note.doc", "t.xls"])
def test_ordinary_document_is_accepted_by_the_strictest_policy(document: str) -> None:
    inspect(document.rpartition(".")[2], (SAMPLES / document).read_bytes(), policy=ALL)


@every_row("part", ["word/vbaProject.bin", "word/VBAPROJECT.BIN", "xl/macrosheets/sheet1.xml"])
def test_macro_behind_docx_is_a_mismatch_whatever_the_policy(part: str) -> None:
    with pytest.raises(ContentMismatch, match="macros"):
        inspect("docx", with_members("note.docx", **{part: b"x"}), policy=NONE)


@every_row(
    "content_type",
    [
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        "application/vnd.ms-office.vba&#80;roject",
        "application/vnd.ms-excel.intlmacrosheet+xml",
    ],
)
@every_row("encoding", ["utf-8", "utf-16"])
def test_type_of_macros_behind_docx_is_a_mismatch_whatever_the_part_is_called(
    content_type: str, encoding: str
) -> None:
    override = f'<Override PartName="/word/x.bin" ContentType="{content_type}"/></Types>'
    types = members_of("note.docx")[TYPES].decode().replace("</Types>", override)
    text = '<?xml version="1.0"?>' + types.partition("?>")[2]
    with pytest.raises(ContentMismatch, match="macros"):
        inspect("docx", with_members("note.docx", **{TYPES: text.encode(encoding)}), policy=NONE)


def test_document_with_macros_is_a_zip_archive() -> None:
    inspect("zip", with_members("note.docx", **{"word/vbaProject.bin": b"x"}))


@every_row("types", [b"", b"<Types", b'<!DOCTYPE t [<!ENTITY a "b">]><Types>&a;</Types>'])
def test_types_that_cannot_be_parsed_are_a_mismatch(types: bytes) -> None:
    with pytest.raises(ContentMismatch):
        inspect("docx", with_members("note.docx", **{TYPES: types}))


def test_two_lists_of_types_are_a_mismatch() -> None:
    """Names of parts are compared without regard to case (ECMA-376, part 2, section 6.2.2.3)."""
    with pytest.raises(ContentMismatch):
        inspect("docx", with_members("note.docx", **{"[content_types].XML": b"<Types/>"}))


def test_descriptions_are_unpacked_up_to_a_limit() -> None:
    types = b"<Types>" + b" " * (9 << 20) + b"</Types>"
    with pytest.raises(TooComplex) as raised:
        inspect("docx", with_members("note.docx", **{TYPES: types}))
    assert raised.value.resource == "descriptions"


def test_tag_of_a_description_is_parsed_up_to_a_limit() -> None:
    """Other threads of Python wait while a tag is parsed, which may have many attributes."""
    attributes = b" ".join(b'a%d=""' % number for number in range(100_000))
    with pytest.raises(TooComplex) as raised:
        inspect("docx", with_members("note.docx", **{TYPES: b"<Types %s/>" % attributes}))
    assert (raised.value.resource, raised.value.limit) == ("descriptions", 256 << 10)


@every_row(
    "part", ["word/embeddings/oleObject1.bin", "word/activeX/activeX1.xml", "xl/Embeddings/a.xlsx"]
)
def test_embedded_object_is_refused_by_policy(part: str) -> None:
    content = with_members("note.docx", **{part: b"x"})
    refused_by(ContentRisk.EMBEDDED_OBJECTS, content, "docx")
    inspect("docx", content)


@every_row("kind", ["attachedTemplate", "oleObject", "image", "frame"])
@every_row("encoding", ["utf-8", "utf-16"])
def test_relation_that_loads_something_is_refused_by_policy(kind: str, encoding: str) -> None:
    content = with_members("note.docx", **{RELATIONS: relation(kind, encoding=encoding)})
    refused_by(ContentRisk.EXTERNAL_RELATIONS, content, "docx")
    inspect("docx", content)


@every_row("text", [relation("hyperlink"), relation("image", "")])
def test_hyperlink_and_internal_relation_are_accepted(text: bytes) -> None:
    inspect("docx", with_members("note.docx", **{RELATIONS: text}), policy=ALL)


@every_row("part", ["Basic/Standard/Module1.xml", "Scripts/python/a.py"])
def test_macro_of_an_open_document_is_refused_by_policy(part: str) -> None:
    content = with_members("note.odt", **{part: b"x"})
    refused_by(ContentRisk.MACROS, content, "odt")
    inspect("odt", content)


@every_row(
    ("entry", "risk"),
    [
        ('media-type="application/vnd.sun.star.oleobject"/>', ContentRisk.EMBEDDED_OBJECTS),
        ('media-type=""><m:encryption-data/></m:file-entry>', ContentRisk.ENCRYPTED),
    ],
)
def test_manifest_of_an_open_document_shows_what_is_refused(entry: str, risk: ContentRisk) -> None:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<m:file-entry m:full-path="Object 1" m:{entry}</m:manifest>'
    ).encode()
    content = with_members("note.odt", **{"META-INF/manifest.xml": manifest})
    refused_by(risk, content, "odt")
    inspect("odt", content)


def renamed(document: str, stream: str, name: str) -> bytes:
    """Return a compound file in whose directory a stream has another name."""
    content = (SAMPLES / document).read_bytes()
    old, new = stream.encode("utf-16-le"), name.encode("utf-16-le")
    begin = content.index(old.ljust(64, b"\0"))
    entry = new.ljust(64, b"\0") + (len(new) + 2).to_bytes(2, "little")
    return content[:begin] + entry + content[begin + 66 :]


@every_row(
    ("name", "risk"),
    [
        ("Macros", ContentRisk.MACROS),
        ("_VBA_PROJECT_CUR", ContentRisk.MACROS),
        ("VBA", ContentRisk.MACROS),
        ("ObjectPool", ContentRisk.EMBEDDED_OBJECTS),
        ("\x01Ole10Native", ContentRisk.EMBEDDED_OBJECTS),
        ("MBD0000A1B2", ContentRisk.EMBEDDED_OBJECTS),
        ("EncryptedPackage", ContentRisk.ENCRYPTED),
    ],
)
def test_name_in_a_compound_file_is_refused_by_policy(name: str, risk: ContentRisk) -> None:
    content = renamed("note.doc", "\x05SummaryInformation", name)
    refused_by(risk, content, "doc")
    inspect("doc", content)


@every_row("chain", ["directory", "DIFAT"])
def test_compound_file_that_leads_in_circles_is_refused(chain: str) -> None:
    content = bytearray((SAMPLES / "note.doc").read_bytes())
    sector = int.from_bytes(content[48:52], "little")
    if chain == "directory":
        table = int.from_bytes(content[76:80], "little")
        at = (table + 1) * 512 + 4 * sector
        content[at : at + 4] = sector.to_bytes(4, "little")
    else:
        content[76 : 76 + 436] = b"\xff" * 436
        content[68:72] = sector.to_bytes(4, "little")
        at = (sector + 2) * 512 - 4
        content[at : at + 4] = sector.to_bytes(4, "little")
    content += bytes(100 * 512)
    file = io.BytesIO(content)

    def read_at(count: int, offset: int) -> bytes:
        file.seek(offset)
        return file.read(count)

    policy = ContentPolicy(refused=frozenset({ContentRisk.MACROS}))
    with pytest.raises((TooComplex, compound_file.BadCompoundFile)):
        compound_file.check(read_at, len(content), policy)


def test_parts_that_are_parsed_are_limited() -> None:
    many = {f"{number}.rels": b"<a/>" for number in range(5000)}
    inspect("docx", with_members("note.docx", **many), policy=NONE)
    with pytest.raises(TooComplex) as raised:
        inspect("docx", with_members("note.docx", **many), policy=ALL)
    assert (raised.value.resource, raised.value.limit) == ("descriptions", 5000)
