"""What zip archives contain: limits, risks that are refused, and contradictions."""

import io
import struct
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from fileservice.content_risks import ContentRisk
from fileservice.upload import (
    ContentMismatch,
    ContentPolicy,
    ContentRefused,
    TooComplex,
    UploadRejected,
)
from tests.support.rows import every_row
from tests.upload.inspection.support import MIB, SAMPLES, inspect, make_zip, memory_bounded
from tests.upload.inspection.zip_files import Entry, deflated, write_zip

ALL = ContentPolicy(refused=frozenset(ContentRisk))
NONE = ContentPolicy(refused=frozenset())


def refused(content: bytes, policy: ContentPolicy | None = None) -> UploadRejected:
    with pytest.raises(UploadRejected) as raised:
        inspect("zip", content, policy=policy)
    return raised.value


def refused_by(risk: ContentRisk, content: bytes, extension: str = "zip") -> str:
    """Return what was found, if a policy that refuses `risk` finds it and the others do not."""
    inspect(extension, content, policy=ContentPolicy(refused=frozenset(ContentRisk) - {risk}))
    with pytest.raises(ContentRefused) as raised:
        inspect(extension, content, policy=ContentPolicy(refused=frozenset({risk})))
    assert raised.value.risk == risk.value
    return raised.value.found


