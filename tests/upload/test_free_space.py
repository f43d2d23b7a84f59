"""FreeSpace: when the store is asked how much space it has."""

import pytest

from fileservice.storage import StorageFull
from fileservice.upload.free_space import FreeSpace

GIB = 1 << 30
MIN_FREE = GIB


class Space:
    """What a store says about its space, and how often it was asked."""

    def __init__(self, free: int | None, files: int | None) -> None:
        self.free, self.files, self.asked = free, files, 0

    def free_space(self) -> int | None:
        self.asked += 1
        return self.free

    def free_files(self) -> int | None:
        return self.files


@pytest.mark.parametrize(
    ("free", "files", "length", "is_asked_again"),
    [
        (MIN_FREE + 8 * GIB + (1 << 20), 100_000, 1 << 20, False),
        (None, None, 1 << 20, False),
        (MIN_FREE + 8 * GIB, None, 0, False),
        (MIN_FREE + 8 * GIB - 1, 100_000, 0, True),
        (MIN_FREE + 8 * GIB, 99_999, 0, True),
        (MIN_FREE + 8 * GIB, 100_000, (1 << 20) + 1, True),
    ],
)
def test_store_is_asked_again_at_once_unless_it_has_plenty_for_a_small_file(
    free: int | None,
    files: int | None,
    length: int,
    is_asked_again: bool,
) -> None:
    space, free_space, repetitions = Space(free, files), FreeSpace(), 1000
    for _ in range(repetitions):
        free_space.require(space, length, MIN_FREE)
    assert (space.asked == repetitions) == is_asked_again


@pytest.mark.parametrize(("free", "files"), [(MIN_FREE - 1, 100_000), (MIN_FREE + 8 * GIB, 0)])
def test_space_that_ends_is_noticed_a_moment_later(free: int, files: int) -> None:
    space, free_space = Space(MIN_FREE + 8 * GIB, 100_000), FreeSpace()

    def require_until_asked() -> None:
        asked = space.asked
        while space.asked == asked:
            free_space.require(space, 0, MIN_FREE)

    require_until_asked()
    space.free, space.files = free, files
    for _ in range(2):
        with pytest.raises(StorageFull):
            require_until_asked()


def test_small_file_after_a_large_one_has_only_what_that_one_leaves() -> None:
    space, free_space = Space(MIN_FREE + 8 * GIB, 100_000), FreeSpace()
    free_space.require(space, 0, MIN_FREE)
    free_space.require(space, 8 * GIB, MIN_FREE)
    space.free = MIN_FREE - 1
    with pytest.raises(StorageFull):
        free_space.require(space, 0, MIN_FREE)


def test_small_file_is_refused_at_once_after_a_large_one_was() -> None:
    space, free_space = Space(MIN_FREE + 8 * GIB, 100_000), FreeSpace()
    free_space.require(space, 0, MIN_FREE)
    space.free = MIN_FREE - 1
    for length in (8 * GIB, 0):
        with pytest.raises(StorageFull):
            free_space.require(space, length, MIN_FREE)
