"""The file in a form, wherever the blocks of the body end."""

from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fileservice.protocols.errors import (
    BadForm,
    ChunkedUpload,
    MultipleFiles,
    NoFile,
    PartialUpload,
)
from fileservice.protocols.forms import form_file

BOUNDARY = "XboundaryX"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
DELIMITER = f"\r\n--{BOUNDARY}".encode()

near_delimiters = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.integers(0, len(DELIMITER) - 1).map(lambda length: DELIMITER[:length]),
        st.sampled_from([b"\r", b"\r\n", b"\r\r\n--", b"\n--XboundaryX", b"--XboundaryX--"]),
    ),
    max_size=30,
).map(b"".join)


def part(fields: str, data: bytes) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {fields}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def file_part(data: bytes, extra: str = "") -> bytes:
    return part(f'name="file"; filename="a.txt"{extra}', data)


END = f"--{BOUNDARY}--\r\n".encode()


def in_blocks(body: bytes, sizes: list[int]) -> Iterator[memoryview]:
    """The body through two buffers in turn, each larger than what it holds."""
    buffers, turn, at = (bytearray(b"?" * 5000), bytearray(b"?" * 5000)), 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        data = body[at : at + size]
        buffer = buffers[turn % 2]
        buffer[:] = b"?" * len(buffer)
        buffer[: len(data)] = data
        yield memoryview(buffer)[: len(data)]
        turn, at = turn + 1, at + size


def taken_in(body: bytes, sizes: list[int]) -> bytes:
    """The file's bytes, each block looked at only once the next has been asked for."""
    _, blocks = form_file(KIND, in_blocks(body, sizes))
    found, earlier = b"", None
    for block in blocks:
        if earlier is not None:
            found += bytes(earlier)
        earlier = block
    return found + (bytes(earlier) if earlier is not None else b"")


sizes_of_blocks = st.lists(st.integers(1, 300), min_size=1, max_size=5)


@given(data=near_delimiters, sizes=sizes_of_blocks, before=near_delimiters, after=near_delimiters)
@example(data=bytes(4), sizes=[1, 23], before=b"", after=b"")  # more blocks follow than buffers
def test_the_bytes_of_the_file_are_its_own_wherever_the_blocks_end(
    data: bytes, sizes: list[int], before: bytes, after: bytes
) -> None:
    if any(DELIMITER in b"\r\n" + piece + b"\r\n" for piece in (data, before, after)):
        return  # no client would choose this boundary
    body = part('name="note"', before) + file_part(data) + part('name="more"', after) + END
    assert taken_in(body, sizes) == data


@given(sizes=sizes_of_blocks, cut=st.integers(1, len(file_part(b"x" * 100)) + len(END) - 3))
def test_a_form_cut_anywhere_is_an_error(sizes: list[int], cut: int) -> None:
    with pytest.raises((BadForm, NoFile)):
        taken_in((file_part(b"x" * 100) + END)[:cut], sizes)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_a_second_file_is_refused(size: int) -> None:
    with pytest.raises(MultipleFiles):
        taken_in(file_part(b"one") + file_part(b"two") + END, [size])


@pytest.mark.parametrize(("declared", "right"), [("3", True), ("2", False), ("03", False)])
def test_a_part_that_declares_its_length_has_it(declared: str, right: bool) -> None:
    body = file_part(b"one", f"\r\nContent-Length: {declared}") + END
    if right:
        assert taken_in(body, [10]) == b"one"
    else:
        with pytest.raises(BadForm):
            taken_in(body, [10])


@pytest.mark.parametrize("block", [4096, 1 << 20])
def test_what_comes_before_the_file_is_bounded(block: int) -> None:
    with pytest.raises(BadForm, match="before the file"):
        taken_in(part('name="note"', b"x" * 70_000) + file_part(b"one") + END, [block])


