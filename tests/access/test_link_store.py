"""The store of links, over a directory."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fileservice.access import (
    DownloadGrant,
    Link,
    LinkGone,
    LinkStore,
    Maker,
    MakerKind,
    NoSuchLink,
    TooManyLinks,
    UploadGrant,
    link_store,
)
from fileservice.access.link_uses import OPEN_SECONDS, Use
from fileservice.access.links import KEPT_SECONDS
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from tests.access.processes import in_threads
from tests.support.rows import every_row

ADA, BOB = Maker(MakerKind.PERSON, "ada"), Maker(MakerKind.PERSON, "bob")
GRANT = DownloadGrant(FileName.parse("a.txt"), "v1", 3)
DAY = 86400


class Clock:
    """The time, which only the test lets pass."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(link_store, "time", clock)
    return clock


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store", fsync=False)


@pytest.fixture
def links(store: LocalStore, clock: Clock) -> LinkStore:
    return LinkStore(store.private_files)


def make(links: LinkStore, maker: Maker = ADA, **options: Any) -> tuple[Link, str]:
    return links.create(maker, GRANT, **options)


def replace_by(data: bytes) -> Callable[[bytes | None], bytes]:
    return lambda _data: data


def records(store: LocalStore) -> set[str]:
    return set(store.private_files.list("links"))


def test_link_is_found_by_its_secret_in_another_process(links: LinkStore, tmp_path: Path) -> None:
    link, secret = make(links, note="for Bob", expires=1_800_000_010)
    found = LinkStore(LocalStore(tmp_path / "store", fsync=False).private_files).find(secret)
    assert found == link
    assert (link.maker, link.download, link.note) == (ADA, GRANT, "for Bob")
    assert links.get(link.id) == link


def test_secret_has_256_bits_and_is_nowhere_in_the_store(links: LinkStore, tmp_path: Path) -> None:
    link, secret = make(links)
    assert len(secret) == 43
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert link.id.encode() in kept
    assert secret.encode() not in kept
    assert hashlib.sha256(secret.encode()).hexdigest().encode() not in kept


@every_row(
    "alter",
    [
        lambda secret: secret[:-1] + ("A" if secret[-1] != "A" else "B"),
        lambda secret: secret + "=",
        lambda secret: secret.swapcase(),
        lambda _secret: "",
        lambda _secret: "../secret-key",
        lambda _secret: "\udcff",
    ],
)
def test_another_secret_is_that_of_no_link(links: LinkStore, alter: Callable[[str], str]) -> None:
    _, secret = make(links)
    with pytest.raises(NoSuchLink):
        links.find(alter(secret))


@every_row("link_id", ["", "0" * 32, "../secret-key", "A" * 32, "0" * 33])
def test_unknown_ids_are_those_of_no_link(links: LinkStore, link_id: str) -> None:
    make(links)
    for call in (links.get, links.revoke):
        with pytest.raises(NoSuchLink):
            call(link_id)


def test_record_that_was_put_under_another_id_is_not_found_by_its_secret(
    links: LinkStore, store: LocalStore
) -> None:
    """The digest in the record is compared, and not only the part of it that is the id."""
    link, secret = make(links)
    forged = replace(link, digest=link.digest[:16] + bytes(16))
    links.update(link.id, lambda _: forged)
    with pytest.raises(NoSuchLink):
        links.find(secret)


def test_damaged_record_is_no_link(links: LinkStore, store: LocalStore) -> None:
    link, secret = make(links)
    store.private_files.update(f"links/{link.id}", lambda _: b"{")
    with pytest.raises(NoSuchLink):
        links.find(secret)
    with pytest.raises(NoSuchLink):
        links.get(link.id)
    assert list(links.list()) == []


def test_damaged_index_of_a_maker_stops_none_of_its_links(
    links: LinkStore, store: LocalStore
) -> None:
    link, secret = make(links)
    (index,) = store.private_files.list("links-of-makers")
    for damaged in (b"{", b"[]", b'{"a": 5}'):
        store.private_files.update(f"links-of-makers/{index}", replace_by(damaged))
        assert links.find(secret) == link
        assert list(links.list()) == [link]
        assert links.sweep() == []
    added = make(links)[0]
    assert list(links.list(ADA.id)) == [added]
    assert links.revoke(link.id).revoked


def test_link_is_gone_from_the_second_at_which_it_expires(links: LinkStore, clock: Clock) -> None:
    _, secret = make(links, expires=int(clock.now) + 10)
    clock.now += 9.9
    links.find(secret)
    clock.now += 0.1
    with pytest.raises(LinkGone):
        links.find(secret)


