"""Uses in the records of links: taken by one atomic step, by whomever and whenever."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fileservice.access import (
    DownloadGrant,
    Link,
    LinkGone,
    LinkStore,
    Maker,
    MakerKind,
    Outcome,
    begin_transfer,
    end_of_transfer,
    uses_left,
)
from fileservice.names import FileName
from fileservice.storage.local import LocalStore

ADA, BOB = "a" * 32, "b" * 32


@pytest.fixture
def links(tmp_path: Path) -> LinkStore:
    return LinkStore(LocalStore(tmp_path, fsync=False).private_files)


def made(links: LinkStore, uses: int | None, expires: int | None = None) -> Link:
    grant = DownloadGrant(FileName.parse("a.txt"), "version", uses)
    return links.create(Maker(MakerKind.OPERATOR), grant, expires=expires)[0]


def test_link_that_ended_after_it_was_found_begins_no_download(links: LinkStore) -> None:
    found = made(links, 3)
    links.revoke(found.id)
    with pytest.raises(LinkGone):
        begin_transfer(links, found, ADA, resumes=False)
    expired = made(links, 3, int(time.time()) - 1)
    with pytest.raises(LinkGone):
        begin_transfer(links, expired, ADA, resumes=False)


def test_transfer_ends_whatever_became_of_the_link(links: LinkStore) -> None:
    link = made(links, 3)
    transfer = begin_transfer(links, link, ADA, resumes=False)
    assert transfer
    links.revoke(link.id)
    end_of_transfer(links, transfer, Outcome.WHOLE)
    (use,) = links.get(link.id).uses
    assert use.finished


def test_downloads_of_a_link_without_a_limit_are_not_recorded(links: LinkStore) -> None:
    link = made(links, None)
    assert begin_transfer(links, link, ADA, resumes=False) is None
    assert links.get(link.id) == link
    assert uses_left(link, ADA) is None


def test_uses_are_never_more_than_the_limit_however_many_ask_at_the_same_time(
    links: LinkStore,
) -> None:
    link = made(links, 5)

    def begin(number: int) -> bool:
        try:
            return begin_transfer(links, link, f"{number:032}", resumes=False) is not None
        except LinkGone:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(40))) == 5
    assert len(links.get(link.id).uses) == 5
    assert uses_left(links.get(link.id), BOB) == 0
