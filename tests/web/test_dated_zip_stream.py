"""The times of the entries of an archive, and the length that is known beforehand."""

import io
import os
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fileservice.web.dated_zip_stream import DatedZipStream
from tests.support.rows import every_row

THEN = 1_234_567_890  # 2009-02-13T23:31:30Z
GIB = 1 << 30


def zeros(size: int) -> Iterator[bytes]:
    block = bytes(1 << 20)
    for start in range(0, size, len(block)):
        yield block[: size - start]


def packed(*times: int) -> bytes:
    stream = DatedZipStream()
    for number, modified in enumerate(times):
        stream.add_file(iter([b"text"]), f"é{number}.txt", size=4, modified=modified)
    length = len(stream)
    data = b"".join(stream)
    assert len(data) == length
    return data


def test_python_reads_the_time_in_utc() -> None:
    with zipfile.ZipFile(io.BytesIO(packed(THEN, THEN + 86_400))) as archive:
        assert archive.testzip() is None
        assert [entry.date_time for entry in archive.infolist()] == [
            (2009, 2, 13, 23, 31, 30),
            (2009, 2, 14, 23, 31, 30),
        ]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("program", ["unzip", "7z"])
def test_files_that_are_unpacked_have_the_very_second(
    tmp_path: Path, tool: Callable[[str], str], program: str, zone: str
) -> None:
    (tmp_path / "a.zip").write_bytes(packed(THEN + 1))
    options = ["-q"] if program == "unzip" else ["x", "-y"]
    subprocess.run(
        [tool(program), *options, "a.zip"],
        cwd=tmp_path,
        env=os.environ | {"TZ": zone},
        check=True,
        timeout=60,
        capture_output=True,
    )
    assert (tmp_path / "é0.txt").stat().st_mtime == THEN + 1


def test_unzip_lists_the_time_of_its_user(tmp_path: Path, tool: Callable[[str], str]) -> None:
    (tmp_path / "a.zip").write_bytes(packed(THEN))
    listed = subprocess.run(
        [tool("unzip"), "-l", "a.zip"], cwd=tmp_path, env=os.environ | {"TZ": "Asia/Kolkata"},
        check=True, timeout=60, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "2009-02-14 05:01" in listed


@every_row(
    ("modified", "shown"),
    [
        (-62_135_596_800, 1980),
        (-1, 1980),
        (0, 1980),
        (2**31 - 1, 2038),
        (2**31, 2038),
        (int(datetime(2106, 5, 1, tzinfo=UTC).timestamp()), 2106),
        (253_402_300_799, 2107),
    ],
)
def test_times_that_do_not_fit_are_the_nearest_that_do(modified: int, shown: int) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(modified, THEN))) as archive:
        assert archive.testzip() is None
        assert [entry.date_time[0] for entry in archive.infolist()] == [shown, 2009]


@pytest.mark.thorough
@pytest.mark.timeout(600)
@every_row("missing", [0, *range(110, 131, 2), 300])
def test_length_is_right_where_an_entry_begins_beyond_two_gigabytes(missing: int) -> None:
    """Two files have almost as much as needs no ZIP64, and their headers may make it more."""
    size = 2 * GIB - 1 - missing
    half = size // 2
    stream = DatedZipStream()
    for name, part in (("a.bin", half), ("b.bin", size - half), ("c.bin", 1)):
        stream.add_file(zeros(part), name, size=part, modified=THEN)
    length = len(stream)
    assert sum(len(part) for part in stream) == length
