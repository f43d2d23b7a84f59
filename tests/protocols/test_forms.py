"""The file in a form, for any division of the body into blocks."""

from collections.abc import Iterator
from itertools import cycle

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
from tests.support.rows import every_row

BOUNDARY = "XboundaryX"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
DELIMITER = f"\r\n--{BOUNDARY}".encode()

data_like_delimiters = st.lists(
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


def divided(body: bytes, sizes: list[int]) -> Iterator[memoryview]:
    """Yield the body in two buffers that are used in turn, each larger than its content."""
    buffers, position = (bytearray(b"?" * 5000), bytearray(b"?" * 5000)), 0
    for size in cycle(sizes):
        if position >= len(body):
            return
        data = body[position : position + size]
        if data:
            buffers = buffers[::-1]
            buffers[0][:] = b"?" * len(buffers[0])
            buffers[0][: len(data)] = data
        yield memoryview(buffers[0])[: len(data)]
        position += size


def read_file(body: bytes, sizes: list[int]) -> bytes:
    """Return the bytes of the file; read each block only after the next one was requested."""
    _, blocks, _ = form_file(CONTENT_TYPE, divided(body, sizes))
    data, previous = b"", None
    for block in blocks:
        if previous is not None:
            data += bytes(previous)
        previous = block
    return data + (bytes(previous) if previous is not None else b"")


block_sizes = st.lists(st.integers(0, 300), min_size=1, max_size=5).filter(any)


@given(
    data=data_like_delimiters,
    sizes=block_sizes,
    before=data_like_delimiters,
    after=data_like_delimiters,
)
# More blocks follow the file than there are buffers.
@example(data=bytes(4), sizes=[1, 23], before=b"", after=b"")
def test_file_is_returned_for_any_division_into_blocks(
    data: bytes, sizes: list[int], before: bytes, after: bytes
) -> None:
    if any(DELIMITER in b"\r\n" + piece + b"\r\n" for piece in (data, before, after)):
        return  # no client would choose this boundary for this content
    body = part('name="note"', before) + file_part(data) + part('name="more"', after) + END
    assert read_file(body, sizes) == data


@given(sizes=block_sizes, cut=st.integers(1, len(file_part(b"x" * 100)) + len(END) - 3))
def test_truncated_form_raises_an_error(sizes: list[int], cut: int) -> None:
    with pytest.raises((BadForm, NoFile)):
        read_file((file_part(b"x" * 100) + END)[:cut], sizes)


@every_row("size", [1, 7, 300])
def test_second_file_raises_multiple_files(size: int) -> None:
    with pytest.raises(MultipleFiles):
        read_file(file_part(b"one") + file_part(b"two") + END, [size])


@every_row(("declared", "correct"), [("3", True), ("2", False), ("03", False)])
def test_wrong_length_of_the_part_raises_bad_form(declared: str, correct: bool) -> None:
    body = file_part(b"one", f"\r\nContent-Length: {declared}") + END
    if correct:
        assert read_file(body, [10]) == b"one"
    else:
        with pytest.raises(BadForm):
            read_file(body, [10])


@every_row("block", [4096, 1 << 20])
def test_too_many_bytes_before_the_file_raise_bad_form(block: int) -> None:
    with pytest.raises(BadForm, match="before the file"):
        read_file(part('name="note"', b"x" * 70_000) + file_part(b"one") + END, [block])


def test_name_that_is_not_utf_8_raises_bad_form() -> None:
    with pytest.raises(BadForm, match=r"must be UTF-8$"):
        read_file(file_part(b"one").replace(b'filename="', b'filename="\xe9') + END, [4096])


def test_too_many_bytes_after_the_file_raise_bad_form() -> None:
    with pytest.raises(BadForm, match="after the file"):
        read_file(file_part(b"one") + part('name="note"', b"x" * 70_000) + END, [4096])


def test_too_long_epilogue_raises_bad_form() -> None:
    assert read_file(file_part(b"one") + END + b"x" * 60_000, [4096]) == b"one"
    with pytest.raises(BadForm, match="after the file"):
        read_file(file_part(b"one") + END + b"x" * 70_000, [4096])


NOT_DELIMITERS = [b"--X", b"X", b"-", b"-X", b"\n", b" x", b"--\n", b"-- -\r\n", b"\rX", b"---\r\n"]


@given(
    pieces=st.lists(st.sampled_from([DELIMITER + tail + b"x" for tail in NOT_DELIMITERS])),
    sizes=block_sizes,
)
def test_boundary_followed_by_other_bytes_belongs_to_the_file(
    pieces: list[bytes], sizes: list[int]
) -> None:
    data = b"".join(pieces)
    assert read_file(file_part(data) + END, sizes) == data


@every_row("end", [END, END[:-2], END[:-2] + b" \t ", END[:-2] + b"  \r\nmore"])
@every_row("size", [1, 7, 300])
def test_last_boundary_may_have_padding_and_no_line_end(end: bytes, size: int) -> None:
    assert read_file(file_part(b"one") + end, [size]) == b"one"


@every_row(
    "fields",
    [
        'name="file"; filename="a.txt"; filename="b.exe"',
        'name="file"; filename="a.txt"; FileName=b.exe',
        'name="file"; name="other"; filename="a.txt"',
        'name="file"; filename="a.txt"\r\nContent-Disposition: form-data; name="file"',
    ],
)
def test_part_with_two_names_raises_bad_form(fields: str) -> None:
    with pytest.raises(BadForm, match="more than one"):
        read_file(part(fields, b"one") + END, [10])
    with pytest.raises((BadForm, MultipleFiles)):
        read_file(file_part(b"one") + part(fields, b"two") + END, [10])


@every_row(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=XboundaryX",
        "application/x-www-form-urlencoded",
        "application/octet-stream; boundary=XboundaryX",
    ],
)
def test_other_content_type_raises_bad_form_with_the_way_to_send_bytes(content_type: str) -> None:
    with pytest.raises(BadForm, match="PUT /upload/<name>"):
        form_file(content_type, divided(file_part(b"one") + END, [10]))


