"""The time of a refusal says nothing about credentials and names.

Requests of each kind are sent in turn, in an order that changes, so that whatever else the machine
does concerns all of them. What is compared is how often a request of one kind takes longer than one
of another (the common language effect size, which is U of Mann and Whitney divided by its largest
value): 1/2 if the kinds cannot be told apart. Unlike means and p-values, it depends neither on a
few very slow requests nor on the number of requests.
"""

import itertools
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.support.access import EditedAccessFile
from tests.support.calls import TEXT
from tests.support.servers import LiveServer
from tests.support.tus import Tus
from tests.support.wire import Wire, request

pytestmark = pytest.mark.usefixtures("over_a_directory")  # the decision does not ask the store

ROUNDS = 10_000
MAX_EFFECT = 0.1
"""The share above or below 1/2. Chance alone gives 0.012 with 10,000 requests of each kind, with a
probability of 1 in 400."""
ALL = "list,read,write,delete"
TAKEN, FREE = "a1.txt", "a2.txt"


@dataclass(frozen=True)
class Guarded:
    server: LiveServer
    access: EditedAccessFile

    def fields(self, name: str) -> tuple[str, ...]:
        return (f"Authorization: {self.access.credentials(name)['Authorization']}",)


@pytest.fixture
def guarded(start_server: Callable[..., LiveServer], tmp_path: Path) -> Guarded:
    access = EditedAccessFile(tmp_path / "access.toml")
    for name in ("list", "read", "write", "delete"):
        access.set(name, name)
    access.set("all", ALL)
    access.set("elsewhere", ALL, prefix="b")
    access.set("expired", ALL, expired=True)
    server = start_server(ANONYMOUS="none", ACCESS_FILE=str(access.path), WORKERS="1")
    (server.store / TAKEN).write_bytes(TEXT)
    return Guarded(server, access)


def measured(
    server: LiveServer, kinds: dict[str, bytes], rounds: int = ROUNDS
) -> dict[str, list[int]]:
    """Send a request of each kind in each round; return how many nanoseconds each took, sorted."""
    chance, order = random.Random(7), list(kinds)
    taken: dict[str, list[int]] = {kind: [] for kind in kinds}
    statuses: dict[str, set[int]] = {kind: set() for kind in kinds}
    with Wire(server) as wire:
        for number in range(rounds + 200):
            chance.shuffle(order)
            for kind in order:
                start = time.perf_counter_ns()
                answer = wire.ask(kinds[kind])
                if number >= 200:  # those before are the warm-up
                    taken[kind].append(time.perf_counter_ns() - start)
                statuses[kind].add(answer.status)
    assert all(len(seen) == 1 for seen in statuses.values()), statuses
    return {kind: sorted(times) for kind, times in taken.items()}


def share_that_is_slower(one: Sequence[int], other: Sequence[int]) -> float:
    """The probability that one of the first takes longer than one of the second; both are sorted.

    Those that take equally long count half.
    """
    below = sum(bisect_left(other, time) + bisect_right(other, time) for time in one)
    return below / 2 / len(one) / len(other)


def assert_indistinguishable(taken: dict[str, list[int]]) -> None:
    """Assert it for each pair of kinds."""
    for (one, times), (other, other_times) in itertools.combinations(taken.items(), 2):
        share = share_that_is_slower(times, other_times)
        medians = f"{median(times) / 1000:.0f} and {median(other_times) / 1000:.0f} µs"
        assert abs(share - 0.5) < MAX_EFFECT, (
            f"{one} takes longer than {other} in {share:.1%} of cases; the medians are {medians}"
        )


def test_what_takes_longer_is_recognised() -> None:
    chance = random.Random(1)
    times = sorted(chance.randrange(1000, 2000) for _ in range(1000))
    assert share_that_is_slower(times, times) == pytest.approx(0.5)
    assert share_that_is_slower([3, 4], [1, 2]) == 1
    assert share_that_is_slower([1, 2], [1, 2]) == 0.5
    slower = [time + 300 for time in times]
    assert share_that_is_slower(slower, times) > 0.5 + MAX_EFFECT
    with pytest.raises(AssertionError, match="takes longer"):
        assert_indistinguishable({"slower": slower, "usual": times})


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_work_of_a_millisecond_is_noticed(guarded: Guarded) -> None:
    """The control: where there is a difference, the measurement finds it."""
    for number in range(50):
        (guarded.server.store / f"c{number}.txt").write_bytes(TEXT)
    kinds = {
        who: request("GET /download?q=c&limit=100", *guarded.fields(who))
        for who in ("list", "read")
    }
    taken = measured(guarded.server, kinds, rounds=300)
    assert share_that_is_slower(taken["list"], taken["read"]) > 0.5 + 2 * MAX_EFFECT


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_credentials_that_are_wrong_in_any_way_take_the_same_time(guarded: Guarded) -> None:
    secret = guarded.access.secret("unknown")
    fields = {
        "missing": f"X-Nothingness: Bearer {secret}",  # as long as the others
        "malformed": f"Authorization: Bearer {secret[:-1]}!",
        "of another scheme": f"Authorization: Digest {secret}",
        "unknown": f"Authorization: Bearer {secret}",
        "expired": guarded.fields("expired")[0],
    }
    kinds = {kind: request("GET /download/a1.txt", field) for kind, field in fields.items()}
    assert_indistinguishable(measured(guarded.server, kinds))


REFUSED = {
    "GET without read": ("GET /download/{}", "write", None),
    "GET outside the prefix": ("GET /download/{}", "elsewhere", None),
    "DELETE without delete": ("DELETE /download/{}", "write", None),
    "PUT without write": ("PUT /upload/{}", "delete", b""),
    "GET without credentials": ("GET /download/{}", "", None),
}


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", REFUSED)
def test_a_name_takes_the_same_time_whether_there_is_such_a_file(
    guarded: Guarded, call: str
) -> None:
    line, who, body = REFUSED[call]
    fields = guarded.fields(who) if who else ()
    kinds = {
        name: request(line.format(name), *fields, body=body) for name in (TAKEN, FREE, "zz.txt")
    }
    assert_indistinguishable(measured(guarded.server, kinds))


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("state", ["begun", "with bytes", "ended"])
def test_an_upload_of_others_takes_the_same_time_as_an_id_that_never_existed(
    guarded: Guarded, state: str
) -> None:
    with guarded.server.client() as client:
        client.headers.update(guarded.access.credentials("all"))
        tus = Tus(client)
        foreign = tus.begin(FREE, 2 * len(TEXT))
        if state != "begun":
            assert tus.patch(foreign, 0, TEXT).status_code == 204
        if state == "ended":
            assert tus.patch(foreign, len(TEXT), TEXT).status_code == 204
    fields = ("Tus-Resumable: 1.0.0", *guarded.fields("write"))
    kinds = {
        upload: request(f"HEAD {path}", *fields)
        for upload, path in (
            ("foreign", foreign.removeprefix(guarded.server.url)),
            ("unknown", f"/tus/{'0' * 32}"),
        )
    }
    assert_indistinguishable(measured(guarded.server, kinds))
