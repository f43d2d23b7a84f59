"""A zip archive of stored files, which is made while it is sent.

The files are stored and not compressed, so that the length of the archive is known before its first
byte: most of what is kept here is compressed already.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from fileservice.executor import Executor
from fileservice.integrity import DamageMarks, FileDamaged
from fileservice.storage import NotFound, Opened, Store, StoredFile
from fileservice.web.dated_zip_stream import DatedZipStream

MAX_FILES = 10_000
"""Files in an archive. Its directory, which comes last, takes about a kilobyte of memory each."""
_BLOCK = 256 * 1024
_FORBIDDEN = re.compile(r'[<>:"|?*]')
"""Characters that the names of files in Windows cannot have, and a FileName can."""


class ZipArchive:
    """A zip archive of some files, to be iterated over once; `close` must be called.

    A file is opened when its turn comes. Iterating raises EOFError if it has gone since, has
    another size or is damaged: the transfer then ends early, which the client notices, and never
    says of other bytes that they are the file's.
    """

    def __init__(
        self, store: Store, executor: Executor, files: Sequence[StoredFile], marks: DamageMarks
    ) -> None:
        self._store = store
        self._marks = marks
        self._executor = executor
        self._opened: Opened | None = None
        self._stream = DatedZipStream()
        for file, name in zip(files, entry_names(file.name for file in files), strict=True):
            self._stream.add_file(self._content(file), name, size=file.size, modified=file.modified)
        self.size = len(self._stream)
        """The number of bytes in the archive."""

    def __iter__(self) -> Iterator[bytes]:
        return _joined(iter(self._stream))

    def close(self) -> None:
        """Close the file that is being read."""
        if self._opened:
            self._opened.body.close()
            self._opened = None

    def _content(self, file: StoredFile) -> Iterator[bytes]:
        block, size = self._executor.run_io(self._open, file), 0
        while block:
            size += len(block)
            if size > file.size:
                break
            yield block
            block = self._executor.run_io(self._read) if size < file.size else b""
        self.close()
        if size != file.size:
            raise EOFError(f"{file.name!r} has changed while it was sent")

    def _open(self, file: StoredFile) -> bytes:
        try:
            self._opened = self._store.open(file.name, sequential=True)
        except NotFound:
            raise EOFError(f"{file.name!r} was deleted before it was sent") from None
        try:
            self._marks.require_intact(self._opened.file)
        except FileDamaged as error:
            raise EOFError(str(error)) from None
        return self._read()

    def _read(self) -> bytes:
        assert self._opened
        return self._opened.body.read(_BLOCK)


def entry_names(names: Iterable[str]) -> Iterator[str]:
    """Return names under which the files can be unpacked everywhere, in the same order.

    Characters that Windows forbids become underscores. Where two names are the same then, or differ
    in case alone, the later one gets a number before its extension.
    """
    taken: set[str] = set()
    for name in names:
        plain = candidate = _FORBIDDEN.sub("_", name)
        number = 2
        while candidate.casefold() in taken:
            stem, dot, extension = plain.rpartition(".")
            candidate = f"{stem or extension} ({number}){dot}{extension if stem else ''}"
            number += 1
        taken.add(candidate.casefold())
        yield candidate


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join small blocks, such as the headers of entries, so that each is not sent by itself."""
    held: list[bytes] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= _BLOCK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
