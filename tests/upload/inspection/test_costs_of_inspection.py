"""No file takes long to inspect, whatever is in it.

The measure is CPU time. The bounds are half of the service's 1 s for a file, and its 50 ms for what
is not handed to a thread. Machines on which tests run may be four times as slow.
"""

import json
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from fileservice.content_risks import ContentRisk
from fileservice.filetypes import TABLE
from fileservice.upload import ContentPolicy, UploadRejected
from fileservice.upload.inspection.inspector import Inspector
from tests.support import ole
from tests.support.rows import every_row
from tests.upload.inspection.support import MIB, SAMPLES, OpenStagedFile
from tests.upload.inspection.test_archive_content import quoted_overlap
from tests.upload.inspection.zip_files import Entry, write_many, write_zip

pytestmark = pytest.mark.thorough
STRICTEST = ContentPolicy(refused=frozenset(ContentRisk))
HARD_TO_REFUSE = ContentPolicy(
    refused=frozenset(ContentRisk) - {ContentRisk.UNSAFE_NAMES, ContentRisk.NESTED_ARCHIVES}
)
SLOW = 4
FILE_SECONDS, LOOP_SECONDS = 0.5, 0.05
EXTRA = b"\xfe\xca\0\0" * 6 + b"up\0\0" + struct.pack("<2H3Q", 1, 24, 1, 1, 0)
FOUR_FIELDS = b"\xfe\xca\0\0" * 2 + struct.pack("<2HQ", 1, 8, 0) + b"up\x06\0\1\0\0\0\0u"
SIZE = 32 * MIB
LARGE = 4 * SIZE


def repeated(text: bytes, size: int = SIZE) -> bytes:
    return text * (size // len(text))


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def directory_of(directory: bytes) -> bytes:
    """Return an archive that says it has fewer members than its directory has."""
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, len(directory), 30, 0)
    return b"PK\x03\x04".ljust(30, b"\0") + directory + end


def entries(count: int, name: bytes = b"", extra: bytes = b"", size: int = 0) -> bytes:
    """Return entries of a directory, each with another name."""
    return b"".join(
        struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, 0, size, len(name) + 8,
            len(extra), 0, 0, 0, 0, 0,
        ) + name + b"%08d" % number + extra
        for number in range(count)
    )  # fmt: skip


def circle() -> bytes:
    content = bytearray(sample("note.doc"))
    sector = int.from_bytes(content[48:52], "little")
    at = (int.from_bytes(content[76:80], "little") + 1) * 512 + 4 * sector
    content[at : at + 4] = sector.to_bytes(4, "little")
    return bytes(content)


def document(types: bytes, *more: Entry) -> bytes:
    text = Entry(b"word/document.xml", b"x")
    return write_zip(Entry(b"[Content_Types].xml", types), text, *more)


