"""Which files are read again once they are complete; a bucket cannot read back large ones."""

from contextlib import AbstractContextManager

from fileservice.filetypes import TABLE
from fileservice.gevent_executor import InlineExecutor
from fileservice.upload.inspection.content_policy import ContentPolicy
from fileservice.upload.inspection.inspector import Inspector
from tests.support.rows import every_row

SIZE = 9 << 20
CONTENTS = {
    "txt": b"a" * SIZE,
    "json": b'["' + b"a" * (SIZE - 4) + b'"]',
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0".ljust(SIZE, b"\0"),
}
"""One large file of each family that is not read again."""


class UnreadableFile:
    """A staged file whose bytes were sent on and cannot be read back."""

    size = SIZE

    def read_at(self, count: int, offset: int) -> bytes:
        raise AssertionError(f"{count} bytes at {offset} are read again")

    def descriptor(self) -> AbstractContextManager[int]:
        raise AssertionError("the file is read again")


@every_row("extension", CONTENTS)
def test_large_file_of_a_family_that_is_not_read_again_is_recognised_as_it_passes(
    extension: str,
) -> None:
    file_type = TABLE[extension]
    assert not file_type.family.is_read_again
    inspector = Inspector(file_type, ContentPolicy())
    inspector.feed(CONTENTS[extension])
    verdict = inspector.conclude(UnreadableFile(), InlineExecutor().run_cpu)
    assert verdict.media_type == file_type.media_type


def test_every_family_that_is_not_read_again_was_tried() -> None:
    families = {row.family for row in TABLE.values() if not row.family.is_read_again}
    assert {TABLE[extension].family for extension in CONTENTS} == families