def test_ordinary_archives_are_accepted_by_the_strictest_policy(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = b"made for a test"
        archive.mkdir("folder")
        archive.writestr("folder/..a", b"a")
        archive.writestr("folder/ä.txt", b"b" * 100_000)
        archive.write(SAMPLES / "note.docx")
        with archive.open("large.bin", "w", force_zip64=True) as member:
            member.write(bytes(100))
    inspect("zip", path.read_bytes(), policy=ALL)
    inspect("zip", make_zip([]), policy=ALL)
    inspect("zip", write_zip(Entry(b"a"), Entry(b"b", b"c")), policy=ALL)


def test_members_are_limited() -> None:
    content = make_zip([(f"{number}", b"") for number in range(11)])
    inspect("zip", content, policy=ContentPolicy(max_members=11))
    error = refused(content, ContentPolicy(max_members=10))
    assert isinstance(error, TooComplex)
    assert (error.resource, error.limit) == ("members", 10)


def test_members_are_counted_and_not_believed() -> None:
    entries = [Entry(b"%d" % number) for number in range(11)]
    error = refused(write_zip(*entries, count=1), ContentPolicy(max_members=10))
    assert isinstance(error, TooComplex)


def test_unpacked_sizes_are_summed() -> None:
    content = make_zip([(f"{number}", bytes(1000)) for number in range(10)])
    inspect("zip", content, policy=ContentPolicy(max_unpacked=10_000))
    error = refused(content, ContentPolicy(max_unpacked=9_999))
    assert isinstance(error, TooComplex)
    assert (error.resource, error.limit) == ("unpacked-size", 9_999)


def test_unpacked_size_of_zip64_is_counted() -> None:
    field = struct.pack("<2HQ", 1, 8, 21 << 30)
    content = write_zip(Entry(b"a", b"x", 8, 0xFFFFFFFF, extra=field))
    assert isinstance(refused(content), TooComplex)


@every_row("extension", ["zip", "odt"])
def test_ratio_of_a_bomb_is_refused(extension: str) -> None:
    member = (SAMPLES / "note.odt").read_bytes()[38:77]
    assert member == b"application/vnd.oasis.opendocument.text"
    mimetype = Entry(b"mimetype", member)
    bomb = write_zip(mimetype, zeros())
    with memory_bounded(2 * MIB), pytest.raises(TooComplex) as raised:
        inspect(extension, bomb)
    assert (raised.value.resource, raised.value.limit) == ("ratio", 200)


@cache
def zeros() -> Entry:
    return deflated(b"a", bytes(64 * MIB))


def test_small_archive_may_have_any_ratio() -> None:
    inspect("zip", write_zip(deflated(b"a", bytes(10 * MIB))))


@every_row(
    "name",
    [b"/etc/passwd", b"../a", b"a/../../b", b"a/..", b"..", b"C:a", b"c:\\a", b"a\\b", b"a\0", b""],
)  # fmt: skip
def test_name_that_leads_elsewhere_is_refused_by_default(name: bytes) -> None:
    content = write_zip(Entry(b"a.txt", b"x"), Entry(name, b"x"))
    refused_by(ContentRisk.UNSAFE_NAMES, content)
    assert isinstance(refused(content), ContentRefused)


def test_unicode_name_is_looked_at_as_well() -> None:
    """Section 4.6.9 of APPNOTE.TXT: some readers use it instead of the other."""
    field = struct.pack("<2HBI", 0x7075, 9, 1, 0) + b"../b"
    refused_by(ContentRisk.UNSAFE_NAMES, write_zip(Entry(b"a", b"x", extra=field)))


def test_name_that_occurs_twice_is_refused_by_default() -> None:
    content = write_zip(Entry(b"a", b"x"), Entry(b"a", b"y"))
    assert refused_by(ContentRisk.UNSAFE_NAMES, content) == "two members of the same name"


@every_row("kind", [0o120000, 0o020000, 0o060000, 0o140000])
def test_link_and_device_are_refused_by_default(kind: int) -> None:
    content = write_zip(Entry(b"a", b"/etc/passwd", mode=kind | 0o777))
    refused_by(ContentRisk.LINKS, content)
    assert isinstance(refused(content), ContentRefused)


@every_row("mode", [0o010600, 0o177777, 0])
def test_mode_that_archivers_write_for_a_file_is_accepted(mode: int) -> None:
    """That of a pipe stands for the standard input of zip, and 0o177777 occurs in old jar files."""
    inspect("zip", write_zip(Entry(b"-", b"x", mode=mode)), policy=ALL)


@every_row(
    "entry",
    [Entry(b"a", b"x" * 12, flags=1), Entry(b"a", b"x" * 12, 8, flags=65), Entry(b"a", b"x", 99)],
)
def test_encrypted_member_is_refused_by_policy(entry: Entry) -> None:
    content = write_zip(entry)
    refused_by(ContentRisk.ENCRYPTED, content)
    inspect("zip", content)


@every_row(
    "entry",
    [
        deflated(b"a.ZIP", b"PK\x03\x04"),
        deflated(b"a/b.tar.gz", b""),
        Entry(b"picture.png", b"PK\x03\x04" + bytes(50)),
        Entry(b"picture.png", b"Rar!\x1a\x07\x01\0"),
    ],
)
def test_nested_archive_is_refused_by_policy(entry: Entry) -> None:
    content = write_zip(entry)
    refused_by(ContentRisk.NESTED_ARCHIVES, content)
    inspect("zip", content)


def full_overlap() -> bytes:
    """All members have the same header and the same bytes (D. Fifield, section 3)."""
    kernel = deflated(b"a", bytes(100_000))
    others = [deflated(b"a", bytes(100_000)) for _ in range(20)]
    for other in others:
        other.offset = 0
    return write_zip(kernel, *others)


def quoted_overlap(count: int = 20) -> bytes:
    """Each member has the headers of those behind it in its bytes (D. Fifield, section 4)."""
    kernel = deflated(b"last", bytes(100_000))
    entries, tail = [kernel], b""
    packed, size = kernel.packed, 100_000
    for number in range(count):
        header = local_header(entries[-1], packed, size)
        packed = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header + packed
        size += len(header)
        entries.append(Entry(b"%04d" % number, packed, 8, size))
        tail = packed
    first = entries[-1]
    content = local_header(first, tail, size) + tail
    for entry in entries:
        entry.offset = len(content) - len(entry.packed) - 30 - len(entry.name)
    body = write_zip(*entries)
    directory = body[-22 - sum(46 + len(entry.name) for entry in entries) : -22]
    record = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), len(content), 0
    )
    return content + directory + record


