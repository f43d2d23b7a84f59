"""The records of links, on a disk whose power is cut while uses are taken."""

import threading
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from fileservice.access.link_downloads import begin_transfer
from fileservice.access.link_store import LinkStore
from fileservice.access.link_uses import count_taken
from fileservice.access.links import DownloadGrant, Link, Maker, MakerKind
from fileservice.names import FileName
from fileservice.storage import StorageError
from fileservice.storage.local import LocalStore
from tests.storage.local.killed_at import killed_at
from tests.support.disk import Disk
from tests.support.wire import eventually

USES = 10_000
MAKER = Maker(MakerKind.OPERATOR)
GRANT = DownloadGrant(FileName.parse("a.txt"), "version", USES)


def open_links(path: Path) -> tuple[LocalStore, LinkStore]:
    store = LocalStore(path / "store", fsync=True)
    return store, LinkStore(store.private_files)


def take_use(links: LinkStore, link: Link, client: str) -> None:
    assert begin_transfer(links, link, client, resumes=False)


def staged(path: Path) -> list[Path]:
    return list((path / "store/.fileservice/staging").iterdir())


@pytest.mark.parametrize(
    "acknowledged", [1, *(pytest.param(n, marks=pytest.mark.thorough) for n in (2, 3, 7, 20))]
)
def test_every_use_that_was_taken_is_known_after_a_power_cut(disk: Disk, acknowledged: int) -> None:
    _, links = open_links(disk.path)
    link, secret = links.create(MAKER, GRANT)
    taken = 0

    def take_uses_until_the_disk_is_gone() -> None:
        nonlocal taken
        with suppress(StorageError):
            for number in range(USES):
                take_use(links, link, f"{number:032}")
                taken = number + 1

    taking = threading.Thread(target=take_uses_until_the_disk_is_gone)
    taking.start()
    eventually(lambda: taken >= acknowledged)
    control = disk.path / "control"
    control.write_bytes(b"x" * 100)
    disk.cut_power()
    taking.join()
    disk.power_up()

    assert not control.exists() or control.read_bytes() != b"x" * 100
    _, links = open_links(disk.path)  # which sweeps
    known = count_taken(links.find(secret).uses)
    assert taken <= known <= taken + 1  # one more may be durable and was not acknowledged
    assert [found.id for found in links.list()] == [link.id]
    take_use(links, link, "z" * 32)
    assert count_taken(links.find(secret).uses) == known + 1
    assert staged(disk.path) == []


def test_link_that_was_made_or_revoked_is_so_after_a_power_cut(disk: Disk) -> None:
    _, links = open_links(disk.path)
    made = [links.create(MAKER, GRANT)[0] for _ in range(5)]
    for link in made[:2]:
        links.revoke(link.id)

    disk.cut_power()
    disk.power_up()

    _, links = open_links(disk.path)
    assert {found.id for found in links.list(MAKER.id)} == {link.id for link in made}
    assert [links.get(link.id).revoked is not None for link in made] == [True] * 2 + [False] * 3


@pytest.mark.parametrize(
    "step", [37, pytest.param(3, marks=[pytest.mark.thorough, pytest.mark.timeout(900)])]
)
def test_kill_9_and_a_power_cut_at_any_line_leave_the_old_record_or_the_new_one(
    disk: Disk, step: int
) -> None:
    _, links = open_links(disk.path)
    link, secret = links.create(MAKER, GRANT)
    before, found = 0, set()
    for line in count(0, step):

        def act(line: int = line) -> None:
            take_use(open_links(disk.path)[1], link, f"{line:032}")

        died = killed_at(line, act)
        disk.cut_power()
        disk.power_up()

        _, links = open_links(disk.path)
        after = count_taken(links.find(secret).uses)
        assert after in ((before, before + 1) if died else (before + 1,)), line
        assert staged(disk.path) == []
        found.add(after - before)
        before = after
        if not died:
            break
    assert found == {0, 1}
