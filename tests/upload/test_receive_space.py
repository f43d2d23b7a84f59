"""receive() reserves the space of a file, and finds out what it has."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fileservice.gevent_executor import InlineExecutor, ThreadExecutor
from fileservice.storage import StagedFile, StorageFull
from fileservice.storage.local import LocalStore, space
from fileservice.upload import (
    UploadContext,
    receive,
)
from tests.upload.receiving import MIB, NAME, TEXT, Directory, never_read, policy, request, upload


@pytest.mark.usefixtures("on_disk")
class TestSpace:
    @pytest.fixture
    def reservations(self, store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The sizes for which space is reserved, in order."""
        sizes: list[int] = []
        reserve_space = store.reserve_space

        def record(staged: StagedFile, size: int, **options: int) -> int | None:
            sizes.append(size)
            return reserve_space(staged, size, **options)

        monkeypatch.setattr(store, "reserve_space", record)
        return sizes

    def test_large_declared_length_is_reserved_once_and_before_the_body(
        self, store: LocalStore, reservations: list[int]
    ) -> None:
        def body() -> Iterator[bytes]:
            assert reservations == [4 * MIB]
            for _ in range(8):
                yield b"x" * (MIB // 2)

        upload(store, request(length=4 * MIB), body())

        assert reservations == [4 * MIB]

    def test_all_of_a_very_large_file_is_reserved_before_the_client_is_waited_for(
        self, store: LocalStore, tmp_path: Path
    ) -> None:
        def reserved() -> int:
            files = (tmp_path / "store").rglob("*")
            return max(path.stat().st_blocks * 512 for path in files if path.is_file())

        def body() -> Iterator[bytes]:
            assert 0 < reserved() < 40 * MIB
            yield b"x" * MIB
            yield b""  # nothing has arrived
            assert reserved() >= 40 * MIB
            for _ in range(39):
                yield b"x" * MIB

        context = UploadContext(store, policy(), ThreadExecutor())
        receive(request(length=40 * MIB), body(), context)
        assert store.stat(NAME).size == 40 * MIB

    def test_small_file_reserves_nothing(self, store: LocalStore, reservations: list[int]) -> None:
        upload(store, request(length=len(TEXT)))
        upload(store, request("other.txt"))

        assert reservations == []

    def test_undeclared_length_is_reserved_in_few_steps_and_what_is_not_used_is_released(
        self, store: LocalStore, reservations: list[int], tmp_path: Path
    ) -> None:
        upload(store, request(), [b"x" * (MIB // 8)] * 64)  # 8 MiB

        assert 1 < len(reservations) < 8
        assert store.stat(NAME).size == 8 * MIB
        assert (tmp_path / "store" / NAME).stat().st_blocks * 512 < 8 * MIB + MIB // 2

    def test_at_most_8_mib_are_reserved_for_bytes_that_may_never_come(
        self, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []
        reserve_space = store.reserve_space

        def record(staged: StagedFile, size: int, *, ahead: int, min_free: int) -> int | None:
            asked.append(ahead)
            return reserve_space(staged, size, ahead=ahead, min_free=min_free)

        monkeypatch.setattr(store, "reserve_space", record)
        block = b"x" * (4 * MIB)

        upload(store, request(), [block] * 10)  # 40 MiB

        assert asked == sorted(asked)
        assert asked[-1] == 8 * MIB

    @pytest.mark.parametrize(("free", "is_reserved"), [(8 << 30, False), ((8 << 30) - 1, True)])
    @pytest.mark.parametrize("min_free", [0, 1 << 30])
    def test_small_file_reserves_space_only_if_space_is_scarce(
        self,
        store: LocalStore,
        reservations: list[int],
        monkeypatch: pytest.MonkeyPatch,
        free: int,
        is_reserved: bool,
        min_free: int,
    ) -> None:
        monkeypatch.setattr(store, "free_space", lambda: min_free + free)

        upload(store, request(), [b"x" * 70_000], policy(min_free=min_free))

        assert bool(reservations) == is_reserved

    def test_length_that_other_uploads_left_no_space_for_is_refused_before_the_body(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "free_space", lambda: 1 << 62)  # at the time of admission

        with pytest.raises(StorageFull):
            upload(store, request(length=1 << 60), never_read(), policy(max_size=1 << 61))

        assert directory.is_empty()

    def test_unreserved_bytes_that_left_too_little_space_are_refused_at_the_end(
        self, store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def body() -> Iterator[bytes]:
            yield TEXT
            monkeypatch.setattr(store, "free_space", lambda: 0)

        monkeypatch.setattr(store, "free_space", lambda: 1 << 30)  # so that it is asked again
        with pytest.raises(StorageFull):
            upload(store, request(), body(), policy(min_free=1))

        assert directory.is_empty()


@pytest.mark.parametrize("left", [8 * MIB, 32 * MIB])
def test_upload_in_memory_reserves_the_rest_when_space_becomes_scarce(
    store: LocalStore, directory: Directory, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    free = [1 << 40]
    monkeypatch.setattr(space, "is_tmpfs", lambda _path: True)
    monkeypatch.setattr(space, "free", lambda _path: free[0])

    def body() -> Iterator[bytes]:
        for number in range(32):
            if number == 16:
                free[0] = MIB + left
            yield b"x" * MIB

    is_enough = left >= 32 * MIB
    with contextlib.nullcontext() if is_enough else pytest.raises(StorageFull):
        upload(store, request(length=32 * MIB), body(), policy(min_free=MIB))

    assert directory.is_empty() == (not is_enough)


def test_small_file_waits_for_scarce_space_where_it_holds_up_no_other(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another upload holds the lock as long as the disk takes to reserve all of its space."""
    depths, is_reserved_at = [0], list[int]()
    reserve = store.reserve_space

    class Executor(InlineExecutor):
        def run_io(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            depths[0] += 1
            try:
                return super().run_io(function, *args, **kwargs)
            finally:
                depths[0] -= 1

    def reserved(*args: Any, **kwargs: Any) -> int | None:
        is_reserved_at.append(depths[0])
        return reserve(*args, **kwargs)

    monkeypatch.setattr(store, "reserve_space", reserved)
    monkeypatch.setattr(store, "free_space", lambda: 1 << 30)
    receive(
        request(length=128 * 1024), [b"x" * 128 * 1024], UploadContext(store, policy(), Executor())
    )
    assert is_reserved_at == [1]