def local_header(entry: Entry, packed: bytes, size: int) -> bytes:
    return struct.pack(
        "<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0, entry.crc, len(packed), size, len(entry.name), 0
    ) + entry.name  # fmt: skip


@every_row("bomb", [full_overlap, quoted_overlap])
def test_overlapping_members_are_damaged(bomb: Callable[[], bytes]) -> None:
    content = bomb()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sum(member.file_size for member in archive.infolist()) > 2_000_000
    error = refused(content, NONE)
    assert isinstance(error, ContentMismatch)
    assert "overlap" in error.found


def test_extra_fields_of_all_members_are_limited() -> None:
    """Only those count that come before one that is read."""
    unicode_name = struct.pack("<2HBI", 0x7075, 6, 1, 0) + b"u"
    for others, accepted in ((3, True), (4, False), (8, False)):
        extra = b"\xfe\xca\0\0" * others + unicode_name
        content = write_zip(*(Entry(b"%d" % n, extra=extra) for n in range(20)))
        if accepted:
            inspect("zip", content, policy=NONE)
        else:
            assert isinstance(refused(content, NONE), ContentMismatch)
    few = b"\xfe\xca\0\0" * 7 + unicode_name
    inspect("zip", write_zip(Entry(b"a", extra=few), Entry(b"b")), policy=NONE)


def test_names_are_limited_in_sum() -> None:
    entries = [Entry(b"%d/" % number + b"a" * 400) for number in range(10)]
    inspect("zip", write_zip(*entries), policy=ContentPolicy(max_members=30))
    error = refused(write_zip(*entries), ContentPolicy(max_members=20))
    assert isinstance(error, TooComplex)
    assert (error.resource, error.limit) == ("directory", 3200)


LIES = {
    "another name": write_zip(Entry(b"a.txt", b"x", local_name=b"b.exe")),
    "a longer name": write_zip(Entry(b"a.txt", b"x", local_name=b"a.txt.exe")),
    "another size": write_zip(Entry(b"a", b"x", 8, 1, local_size=2)),
    "another method": write_zip(Entry(b"a", b"x", 8, local_method=0)),
    "stored with another size": write_zip(Entry(b"a", b"x", 0, 5)),
    "past the directory": write_zip(Entry(b"a", b"x", 8, compressed=99, flags=8)),
    "no header there": write_zip(Entry(b"a", b"x" * 99), Entry(b"b", b"", offset=40)),
    "behind the end": write_zip(Entry(b"a"), Entry(b"b", b"", offset=1 << 20)),
    "more members than said": write_zip(Entry(b"a"), Entry(b"b"), count=1),
    "fewer members than said": write_zip(Entry(b"a"), count=2),
    "shorter directory": write_zip(Entry(b"a"), Entry(b"b"), directory_size=47),
    "longer directory": write_zip(Entry(b"a"), directory_size=60),
    "bytes after the end": write_zip(Entry(b"a"), after=b"<script>"),
    "two ends": write_zip(Entry(b"a"), comment=write_zip(Entry(b"b"))[:-2] + b"\1\0"),
}  # fmt: skip


@every_row("lie", LIES)
def test_archive_that_contradicts_itself_is_damaged_whatever_the_policy(lie: str) -> None:
    assert isinstance(refused(LIES[lie], NONE), ContentMismatch)


def test_directory_of_too_many_members_is_not_read_to_its_end() -> None:
    content = bytearray(b"PK\x03\x04".ljust(30, b"\0"))
    entry = write_zip(Entry(b"")).partition(b"PK\x01\x02")
    directory = (entry[1] + entry[2][:42]) * 200_000  # 9 MiB
    content += directory
    content += struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 9, 9, len(directory), 30, 0)
    blocks = [bytes(content[offset : offset + MIB]) for offset in range(0, len(content), MIB)]
    policy = ContentPolicy(refused=frozenset(), max_members=10_000)
    with memory_bounded(4 * MIB), pytest.raises(TooComplex):
        inspect("zip", *blocks, policy=policy)