def test_a_name_that_is_not_utf_8_is_refused_in_words() -> None:
    with pytest.raises(BadForm, match=r"must be UTF-8$"):
        taken_in(file_part(b"one").replace(b'filename="', b'filename="\xe9') + END, [4096])


def test_what_comes_after_the_file_is_bounded() -> None:
    with pytest.raises(BadForm, match="after the file"):
        taken_in(file_part(b"one") + part('name="note"', b"x" * 70_000) + END, [4096])


def test_an_epilogue_is_bounded_as_fields_are() -> None:
    assert taken_in(file_part(b"one") + END + b"x" * 60_000, [4096]) == b"one"
    with pytest.raises(BadForm, match="after the file"):
        taken_in(file_part(b"one") + END + b"x" * 70_000, [4096])


NO_DELIMITERS = [b"--X", b"X", b"-", b"-X", b"\n", b" x", b"--\n", b"-- -\r\n", b"\rX", b"---\r\n"]


@given(
    pieces=st.lists(st.sampled_from([DELIMITER + tail + b"x" for tail in NO_DELIMITERS])),
    sizes=sizes_of_blocks,
)
def test_a_boundary_that_is_followed_by_more_belongs_to_the_file(
    pieces: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(pieces)
    assert taken_in(file_part(data) + END, sizes) == data


@pytest.mark.parametrize("end", [END, END[:-2], END[:-2] + b" \t ", END[:-2] + b"  \r\nmore"])
@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_last_boundary_may_be_padded_and_need_not_end_its_line(end: bytes, size: int) -> None:
    assert taken_in(file_part(b"one") + end, [size]) == b"one"


@pytest.mark.parametrize(
    "fields",
    [
        'name="file"; filename="a.txt"; filename="b.exe"',
        'name="file"; filename="a.txt"; FileName=b.exe',
        'name="file"; name="other"; filename="a.txt"',
        'name="file"; filename="a.txt"\r\nContent-Disposition: form-data; name="file"',
    ],
)
def test_a_part_with_two_names_is_refused(fields: str) -> None:
    with pytest.raises(BadForm, match="more than one"):
        taken_in(part(fields, b"one") + END, [10])
    with pytest.raises((BadForm, MultipleFiles)):
        taken_in(file_part(b"one") + part(fields, b"two") + END, [10])


def test_a_name_in_the_extended_form_is_no_second_name() -> None:
    """RFC 7578 section 4.2 wants none in forms."""
    body = file_part(b"one")[:-7].replace(b'"a.txt"', b"\"a.txt\"; filename*=UTF-8''b.exe")
    name, _ = form_file(KIND, in_blocks(body + b"\r\none\r\n" + END, [10]))
    assert name == "a.txt"


@pytest.mark.parametrize("total", ["2", "002", " 3 ", "9" * 30])
@pytest.mark.parametrize(
    "field",
    ["dztotalchunkcount", "resumableTotalChunks", "flowTotalChunks", "chunks"] + ["qqtotalparts"],
)
@pytest.mark.parametrize("size", [1, 300])
def test_a_piece_is_refused_wherever_the_form_says_that_it_is_one(
    field: str, total: str, size: int
) -> None:
    says = part(f'name="{field}"', total.encode())
    with pytest.raises(ChunkedUpload):
        form_file(KIND, in_blocks(says + file_part(b"one") + END, [size]))
    with pytest.raises(ChunkedUpload):
        taken_in(file_part(b"one") + says + END, [size])


@pytest.mark.parametrize("total", [b"1", b"0", b"", b"two", b"-2"])
def test_a_file_in_one_piece_is_a_file(total: bytes) -> None:
    says = part('name="chunks"', total)
    assert taken_in(says + file_part(b"one") + says + END, [10]) == b"one"


def test_a_part_with_a_range_is_refused() -> None:
    with pytest.raises(PartialUpload):
        taken_in(file_part(b"one", "\r\nContent-Range: bytes 0-2/9") + END, [10])
