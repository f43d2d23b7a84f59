"""Images: how many pixels they have, and whether they end where their last block ends."""

import struct

import pytest

from fileservice.content_risks import ContentRisk
from fileservice.upload import ContentPolicy, ContentRefused, TooComplex
from tests.support.rows import every_row
from tests.upload.inspection.support import SAMPLES, inspect
from tests.upload.inspection.test_archive_content import ALL

TRAILING = ContentPolicy(refused=frozenset({ContentRisk.TRAILING_BYTES}))
SAMPLE = {
    extension: (SAMPLES / f"img.{extension}").read_bytes()
    for extension in ("png", "jpg", "gif", "webp", "bmp", "tiff")
}
METADATA = b"\xff\xe1\xff\xff".ljust(0x10001, b"\xd9")
"""A segment of a JPEG as long as one can be."""


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[offset : offset + size] for offset in range(0, len(content), size)]


@every_row("extension", SAMPLE)
@every_row("size", [1, 13, 1 << 20])
def test_ordinary_image_is_accepted_by_the_strictest_policy(extension: str, size: int) -> None:
    inspect(extension, *pieces(SAMPLE[extension], size), policy=ALL)


@every_row("extension", ["png", "jpg", "gif", "webp", "bmp"])
def test_pixels_are_limited(extension: str) -> None:
    inspect(extension, SAMPLE[extension], policy=ContentPolicy(max_pixels=64 * 64))
    with pytest.raises(TooComplex) as raised:
        inspect(extension, SAMPLE[extension], policy=ContentPolicy(max_pixels=64 * 64 - 1))
    assert (raised.value.resource, raised.value.limit) == ("pixels", 4095)


@every_row("size", [7, 1 << 20])
def test_size_of_a_jpeg_is_found_behind_its_metadata(size: int) -> None:
    content = SAMPLE["jpg"][:2] + METADATA * 3 + SAMPLE["jpg"][2:]
    inspect("jpg", *pieces(content, size), policy=ALL)
    with pytest.raises(TooComplex):
        inspect("jpg", *pieces(content, size), policy=ContentPolicy(max_pixels=4095))


def test_png_of_65535_by_65535_is_refused_by_default() -> None:
    with pytest.raises(TooComplex):
        inspect("png", SAMPLE["png"][:16] + struct.pack(">2I", 65535, 65535) + SAMPLE["png"][24:])


@every_row("extension", ["png", "jpg", "gif"])
@every_row("after", [b"\0", b"<script>", b"PK\x03\x04" + bytes(100_000)])
@every_row("size", [1, 1 << 20])
def test_bytes_after_the_end_are_refused_by_policy(extension: str, after: bytes, size: int) -> None:
    content = SAMPLE[extension]
    blocks = [*pieces(content, size), after]
    inspect(extension, *blocks)
    for case in (blocks, [content + after]):
        with pytest.raises(ContentRefused) as raised:
            inspect(extension, *case, policy=TRAILING)
        assert raised.value.risk == "trailing-bytes"


@every_row("extension", ["png", "jpg", "gif"])
def test_image_without_its_end_is_refused_by_policy(extension: str) -> None:
    for missing in (1, 2, 5, 20):
        inspect(extension, SAMPLE[extension][:-missing])
        with pytest.raises(ContentRefused):
            inspect(extension, SAMPLE[extension][:-missing], policy=TRAILING)


def test_chunk_that_claims_the_rest_of_a_png_is_refused_by_policy() -> None:
    head, chunk, tail = SAMPLE["png"].partition(b"IDAT")
    content = head[:-4] + b"\x7f\xff\xff\xff" + chunk + tail + b"<script>"
    with pytest.raises(ContentRefused):
        inspect("png", content, policy=TRAILING)


def test_marker_of_the_end_inside_a_segment_of_a_jpeg_is_no_end() -> None:
    comment = b"\xff\xfe\0\x06\xff\xd9\xff\xd9"
    inspect("jpg", SAMPLE["jpg"][:2] + comment + SAMPLE["jpg"][2:], policy=TRAILING)


@every_row("size", [1, 1 << 20])
def test_scan_of_a_jpeg_may_have_stuffed_bytes_restarts_and_fill_bytes(size: int) -> None:
    coded = b"\xff\0\xff\xd0\x12\xff\xd7" * 100_000 if size > 1 else b"\xff\0\xff\xd0\x12\xff\xd7"
    content = SAMPLE["jpg"][:-2] + coded + b"\xff\xff\xff\xd9"
    inspect("jpg", *pieces(content, size), policy=TRAILING)


@every_row("size", [1, 1000, 1 << 20])
def test_sub_blocks_of_a_gif_may_have_any_length(size: int) -> None:
    comment = b"\x21\xfe" + (b"\xff" + b"\x3b" * 255) * 20 + b"\x01\x3b\x05aaaaa\0"
    inspect("gif", *pieces(SAMPLE["gif"][:-1] + comment + b";", size), policy=TRAILING)


def test_bytes_to_fill_up_a_scan_are_limited() -> None:
    scan, end = SAMPLE["jpg"][:-2], SAMPLE["jpg"][-2:]
    for count in (1, 2, 100_000):
        inspect("jpg", *pieces(scan + b"\xff" * count + end, 1 << 16), policy=TRAILING)
    with pytest.raises(TooComplex) as raised:
        inspect("jpg", scan + b"\xff" * 510_000 + end, policy=TRAILING)
    assert raised.value.resource == "structure"
