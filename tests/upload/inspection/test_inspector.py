"""The content must be what the extension says: judged on real documents and on broken ones."""

import codecs
import io
import itertools
import json
import struct
import tempfile
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import olefile
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fileservice.filetypes import DEFAULT_EXTENSIONS, TABLE
from fileservice.upload.errors import ContentMismatch
from fileservice.upload.inspection.inspector import Inspector, Verdict
from tests.support import ole
from tests.upload.staged import StagedFile, directly

SAMPLES = Path(__file__).parents[2] / "samples"
MIB = 1 << 20

TEXT = frozenset({"txt", "csv", "md"})
"""One text is as good as another: no rule says what a line of Markdown or CSV must be."""
ODF_TEXT = TABLE["odt"].media_type.encode()

FITS = {
    "note.txt": TEXT,
    "t.csv": TEXT,
    "note.html": TEXT,  # the source of a page is text; nothing renders it under these names
    "note.rtf": {"rtf"},  # ASCII, but recognised as a document of its own
    "note.pdf": {"pdf"},
    "note.doc": {"doc"},
    "t.xls": {"xls"},
    "note.docx": {"docx", "zip"},  # these four are zip archives, and good ones
    "t.xlsx": {"xlsx", "zip"},
    "note.odt": {"odt", "zip"},
    "t.ods": {"ods", "zip"},
    "img.png": {"png"},
    "img.jpg": {"jpg", "jpeg"},
    "img.gif": {"gif"},
    "img.webp": {"webp"},
    "img.tiff": {"tif", "tiff"},
    "img.bmp": {"bmp"},
}
"""Sample → every extension of the default list that its content fits."""


def inspect(extension: str, *blocks: bytes) -> Verdict:
    """Inspect a file that arrives in these blocks, as an upload does."""
    inspector = Inspector(TABLE[extension])
    with tempfile.TemporaryFile() as file:
        for block in blocks:
            inspector.feed(block)
            file.write(block)
        file.flush()
        return inspector.conclude(StagedFile(file), directly)


def accepts(extension: str, *blocks: bytes) -> bool:
    try:
        inspect(extension, *blocks)
    except ContentMismatch:
        return False
    return True


