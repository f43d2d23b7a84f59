"""The uses of a link: when one is taken, continued, finished and given back."""

from fileservice.access.link_uses import (
    LONGEST_TRANSFER,
    OPEN_SECONDS,
    Outcome,
    Uses,
    count_taken,
    end_transfer,
    last_of,
    left,
    take,
)

ADA, BOB = "a" * 32, "b" * 32
SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND


def taken(
    uses: Uses, client: str, now: int = NOW, *, limit: int = 1, resumes: bool = False
) -> Uses:
    after = take(uses, limit, client, now, resumes=resumes)
    assert after is not None
    return after


def ended(uses: Uses, client: str, outcome: Outcome, now: int = NOW) -> Uses:
    use = last_of(uses, client)
    assert use
    return end_transfer(uses, use, now, outcome)


def test_last_use_is_taken_once() -> None:
    uses = taken((), ADA)
    assert take(uses, 1, BOB, NOW, resumes=False) is None
    assert take(uses, 1, BOB, NOW, resumes=True) is None
    assert left(uses, 1, BOB, NOW) == 0
    assert left(uses, 1, ADA, NOW) == 1


def test_there_are_never_more_uses_than_the_limit() -> None:
    uses: Uses = ()
    for number in range(100):
        uses = take(uses, 3, f"{number:032}", NOW, resumes=False) or uses
    assert [use.client for use in uses] == [f"{number:032}" for number in range(3)]


def test_download_that_may_be_continued_is_among_those_that_are_left() -> None:
    uses = taken((), ADA, limit=3)
    assert (left(uses, 3, ADA, NOW), left(uses, 3, BOB, NOW)) == (3, 2)
    uses = ended(uses, ADA, Outcome.WHOLE)
    assert (left(uses, 3, ADA, NOW), left(uses, 3, BOB, NOW)) == (2, 2)


def test_whole_file_finishes_a_use_and_the_next_download_needs_another() -> None:
    uses = ended(taken((), ADA), ADA, Outcome.WHOLE)
    assert take(uses, 1, ADA, NOW, resumes=False) is None
    assert len(taken(uses, ADA, limit=2)) == 2


def test_ranges_of_one_download_count_once() -> None:
    uses = taken((), ADA)
    for number in range(5):
        uses = taken(uses, ADA, NOW + number, resumes=number > 0)
    for _ in range(6):
        uses = ended(uses, ADA, Outcome.PART)
    assert len(uses) == 1
    assert not uses[0].transfers


def test_use_is_given_back_when_nothing_arrived() -> None:
    assert ended(taken((), ADA), ADA, Outcome.BROKEN) == ()
    assert taken(ended(taken((), ADA), ADA, Outcome.BROKEN), BOB)


def test_use_is_not_given_back_after_a_range_of_it_has_arrived() -> None:
    """Otherwise all but the last byte could be fetched any number of times."""
    uses = taken(taken((), ADA), ADA)
    uses = ended(uses, ADA, Outcome.PART)
    uses = ended(uses, ADA, Outcome.BROKEN)
    assert take(uses, 1, BOB, NOW, resumes=False) is None


def test_use_is_given_back_only_when_its_last_transfer_has_ended() -> None:
    uses = ended(taken(taken((), ADA), ADA), ADA, Outcome.BROKEN)
    assert len(uses) == 1
    assert ended(uses, ADA, Outcome.BROKEN) == ()


def test_download_that_nobody_continues_counts_as_used_after_some_minutes() -> None:
    uses = ended(taken((), ADA), ADA, Outcome.PART)
    before, after = NOW + (OPEN_SECONDS - 1) * SECOND, NOW + OPEN_SECONDS * SECOND
    assert take(uses, 1, ADA, before, resumes=False)
    assert take(uses, 1, ADA, after, resumes=True) is None
    assert left(uses, 1, ADA, after) == 0


def test_download_can_be_continued_while_a_long_transfer_of_it_runs() -> None:
    uses = taken((), ADA)
    hours_later = NOW + (LONGEST_TRANSFER - 1) * SECOND
    assert taken(uses, ADA, hours_later)[0].transfers == 2


def test_transfer_of_a_process_that_died_does_not_keep_a_use_open_for_ever() -> None:
    assert take(taken((), ADA), 1, ADA, NOW + LONGEST_TRANSFER * SECOND, resumes=True) is None


def test_end_of_a_file_may_be_fetched_again_since_what_was_sent_may_not_have_arrived() -> None:
    uses = ended(taken((), ADA), ADA, Outcome.WHOLE)
    again = taken(uses, ADA, resumes=True)
    assert len(again) == 1
    assert take(ended(again, ADA, Outcome.PART), 1, ADA, NOW, resumes=False) is None
    assert take(uses, 1, BOB, NOW, resumes=True) is None
    later = NOW + OPEN_SECONDS * SECOND
    assert take(uses, 1, ADA, later, resumes=True) is None


def test_end_of_a_file_cannot_be_fetched_for_ever_by_doing_so_again_and_again() -> None:
    uses = ended(taken((), ADA), ADA, Outcome.WHOLE)
    for outcome in (Outcome.PART, Outcome.BROKEN):
        soon = NOW + (OPEN_SECONDS - 1) * SECOND
        uses = ended(taken(uses, ADA, soon, resumes=True), ADA, outcome, soon)
    later = NOW + OPEN_SECONDS * SECOND
    assert take(uses, 1, ADA, later, resumes=True) is None


def test_end_of_a_transfer_concerns_only_the_use_that_it_belongs_to() -> None:
    uses = taken(taken((), ADA, limit=3), BOB, limit=3)
    bobs = last_of(uses, BOB)
    assert ended(uses, ADA, Outcome.BROKEN) == (bobs,)


def test_transfer_that_ends_after_its_use_was_given_back_changes_nothing() -> None:
    uses = taken((), ADA)
    use = last_of(uses, ADA)
    assert use
    assert end_transfer((), use, NOW, Outcome.WHOLE) == ()
    of_bob = taken((), BOB)
    assert end_transfer(of_bob, use, NOW, Outcome.WHOLE) == of_bob


def test_use_that_is_continued_becomes_the_last_one_of_its_client() -> None:
    uses = ended(taken((), ADA, limit=3), ADA, Outcome.WHOLE)
    uses = taken(uses, ADA, NOW + 1, limit=3)
    uses = taken(uses, BOB, NOW + 2, limit=3)
    uses = taken(uses, ADA, NOW + 3, limit=3)
    last = last_of(uses, ADA)
    assert last
    assert (last.began, last.transfers) == (NOW + 1, 2)


def test_uses_that_are_over_are_kept_as_a_number() -> None:
    uses: Uses = ()
    for number in range(5):
        uses = ended(taken(uses, f"{number:032}", limit=1000), f"{number:032}", Outcome.WHOLE)
    uses = taken(uses, ADA, limit=1000)
    later = NOW + OPEN_SECONDS * SECOND
    uses = taken(uses, BOB, later, limit=1000)
    assert [use.client for use in uses] == ["", ADA, BOB]  # ADA's transfer is still under way
    assert count_taken(uses) == 7
    assert left(uses, 1000, "c" * 32, later) == 993
    uses = ended(uses, ADA, Outcome.BROKEN, later)
    uses = taken(ended(uses, BOB, Outcome.WHOLE, later), ADA, 2 * later, limit=1000)
    assert [use.count for use in uses] == [6, 1]
    assert take(uses, 7, BOB, 2 * later, resumes=True) is None