@every_row("body", [b"", b"name=value", END, part('name="note"', b"x") + END])
def test_form_without_a_file_raises_an_error(body: bytes) -> None:
    with pytest.raises((BadForm, NoFile)):
        form_file(CONTENT_TYPE, divided(body, [10]))


def test_form_whose_file_was_not_chosen_raises_no_file() -> None:
    """Browsers send an empty filename for it."""
    with pytest.raises(NoFile, match="choose one"):
        form_file(CONTENT_TYPE, divided(part('name="file"; filename=""', b"") + END, [10]))


def test_file_in_another_field_raises_no_file_with_both_names() -> None:
    with pytest.raises(NoFile, match="'upload'; it must be in `file`"):
        form_file(CONTENT_TYPE, divided(part('name="upload"; filename="a.txt"', b"x") + END, [10]))


@every_row(
    ("sent", "name"),
    [
        ("a.txt", "a.txt"),
        ("日本語 é.txt", "日本語 é.txt"),
        ("%22a%22.txt", '"a".txt'),
        ("/home/me/a.txt", "a.txt"),
        ("C:\\files\\a.txt", "a.txt"),
        ("files/", ""),
    ],
)
def test_name_is_the_last_segment_of_the_filename(sent: str, name: str) -> None:
    body = part(f'name="file"; filename="{sent}"', b"one") + END
    assert form_file(CONTENT_TYPE, divided(body, [10]))[0] == name


def test_more_parts_than_allowed_raise_bad_form() -> None:
    field = part('name="note"', b"x")
    assert read_file(field * 63 + file_part(b"one") + END, [4096]) == b"one"
    with pytest.raises(BadForm, match="malformed"):
        read_file(field * 64 + file_part(b"one") + END, [4096])


def test_empty_file_is_returned() -> None:
    assert read_file(file_part(b"") + END, [10]) == b""


def test_extended_filename_parameter_is_ignored() -> None:
    body = file_part(b"one")[:-7].replace(b'"a.txt"', b"\"a.txt\"; filename*=UTF-8''b.exe")
    name, _, _ = form_file(CONTENT_TYPE, divided(body + b"\r\none\r\n" + END, [10]))
    assert name == "a.txt"


@every_row("total", ["2", "002", " 3 ", "9" * 30])
@every_row(
    "field",
    ["dztotalchunkcount", "resumableTotalChunks", "flowTotalChunks", "chunks"] + ["qqtotalparts"],
)
@every_row("size", [1, 300])
def test_field_with_several_chunks_raises_chunked_upload(field: str, total: str, size: int) -> None:
    count = part(f'name="{field}"', total.encode())
    with pytest.raises(ChunkedUpload):
        form_file(CONTENT_TYPE, divided(count + file_part(b"one") + END, [size]))
    with pytest.raises(ChunkedUpload):
        read_file(file_part(b"one") + count + END, [size])


@every_row("total", [b"1", b"0", b"", b"two", b"-2"])
def test_file_in_one_chunk_is_returned(total: bytes) -> None:
    count = part('name="chunks"', total)
    assert read_file(count + file_part(b"one") + count + END, [10]) == b"one"


def test_part_with_content_range_raises_partial_upload() -> None:
    with pytest.raises(PartialUpload):
        read_file(file_part(b"one", "\r\nContent-Range: bytes 0-2/9") + END, [10])


def expires_part(value: str = "7d") -> bytes:
    return part('name="expires"', value.encode())


@every_row("size", [1, 7, 300])
def test_field_about_the_file_is_read_if_it_comes_before_it(size: int) -> None:
    body = part('name="note"', b"hello") + expires_part() + file_part(b"one") + END

    file = form_file(CONTENT_TYPE, divided(body, [size]))

    assert file.fields == {"expires": "7d"}


def test_empty_field_about_the_file_counts_as_missing() -> None:
    file = form_file(CONTENT_TYPE, divided(expires_part("") + file_part(b"one") + END, [10]))

    assert file.fields == {}


@every_row("size", [1, 7, 300])
def test_field_about_the_file_after_it_raises_bad_form(size: int) -> None:
    """The bytes may be stored before it is read, so it would have no effect."""
    with pytest.raises(BadForm, match="`expires` must come before the file"):
        read_file(file_part(b"one") + expires_part() + END, [size])


def test_field_about_the_file_that_occurs_twice_raises_bad_form() -> None:
    body = expires_part("1d") + expires_part("7d") + file_part(b"one") + END

    with pytest.raises(BadForm, match="`expires` more than once"):
        form_file(CONTENT_TYPE, divided(body, [10]))