CORPUS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "65,000 members": ("zip", lambda: write_zip(*(Entry(b"%d" % n) for n in range(65_000)))),
    "extra fields and headers": ("zip", lambda: write_many(name=b"%d", extra=FOUR_FIELDS)),
    "headers far apart": (
        "zip",
        lambda: write_zip(*(Entry(b"%d" % n, bytes(4000)) for n in range(30_000))),
    ),
    "everything in a document": (
        "docx",
        lambda: write_many(
            Entry(b"[Content_Types].xml", b"<T>" + b'<a b="c"/>' * 49_990 + b"</T>"),
            name=b"word/%030d",
            count=99_999,
            extra=FOUR_FIELDS,
        ),
    ),
    "many descriptions": (
        "docx",
        lambda: document(b"<T/>", *(Entry(b"%d.rels" % n, b"<a/>") for n in range(60_000))),
    ),
    "names of dots": ("zip", lambda: directory_of(entries(250, b"." * 60_000))),
    "a million entries": ("zip", lambda: directory_of(entries(1_000_000))),
    "entries with extra fields": (
        "zip",
        lambda: directory_of(entries(100_000, b"", EXTRA, 0xFFFFFFFF)),
    ),
    "long names": ("zip", lambda: directory_of(entries(1000, b"a/.." * 16_000))),
    "long names of a document": ("docx", lambda: directory_of(entries(60, b"vba." * 16_000))),
    "overlaps": ("zip", lambda: quoted_overlap(1000)),
    "many elements": ("docx", lambda: document(b"<T>" + repeated(b"<a/>", 4_190_000) + b"</T>")),
    "deep elements": ("docx", lambda: document(repeated(b"<a>", 4_190_000))),
    "many attributes": (
        "docx",
        lambda: document(b"<T %s/>" % b" ".join(b'a%d=""' % n for n in range(330_000))),
    ),
    "OLE in circles": ("doc", circle),
    "large OLE": ("doc", lambda: ole.grow(sample("note.doc"), SIZE)),
    "deep JSON": ("json", lambda: b"[" * MIB),
    "wide JSON": ("json", lambda: b"[" + repeated(b"[],") + b"0]"),
    "wide and deep JSON": ("json", lambda: b"[" * 499 + repeated(b"[],")),
    "JSON of strings": ("json", lambda: b"[" + repeated(b'"",') + b"0]"),
    "JSON of escapes": ("json", lambda: b'["' + repeated(b'\\"') + b'"]'),
    "JSON of brackets in strings": ("json", lambda: b"[" + repeated(b'"[{",') + b"0]"),
    "JSON of quotation marks and brackets": ("json", lambda: b"[" + repeated(b'"[""]",') + b"0]"),
    "text in UTF-8": ("txt", lambda: repeated("日本語 é ".encode())),
    "text in UTF-8 with emoji": ("txt", lambda: repeated("日本語 é 😀".encode())),
    "text of characters that are cut": ("txt", lambda: repeated(b"\xe3\x81\xc3\xa9")),
    "text of leading bytes": ("txt", lambda: repeated(b"\xe3\xc3")),
    "JSON of one number": ("json", lambda: b"1." + b"1" * (MIB - 2)),
    "JSON of arrays": ("json", lambda: b"[" + repeated(b"[],", MIB - 9) + b"0]"),
    "JSON of nested arrays": (
        "json",
        lambda: b"[" + repeated(b"[" * 400 + b"]" * 400 + b",", MIB - 900) + b"0]",
    ),
    "JSON of objects": (
        "json",
        lambda: json.dumps([{f"k{n}": n} for n in range(60_000)]).encode(),
    ),
    "JPEG of markers": ("jpg", lambda: sample("img.jpg")[:2] + repeated(b"\xff\xfe\0\2")),
    "JPEG of fill bytes": ("jpg", lambda: sample("img.jpg")[:2] + repeated(b"\xff")),
    "scan of fill bytes": ("jpg", lambda: sample("img.jpg")[:-2] + repeated(b"\xff")),
    "scan of stuffed bytes": ("jpg", lambda: sample("img.jpg")[:-2] + repeated(b"\xff\0")),
    "GIF of blocks": ("gif", lambda: sample("img.gif")[:-1] + b"\x21\xfe" + repeated(b"\1a")),
    "GIF of full blocks": (
        "gif",
        lambda: sample("img.gif")[:-1] + b"\x21\xfe" + repeated(b"\xff" + b"a" * 255),
    ),
    "PNG of chunks": ("png", lambda: sample("img.png")[:33] + repeated(b"\0\0\0\0tEXt\0\0\0\0")),
    "PDF of one line": ("pdf", lambda: b"%PDF-1.7 " + repeated(b"a")),
    "PDF of slashes": ("pdf", lambda: b"%PDF-1.7 " + repeated(b"/")),
    "PDF of escapes": ("pdf", lambda: b"%PDF-1.7 " + repeated(b"/#4A#61#76#61#53#63#72#69#70#74x")),
    "PDF of names": ("pdf", lambda: b"%PDF-1.7 " + repeated(b"/JS        ")),
    "PDF of names that differ at the end": (
        "pdf",
        lambda: b"%PDF-1.7 " + repeated(b"/EmbeddedFilesx", LARGE),
    ),
    "PDF of numbers": ("pdf", lambda: b"%PDF-1.7 " + repeated(b"/JS        1234567890x", LARGE)),
}  # fmt: skip


def cost_of(extension: str, content: bytes, policy: ContentPolicy) -> tuple[float, float]:
    """Return the CPU seconds of an inspection: all of them, and those outside of threads."""
    in_threads = 0.0

    def run_cpu(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        nonlocal in_threads
        begin = time.process_time()
        try:
            return function(*arguments, **keywords)
        finally:
            in_threads += time.process_time() - begin

    def blocks() -> Iterator[bytes]:
        for offset in range(0, len(content), MIB):
            yield content[offset : offset + MIB]

    inspector = Inspector(TABLE[extension], policy)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        begin = time.process_time()
        with suppress(UploadRejected):
            for block in blocks():
                run_cpu(inspector.feed, block)
            inspector.conclude(OpenStagedFile(file), run_cpu)
        total = time.process_time() - begin
    return total, total - in_threads


@every_row("name", CORPUS)
def test_no_file_takes_long(name: str) -> None:
    extension, make = CORPUS[name]
    content = make()
    costs = [cost_of(extension, content, policy) for policy in (STRICTEST, HARD_TO_REFUSE)]
    total, outside = map(max, zip(*costs, strict=True))
    print(f"{name}: {total * 1000:.0f} ms, {outside * 1000:.0f} ms outside of threads")  # noqa: T201
    assert total < SLOW * FILE_SECONDS
    assert outside < SLOW * LOOP_SECONDS
