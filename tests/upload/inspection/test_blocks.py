"""The result of an inspection does not depend on how the bytes are divided into blocks."""

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from fileservice.filetypes import DEFAULT_EXTENSIONS
from tests.support.rows import every_row
from tests.upload.inspection.support import EXTENSIONS, MIB, SAMPLES, accepts, memory_bounded


def cuts_of(content: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(content)), max_size=8).map(sorted)


def blocks_of(content: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *cuts, len(content)]
    return [content[a:b] for a, b in itertools.pairwise(bounds)]


@given(st.data(), st.sampled_from(sorted(EXTENSIONS)), st.sampled_from(DEFAULT_EXTENSIONS))
def test_result_for_documents_does_not_depend_on_blocks(
    data: st.DataObject, document: str, extension: str
) -> None:
    content = (SAMPLES / document).read_bytes()
    blocks = blocks_of(content, data.draw(cuts_of(content)))

    assert accepts(extension, *blocks) == accepts(extension, content)


@given(st.data(), st.sampled_from(["txt", "json", "csv"]))
def test_result_for_any_bytes_does_not_depend_on_blocks(
    data: st.DataObject, extension: str
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
def test_signature_near_the_end_of_the_head_does_not_depend_on_blocks(padding: int) -> None:
    """In Matroska, the name of WebM may follow any amount of padding (EBML Void)."""
    void = b"\xec" + (0x4000 | padding).to_bytes(2, "big") + bytes(padding)
    content = b"\x1aE\xdf\xa3\x01" + bytes(6) + b"\xff" + void + b"\x42\x82\x84webm"
    content = content.ljust(10_000, b"\0")
    small = [content[offset : offset + 512] for offset in range(0, len(content), 512)]

    assert accepts("webm", *small) == accepts("webm", content)


@every_row("extension", ["txt", "json"])
def test_large_block_of_text_is_not_copied_at_once(extension: str) -> None:
    first, rest = b'["text",'.ljust(MIB // 64), b'"text"]'.rjust(2 * MIB)

    with memory_bounded(MIB // 2):
        assert accepts(extension, first, rest)
