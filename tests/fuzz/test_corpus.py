"""Every input that is kept, and whatever else found a mistake once, keeps the invariants."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
MOST_BYTES = 200 * 1024


def test_every_target_has_seeds_and_all_are_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < MOST_BYTES


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_are_kept_break_no_invariant(name: str) -> None:
    for path in (CORPUS / name).iterdir():
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_seeds_with_changes_break_no_invariant(name: str, data: st.DataObject) -> None:
    seeds = sorted((CORPUS / name).iterdir())
    seed = data.draw(st.sampled_from(seeds)).read_bytes()
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, min(len(seed), start + 8)))
    TARGETS[name](seed[:start] + data.draw(st.binary(max_size=8)) + seed[end:])
