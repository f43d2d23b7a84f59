"""A ZipStream whose entries have the modification times of their files.

zipstream-ng takes the time of an entry from the path of a file. What is added as an iterator gets
the time of packing. Everything here that touches private parts of zipstream-ng 1.9 is tested in
tests/web/test_dated_zip_stream.py.
"""

import struct
import time
from collections import deque
from collections.abc import Iterable, Iterator
from zipfile import ZIP_STORED

from zipstream import ZipStream
from zipstream.ng import ZipStreamInfo

_EARLIEST, _LATEST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
_EXTENDED_TIMESTAMP = 0x5455
_HAS_MODIFICATION_TIME = 1
_MODE = 0o600 << 16


class DatedZipStream(ZipStream):  # type: ignore[misc]
    """A zip archive of files that are stored and not compressed, and whose sizes are known.

    The times of an entry are that of MS-DOS, which has no time zone and is in UTC here, and the
    extended timestamp (extra field 0x5455 of Info-ZIP), which is seconds since the Unix epoch. Most
    programs that unpack on Unix use the second one.
    """

    def __init__(self) -> None:
        super().__init__(sized=True)
        self._times: deque[int] = deque()
        """Those of the entries that have not begun, in their order."""

    def add_file(self, content: Iterable[bytes], name: str, *, size: int, modified: int) -> None:
        """Add an entry of exactly `size` bytes, modified at a time in seconds since 1970."""
        self._times.append(modified)
        self.add(content, name, size=size)

    def _add_size_from_file(self, arcname: str, size: int) -> None:
        # Like the name, the extra field is in the header of the entry and in the directory.
        extra = _extra_field(self._times[-1])
        super()._add_size_from_file(arcname + "x" * len(extra), size)

    def _gen_file_entry(
        self, *, iterable: Iterable[bytes], size: int, arcname: str
    ) -> Iterator[bytes]:
        modified = self._times.popleft()
        entry = ZipStreamInfo(arcname, _dos_time(modified))
        entry.extra = _extra_field(modified)
        entry.compress_type = ZIP_STORED
        entry._compresslevel = None
        entry.external_attr = _MODE
        entry.file_size = size
        entry.header_offset = self._pos
        for block in entry._file_data(iterable):
            yield self._track(block)
        self._filelist.append(entry)


def _dos_time(modified: int) -> tuple[int, ...]:
    return min(max(_EARLIEST, time.gmtime(modified)[:6]), _LATEST)


def _extra_field(modified: int) -> bytes:
    """Return the extended timestamp; nothing if the time does not fit into its 32 bits."""
    if not -(2**31) <= modified < 2**31:
        return b""
    return struct.pack("<HHBi", _EXTENDED_TIMESTAMP, 5, _HAS_MODIFICATION_TIME, modified)
