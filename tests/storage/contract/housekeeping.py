"""Housekeeping: sweeps, and the space that is left."""

from contextlib import closing

import pytest

from fileservice.names import FileName
from fileservice.storage import StorageFull, Store
from tests.storage.contract.files import content_of, publish, read


class HousekeepingContract:
    def test_sweep_spares_published_files_and_files_that_are_being_written(
        self, store: Store, another_store: Store
    ) -> None:
        publish(store, "a.txt", b"published")
        writer = store.writer()
        try:
            writer.write(b"first half, ")
            store.sweep()
            another_store.sweep()
            writer.write(b"second half")
            writer.publish(FileName.parse("b.txt"), content_of(b"first half, second half"))
            another_store.sweep()
        finally:
            writer.close()

        assert read(another_store, "a.txt") == b"published"
        assert read(another_store, "b.txt") == b"first half, second half"

    def test_more_than_the_free_space_cannot_be_reserved(self, store: Store) -> None:
        free = store.free_space()
        with closing(store.writer()) as writer:
            if free is None:
                assert store.reserve_space(writer, 1 << 60) is None
            else:
                with pytest.raises(StorageFull):
                    store.reserve_space(writer, free + (1 << 40))

    def test_space_that_is_reserved_in_steps_is_enough_in_the_end(self, store: Store) -> None:
        with closing(store.writer()) as writer:
            assert list(store.reserve_in_steps(writer, 1 << 20))[-1] >= 1 << 20

    def test_space_that_is_to_stay_free_cannot_be_reserved(self, store: Store) -> None:
        with closing(store.writer()) as writer:
            assert store.reserve_space(writer, 1 << 20) in (1 << 20, None)
            free = store.free_space()
            if free is not None:
                with pytest.raises(StorageFull):
                    store.reserve_space(writer, 2 << 20, min_free=free + (1 << 40))