def archive(
    members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members:
            made.writestr(name, content)
    return buffer.getvalue()


@contextmanager
def memory_bounded(most: int) -> Iterator[None]:
    """What runs in it may never hold more than so many bytes beside what was there before."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= most
    finally:
        tracemalloc.stop()


def members(document: str) -> dict[str, bytes]:
    with zipfile.ZipFile(SAMPLES / document) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


class TestRealDocuments:
    def test_every_sample_is_in_the_table_of_fits(self) -> None:
        assert set(FITS) == {path.name for path in SAMPLES.iterdir()}

    @pytest.mark.parametrize("extension", DEFAULT_EXTENSIONS)
    @pytest.mark.parametrize("document", FITS)
    def test_a_document_passes_under_the_extensions_it_fits_and_no_other(
        self, document: str, extension: str
    ) -> None:
        content = (SAMPLES / document).read_bytes()

        assert accepts(extension, content) == (extension in FITS[document])

    @pytest.mark.parametrize("extension", DEFAULT_EXTENSIONS)
    def test_a_json_text_is_also_plain_text(self, extension: str) -> None:
        assert accepts(extension, b'{"a": [1, 2, null]}\n') == (extension in TEXT | {"json"})

    @pytest.mark.parametrize("document", FITS)
    def test_a_document_is_served_as_what_its_extension_says(self, document: str) -> None:
        extension = document.rpartition(".")[2]

        verdict = inspect(extension, (SAMPLES / document).read_bytes())

        assert verdict.media_type == TABLE[extension].media_type

    def test_a_refusal_says_what_was_expected_and_what_was_found(self) -> None:
        with pytest.raises(ContentMismatch, match=r"\.png.*image/jpeg") as refusal:
            inspect("png", (SAMPLES / "img.jpg").read_bytes())

        assert refusal.value.expected == "image/png"
        assert refusal.value.found == "image/jpeg"

    def test_a_wrong_type_is_refused_as_soon_as_its_head_is_there(self) -> None:
        inspector = Inspector(TABLE["png"])

        with pytest.raises(ContentMismatch):
            inspector.feed((SAMPLES / "img.bmp").read_bytes()[:4096])

    @pytest.mark.parametrize("extension", [e for e in DEFAULT_EXTENSIONS if e not in TEXT])
    def test_an_empty_file_is_nothing_but_text(self, extension: str) -> None:
        assert not accepts(extension)
        assert not accepts(extension, b"")

    @pytest.mark.parametrize("extension", sorted(TEXT))
    def test_an_empty_text_is_a_file(self, extension: str) -> None:
        assert inspect(extension).charset == "utf-8"


class TestCompoundFiles:
    @pytest.mark.parametrize("megabytes", [4, 9, 20])
    @pytest.mark.parametrize("document", ["note.doc", "t.xls"])
    def test_the_grown_samples_are_sound_to_an_independent_reader(
        self, document: str, megabytes: int
    ) -> None:
        original = (SAMPLES / document).read_bytes()
        grown = ole.grow(original, megabytes * MIB)

        with olefile.OleFileIO(original) as small, olefile.OleFileIO(grown) as large:
            assert large.listdir() == small.listdir()
            for path in small.listdir():
                with small.openstream(path) as expected, large.openstream(path) as moved:
                    assert moved.read() == expected.read()
            assert large.parsing_issues == []
            assert large.first_dir_sector * 512 >= megabytes * MIB - 512

    @pytest.mark.parametrize("megabytes", [4, 9, 20])
    @pytest.mark.parametrize(
        ("document", "extension", "fits"),
        [
            ("note.doc", "doc", True),
            ("note.doc", "xls", False),
            ("note.doc", "ppt", False),
            ("t.xls", "xls", True),
            ("t.xls", "doc", False),
            ("t.xls", "ppt", False),
        ],
    )
    def test_the_directory_is_found_wherever_it_lies(
        self, document: str, extension: str, fits: bool, megabytes: int
    ) -> None:
        grown = ole.grow((SAMPLES / document).read_bytes(), megabytes * MIB)

        assert accepts(extension, grown) == fits

    @pytest.mark.parametrize("document", ["note.doc", "t.xls"])
    def test_a_compound_file_without_its_end_is_refused_or_judged_but_never_crashes(
        self, document: str
    ) -> None:
        content = (SAMPLES / document).read_bytes()

        for length in range(0, len(content), 97):
            accepts(document.rpartition(".")[2], content[:length])

    def test_a_compound_file_cut_before_its_directory_is_refused(self) -> None:
        grown = ole.grow((SAMPLES / "note.doc").read_bytes(), 4 * MIB)

        assert not accepts("doc", grown[: 4 * MIB - 512])


class TestZipArchives:
    @pytest.mark.parametrize(
        ("document", "others"),
        [("note.docx", "xlsx pptx odt"), ("t.xlsx", "docx pptx ods")],
    )
    @pytest.mark.parametrize("order", ["reversed", "large first", "stored"])
    def test_an_office_document_is_known_whatever_the_order_of_its_members(
        self, document: str, others: str, order: str
    ) -> None:
        parts = members(document)
        rezipped = {
            "reversed": lambda: archive(reversed(parts.items())),
            "large first": lambda: archive(
                [("docProps/thumbnail.jpeg", bytes(3 * MIB)), *parts.items()], zipfile.ZIP_STORED
            ),
            "stored": lambda: archive(sorted(parts.items()), zipfile.ZIP_STORED),
        }[order]()

        assert accepts(document.rpartition(".")[2], rezipped)
        assert accepts("zip", rezipped)
        for other in others.split():
            assert not accepts(other, rezipped)

    @pytest.mark.parametrize(("document", "other"), [("note.odt", "ods"), ("t.ods", "odt")])
    @pytest.mark.parametrize(
        ("extra", "flags"), [(b"", 0), (b"UT\x05\0\x03abcd", 0), (b"", 8)], ids=str
    )
    def test_an_open_document_is_known_by_its_mimetype_stored_at_the_head(
        self, document: str, other: str, extra: bytes, flags: int
    ) -> None:
        extension = document.rpartition(".")[2]
        info = zipfile.ZipInfo("mimetype")
        info.extra = extra
        rest = {name: data for name, data in members(document).items() if name != "mimetype"}
        made = archive([(info, TABLE[extension].media_type.encode()), *rest.items()])
        if flags:  # as writers do that cannot go back: the sizes follow the bytes
            sizes = made[18:26]
            begin = 38 + int.from_bytes(sizes[:4], "little")
            descriptor = b"PK\x07\x08" + made[14:18] + sizes
            made = (
                made[:6]
                + b"\x08\0"
                + made[8:14]
                + bytes(12)
                + made[26:begin]
                + (descriptor + made[begin:])
            )

        assert accepts(extension, made)
        assert not accepts(other, made)

    @pytest.mark.parametrize("document", ["note.odt", "t.ods"])
    def test_an_open_document_whose_mimetype_is_not_stored_at_the_head_is_refused(
        self, document: str
    ) -> None:
        """OpenDocument 1.3, part 2, section 3.3."""
        parts, extension = members(document), document.rpartition(".")[2]

        assert not accepts(extension, archive(reversed(parts.items()), zipfile.ZIP_STORED))
        assert not accepts(extension, archive(parts.items(), zipfile.ZIP_DEFLATED))

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
    @pytest.mark.parametrize("first", [True, False])
    def test_a_member_that_would_inflate_to_a_hundred_megabytes_is_not_inflated(
        self, method: int, first: bool
    ) -> None:
        bomb = archive([("a", b"a")] * (not first) + [("mimetype", bytes(100 * MIB))], method)

        with memory_bounded(4 * MIB):
            assert not accepts("odt", bomb)

    @pytest.mark.parametrize("extension", ["docx", "odt", "zip"])
    def test_a_directory_that_claims_to_be_large_is_not_read(self, extension: str) -> None:
        """The record of its size lies as far from the end as the longest comment allows."""
        parts = archive(
            [("[Content_Types].xml", b""), ("w/a", bytes(60 * MIB))], zipfile.ZIP_STORED
        )
        end = len(parts) - 22
        size = end - 100
        zip64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, size, 100)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
        record = parts[end:-10] + bytes(8) + (65535).to_bytes(2, "little")
        content = parts[:end] + zip64 + locator + record + b"c" * 65535
        blocks = [content[at : at + MIB] for at in range(0, len(content), MIB)]

        with memory_bounded(4 * MIB):
            assert accepts(extension, *blocks) == (extension == "zip")

    def test_any_archive_is_a_zip_and_no_document(self) -> None:
        plain = archive([("a.txt", b"a"), ("b/c.txt", b"c")])

        assert accepts("zip", plain)
        assert accepts("zip", archive([]))
        for extension in ("docx", "xlsx", "pptx", "odt", "ods", "odp"):
            assert not accepts(extension, plain)
            assert not accepts(extension, archive([]))

    def test_a_comment_behind_the_directory_does_no_harm(self) -> None:
        buffer = io.BytesIO((SAMPLES / "note.docx").read_bytes())
        with zipfile.ZipFile(buffer, "a") as opened:
            opened.comment = b"c" * 65535

        assert accepts("docx", buffer.getvalue())
        assert accepts("zip", buffer.getvalue())

    @pytest.mark.parametrize("extension", ["zip", "docx"])
    def test_an_archive_without_its_end_is_refused(self, extension: str) -> None:
        content = (SAMPLES / "note.docx").read_bytes()

        for missing in (1, 22, 100, 1000):
            assert not accepts(extension, content[:-missing])

    def test_an_encrypted_archive_is_a_zip(self) -> None:
        content = bytearray(archive([("secret.txt", b"not really encrypted")]))
        content[6] |= 1  # the flag of encryption in the member's header
        content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory

        assert accepts("zip", bytes(content))
        assert not accepts("odt", bytes(content))

    def test_an_encrypted_mimetype_makes_no_document(self) -> None:
        content = bytearray(archive([("a", b"a"), ("mimetype", ODF_TEXT)]))
        second = content.index(b"PK\x03\x04", 4)
        content[second + 6] |= 1
        content[content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1) + 8] |= 1

        assert not accepts("odt", bytes(content))

    @pytest.mark.parametrize(
        "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    @pytest.mark.parametrize("offset", range(0, 24, 3))
    def test_a_damaged_member_is_a_refusal_and_no_crash(self, method: int, offset: int) -> None:
        """Compressors have errors of their own, and not all of them are ValueErrors."""
        content = bytearray(archive([("a", b"a"), ("mimetype", ODF_TEXT * 3)], method))
        begin = content.index(b"mimetype") + len(b"mimetype") + offset
        for at in range(begin, begin + 12):
            content[at] ^= 0xA5

        assert not accepts("odt", bytes(content))

    @given(st.data())
    def test_no_damage_to_an_archive_makes_the_inspection_crash(self, data: st.DataObject) -> None:
        method = data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
        content = bytearray(archive([("a", b"a" * 50), ("mimetype", ODF_TEXT)], method))
        end = len(content) - 1
        # Most of what a reader trusts stands in the directory and the record of its end.
        places = st.integers(0, end) | st.integers(content.index(b"PK\x01\x02"), end)
        changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)
        for at, value in data.draw(changes):
            content[at] = value

        accepts("odt", bytes(content))


GREEK = "Ὅμηρος — Ἰλιάς: μῆνιν ἄειδε θεά 😀\n"
WINDOWS = "„Straße“ … 20 €\r\n"


class TestText:
    @pytest.mark.parametrize(
        ("encoded", "charset"),
        [
            (b"plain ASCII\r\n\tand a tab\f", "utf-8"),
            (GREEK.encode(), "utf-8"),
            (codecs.BOM_UTF8 + GREEK.encode(), "utf-8"),
            (codecs.BOM_UTF16_LE + GREEK.encode("utf-16-le"), "utf-16"),
            (codecs.BOM_UTF16_BE + GREEK.encode("utf-16-be"), "utf-16"),
            ("déjà vu, garçon\n".encode("latin-1"), None),
            (WINDOWS.encode("cp1252"), None),
            ("日本語のテキスト".encode("shift-jis"), None),
            (b"\x1b[1mcolours of a terminal\x1b[0m\n", "utf-8"),
            (b"a", "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16"),
            (codecs.BOM_UTF8, "utf-8"),
        ],
    )
    def test_text_passes_in_any_encoding_and_its_charset_is_told_where_it_is_certain(
        self, encoded: bytes, charset: str | None
    ) -> None:
        assert inspect("txt", encoded).charset == charset

    @pytest.mark.parametrize(
        "encoded",
        [
            codecs.BOM_UTF8 + GREEK.encode(),
            GREEK.encode(),
            codecs.BOM_UTF16_LE + GREEK.encode("utf-16-le"),
            codecs.BOM_UTF16_BE + GREEK.encode("utf-16-be"),
            WINDOWS.encode("cp1252"),
        ],
        ids=["utf-8 with BOM", "utf-8", "utf-16-le", "utf-16-be", "cp1252"],
    )
    def test_a_border_between_blocks_may_fall_anywhere(self, encoded: bytes) -> None:
        whole = inspect("txt", encoded)

        for first in range(len(encoded) + 1):
            for second in range(first, first + 5):  # longer than any character, or its mark
                blocks = (encoded[:first], encoded[first:second], encoded[second:])
                assert inspect("txt", *blocks) == whole
        assert inspect("txt", *(bytes([byte]) for byte in encoded)) == whole

    @pytest.mark.parametrize("last", [b"\0", b"\x01", b"\x0e", b"\x1a", b"\x7f"])
    @pytest.mark.parametrize("extension", [*sorted(TEXT), "json"])
    def test_one_control_character_after_megabytes_is_found(
        self, extension: str, last: bytes
    ) -> None:
        text = [b"a line of text\n" * 70_000] * 3

        assert accepts("txt", *text)
        assert not accepts(extension, *text, last)
        assert not accepts(extension, text[0] + text[1] + text[2] + last)

    @pytest.mark.parametrize(("order", "bom"), [("le", b"\xff\xfe"), ("be", b"\xfe\xff")])
    def test_a_control_character_is_found_in_utf_16_too(self, order: str, bom: bytes) -> None:
        text = (GREEK * 20_000).encode(f"utf-16-{order}")
        nul = "\0".encode(f"utf-16-{order}")

        assert accepts("txt", bom + text)
        assert not accepts("txt", bom + text + nul)

    @pytest.mark.parametrize("order", ["le", "be"])
    def test_utf_16_that_ends_inside_a_character_is_refused(self, order: str) -> None:
        text = "\ufeff😀😀".encode(f"utf-16-{order}")

        assert accepts("txt", text)
        for missing in (1, 2, 3):
            assert not accepts("txt", text[:-missing])

    def test_utf_8_that_ends_inside_a_character_is_no_utf_8(self) -> None:
        cut = GREEK.encode()[:1]

        assert not accepts("txt", codecs.BOM_UTF8 + cut)
        assert inspect("txt", b"text " + cut).charset is None

    def test_utf_16_without_its_mark_is_not_text(self) -> None:
        assert not accepts("txt", "plain".encode("utf-16-le"))
        assert not accepts("txt", "plain".encode("utf-16-be"))

    def test_utf_32_is_not_text(self) -> None:
        assert not accepts("txt", "plain".encode("utf-32"))

    @pytest.mark.parametrize(
        "head", ["# Title\n", "MZ", "BM", "BMW 320", "RIFF", "From: a@b.org\n", "#!/bin/sh\n", "PK"]
    )
    def test_prose_that_begins_like_something_else_stays_prose(self, head: str) -> None:
        assert accepts("txt", (head + " and so on\n" * 500).encode())

    @pytest.mark.parametrize(
        ("head", "media_type"),
        [
            ("%PDF-1.4\n", "application/pdf"),
            ("{\\rtf1 ", "text/rtf"),
            ("%!PS-Adobe-3.0\n", "application/postscript"),
            ("GIF89a", "image/gif"),
            ("fLaC", "audio/flac"),
        ],
    )
    def test_text_that_bears_the_signature_of_a_document_is_that(
        self, head: str, media_type: str
    ) -> None:
        with pytest.raises(ContentMismatch) as refusal:
            inspect("txt", (head + " and so on\n" * 500).encode())
        assert refusal.value.found == media_type


class TestJson:
    @pytest.mark.parametrize(
        "text",
        ["{}", "[]", '"text"', "12.5e-3", "true", "null", ' {"a": [{"b": "\\u20ac €"}]} \r\n'],
    )
    def test_any_json_value_passes(self, text: str) -> None:
        assert inspect("json", text.encode()) == Verdict("application/json", None)

    def test_a_number_of_any_length_is_json(self) -> None:
        """RFC 8259 section 6 sets no bound; that of Python's int is not the client's business."""
        assert accepts("json", b'{"modulus": ' + b"7" * 5000 + b"}")

    @pytest.mark.parametrize(
        "text",
        [" ", "{", "}{", "{'a': 1}", '{"a": 1,}', "[1] [2]", "NaN", "[Infinity]", "word", '"\n"'],
    )
    def test_what_no_parser_takes_is_refused(self, text: str) -> None:
        assert not accepts("json", text.encode())

    def test_values_nested_without_end_do_not_crash(self) -> None:
        accepts("json", b"[" * 500_000 + b"]" * 500_000)

    def test_megabytes_of_json_pass(self) -> None:
        large = json.dumps([{"number": n, "text": "x" * 100} for n in range(20_000)]).encode()

        assert accepts("json", *(large[at : at + 65536] for at in range(0, len(large), 65536)))

    @pytest.mark.parametrize("cut", [1, 1000])
    def test_megabytes_of_json_without_their_end_are_refused(self, cut: int) -> None:
        large = json.dumps({"rows": ["x" * 100] * 20_000}).encode()

        assert accepts("json", large)
        assert not accepts("json", large[:-cut])

    @pytest.mark.parametrize("items", [10, 300_000])
    def test_a_json_text_passes_in_utf_8_only_however_long_it_is(self, items: int) -> None:
        """RFC 8259 section 8.1."""
        text = json.dumps([1] * items)

        assert accepts("json", text.encode())
        assert not accepts("json", text.encode("utf-16"))


def cuts_of(content: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(content)), max_size=8).map(sorted)


def blocks_of(content: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *cuts, len(content)]
    return [content[a:b] for a, b in itertools.pairwise(borders)]


class TestBlocks:
    """How the network cuts the bytes up must not matter."""

    @given(st.data(), st.sampled_from(sorted(FITS)), st.sampled_from(DEFAULT_EXTENSIONS))
    def test_documents_are_judged_alike_in_any_blocks(
        self, data: st.DataObject, document: str, extension: str
    ) -> None:
        content = (SAMPLES / document).read_bytes()
        blocks = blocks_of(content, data.draw(cuts_of(content)))

        assert accepts(extension, *blocks) == accepts(extension, content)

    @given(st.data(), st.sampled_from(["txt", "json", "csv"]))
    def test_any_bytes_are_judged_alike_in_any_blocks(
        self, data: st.DataObject, extension: str
    ) -> None:
        texts = st.text(max_size=60)
        encoded = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])
        content = data.draw(
            st.binary(max_size=60)
            | st.builds(lambda text, to: text.encode(to, "replace"), texts, encoded)
        )
        blocks = blocks_of(content, data.draw(cuts_of(content)))

        assert accepts(extension, *blocks) == accepts(extension, content)

    @given(st.integers(4000, 4200))
    @example(4085)
    def test_a_sign_near_the_end_of_the_head_is_seen_in_all_blocks_or_in_none(
        self, padding: int
    ) -> None:
        """Matroska says that it is WebM after as much padding (EBML Void) as it likes."""
        void = b"\xec" + (0x4000 | padding).to_bytes(2, "big") + bytes(padding)
        content = b"\x1aE\xdf\xa3\x01" + bytes(6) + b"\xff" + void + b"\x42\x82\x84webm"
        content = content.ljust(10_000, b"\0")
        small = [content[at : at + 512] for at in range(0, len(content), 512)]

        assert accepts("webm", *small) == accepts("webm", content)

    @pytest.mark.parametrize("extension", ["txt", "json"])
    def test_a_large_block_of_text_is_not_copied_as_a_whole(self, extension: str) -> None:
        first, rest = b'["text",'.ljust(MIB // 64), b'"text"]'.rjust(2 * MIB)

        with memory_bounded(MIB // 2):
            assert accepts(extension, first, rest)