def test_revoked_link_is_gone_and_stays_listed(links: LinkStore, clock: Clock) -> None:
    link, secret = make(links)
    links.revoke(link.id)
    with pytest.raises(LinkGone):
        links.find(secret)
    clock.now += 60
    assert links.revoke(link.id).revoked == int(clock.now) - 60
    assert [each.id for each in links.list(ADA.id)] == [link.id]


def test_makers_see_their_own_links_and_all_are_listed_together(links: LinkStore) -> None:
    of_ada, of_bob = make(links)[0], make(links, BOB)[0]
    assert list(links.list(ADA.id)) == [of_ada]
    assert list(links.list(BOB.id)) == [of_bob]
    assert list(links.list("person:eve")) == []
    assert {link.id for link in links.list()} == {of_ada.id, of_bob.id}


def test_link_that_is_over_is_forgotten_after_thirty_days(
    links: LinkStore, store: LocalStore, clock: Clock
) -> None:
    expiring, secret = make(links, expires=int(clock.now) + DAY)
    revoked = make(links)[0]
    lasting = make(links)[0]
    links.revoke(revoked.id)
    clock.now += KEPT_SECONDS - 1
    assert links.sweep() == []
    clock.now += 1
    assert links.sweep() == [f"link:{revoked.id}"]
    clock.now += DAY
    with pytest.raises(LinkGone):
        links.find(secret)
    assert links.sweep() == [f"link:{expiring.id}"]
    with pytest.raises(NoSuchLink):
        links.find(secret)
    clock.now += 1000 * DAY
    assert links.sweep() == []
    assert records(store) == {lasting.id}
    assert list(links.list(ADA.id)) == [lasting]


def test_link_whose_process_died_before_it_was_stored_does_not_count_for_ever(
    links: LinkStore, store: LocalStore, clock: Clock
) -> None:
    link = make(links)[0]
    store.private_files.remove(f"links/{link.id}")
    assert links.sweep() == []  # it may be about to be stored
    clock.now += 3600
    assert links.sweep() == [f"link:{link.id}"]
    (index,) = store.private_files.list("links-of-makers")
    assert json.loads(store.private_files.read(f"links-of-makers/{index}") or b"") == {}


def test_maker_may_have_so_many_links_that_are_not_over(
    links: LinkStore, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_store, "MAX_LINKS", 3)
    made = [make(links)[0] for _ in range(3)]
    with pytest.raises(TooManyLinks):
        make(links)
    make(links, BOB)
    links.revoke(made[1].id)
    added = make(links)[0]
    with pytest.raises(TooManyLinks):
        make(links)
    assert {link.id for link in links.list(ADA.id)} == {made[0].id, made[2].id, added.id}
    assert made[1].id not in records(store)


def test_links_that_are_used_up_for_good_make_room_for_others(
    links: LinkStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_store, "MAX_LINKS", 3)
    made = [make(links)[0] for _ in range(3)]
    now = int(clock.now * 1e9)
    use = Use("a" * 32, now, now, transfers=0, delivered=True, finished=True)
    for link, count in ((made[0], 2), (made[1], 3)):  # of three uses each
        links.update(link.id, lambda link, n=count: replace(link, uses=(replace(use, count=n),)))
    with pytest.raises(TooManyLinks):
        make(links)  # the end of the file may still be fetched
    clock.now += OPEN_SECONDS
    added = make(links)[0]
    assert {link.id for link in links.list(ADA.id)} == {made[0].id, made[2].id, added.id}
    with pytest.raises(TooManyLinks):
        make(links)


def test_makers_that_race_do_not_get_past_the_bound(
    links: LinkStore, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_store, "MAX_LINKS", 5)

    def try_to_make() -> int:
        try:
            make(links)
        except TooManyLinks:
            return 0
        return 1

    assert sum(in_threads(8, try_to_make)) == 5
    assert len(records(store)) == 5


def test_update_that_raises_changes_nothing(links: LinkStore) -> None:
    link, secret = make(links)

    def fail(_link: Link) -> Link:
        raise LinkGone

    with pytest.raises(LinkGone):
        links.update(link.id, fail)
    assert links.find(secret) == link


def test_no_update_that_races_with_others_is_lost(links: LinkStore) -> None:
    link, secret = make(links)

    def add_to_note() -> int:
        for _ in range(5):
            links.update(link.id, lambda link: replace(link, note=link.note + "x"))
        return 0

    in_threads(8, add_to_note)
    assert links.find(secret).note == "x" * 40


def test_link_for_guests_is_kept_with_its_limits(links: LinkStore) -> None:
    grant = UploadGrant("from-ada-", 5, 1 << 30)
    _, secret = links.create(ADA, grant)
    assert links.find(secret).upload == grant
