"""Real documents, and the inspection of bytes as an upload does it."""

import io
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fileservice.filetypes import TABLE
from fileservice.upload import UploadRejected
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.inspector import Inspector, Verdict

SAMPLES = Path(__file__).parents[2] / "samples"
MIB = 1 << 20

TEXT = frozenset({"txt", "csv", "md"})
"""The extensions of text: no rule says what a line of Markdown or CSV must be."""

EXTENSIONS = {
    "note.txt": TEXT,
    "t.csv": TEXT,
    "note.html": TEXT,  # under these names, no browser renders a page
    "note.rtf": {"rtf"},  # ASCII, but a document and not plain text
    "note.pdf": {"pdf"},
    "note.doc": {"doc"},
    "t.xls": {"xls"},
    "note.docx": {"docx", "zip"},  # these four are valid zip archives
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
"""The extensions of the default list that the content of each sample fits."""


class OpenStagedFile:
    """An open file that stands for a staged one (see `fileservice.storage`)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)

    def read_at(self, count: int, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(count)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        yield self._file.fileno()


def inspect(extension: str, *blocks: bytes, policy: ContentPolicy | None = None) -> Verdict:
    """Inspect a file that arrives in these blocks, as an upload does."""
    inspector = Inspector(TABLE[extension], policy or ContentPolicy())
    with tempfile.TemporaryFile() as file:
        for block in blocks:
            inspector.feed(block)
            file.write(block)
        file.flush()
        return inspector.conclude(OpenStagedFile(file), _run_cpu)


def accepts(extension: str, *blocks: bytes) -> bool:
    """Return whether a file that arrives in these blocks is accepted."""
    try:
        inspect(extension, *blocks)
    except UploadRejected:
        return False
    return True


def make_zip(
    members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return a zip archive with these members, given as names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


class _Stream(io.RawIOBase):
    """Cannot seek, so that a writer has to write the sizes after the bytes."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += data
        return len(data)


def stream_zip(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip archive as a program writes it to a pipe, with nothing compressed."""
    stream = _Stream()
    with zipfile.ZipFile(stream, "w") as archive:  # type: ignore[call-overload]
        for name, content in members:
            archive.writestr(name, content)
    return bytes(stream.content)


def members_of(document: str) -> dict[str, bytes]:
    """Return the contents of the members of a sample that is a zip archive."""
    with zipfile.ZipFile(SAMPLES / document) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@contextmanager
def memory_bounded(limit: int) -> Iterator[None]:
    """Fail if the block allocates more than `limit` bytes at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] <= limit
    finally:
        tracemalloc.stop()


def _run_cpu(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
    return function(*arguments, **keywords)
