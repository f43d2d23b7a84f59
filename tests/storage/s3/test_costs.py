"""What a store in a bucket costs, in counts that do not depend on the machine."""

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable

import pytest

from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.store import S3Store
from tests.storage.s3.requests import operation_of
from tests.storage.store_contract import NAME, names, publish, read
from tests.support.seaweed import BUCKET, SeaweedClient


class Requests:
    """Counts the requests of a client, and remembers the Date of each answer."""

    def __init__(self, client: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dates: list[str] = []
        self._operations: Counter[str] = Counter()
        self._send = client.bucket.send
        monkeypatch.setattr(client.bucket, "send", self._count)

    def _count(self, request: Request) -> Answer:
        self._operations[operation_of(request)] += 1
        answer = self._send(request)
        self.dates.append(answer.fields["date"])
        return answer

    def of(self, call: Callable[[], object]) -> dict[str, int]:
        """Return how many requests of each operation the call makes."""
        self._operations.clear()
        call()
        return dict(self._operations)


@pytest.fixture
def requests(client: S3Client, monkeypatch: pytest.MonkeyPatch) -> Requests:
    return Requests(client, monkeypatch)


def test_costs_of_publishing_are_one_request_within_a_second(
    store: S3Store, another_store: S3Store, requests: Requests
) -> None:
    """If the bucket's clock went on meanwhile, only another request tells when it was written."""
    store.is_taken(NAME)
    for number in range(8):
        before = store.client.bucket.latest_date
        name = f"{number}.txt"
        made = requests.of(lambda name=name: publish(store, name))
        in_a_second = before == requests.dates[-1 if len(made) == 1 else -2]
        assert made == ({"put_object": 1} if in_a_second else {"put_object": 1, "head_object": 1})
        assert store.stat(name) == another_store.stat(name)


def test_published_file_is_described_as_it_is_found(store: S3Store, another_store: S3Store) -> None:
    for number in range(8):
        file = publish(store, f"{number}.txt")
        assert file == another_store.stat(file.name)


def test_costs_of_reading_and_listing_are_few_requests(store: S3Store, requests: Requests) -> None:
    publish(store, NAME, b"data")
    assert requests.of(lambda: store.stat(NAME)) == {"head_object": 1}
    assert requests.of(lambda: store.open(NAME, sequential=True).body.read()) == {"get_object": 1}
    assert requests.of(lambda: read(store, NAME)) == {"head_object": 1, "get_object": 1}
    # One page of files, and one of those that expire.
    assert requests.of(lambda: names(store)) == {"list": 2}


def test_costs_of_a_request_are_far_below_those_of_the_sdk(
    store: S3Store, client: S3Client, seaweed: SeaweedClient, prefix: str
) -> None:
    """Calls of functions of Python stand for processor time."""
    publish(store, NAME, b"data")
    ours = calls(lambda: client.head_object(NAME))
    theirs = calls(lambda: seaweed.client.head_object(Bucket=BUCKET, Key=f"{prefix}/{NAME}"))
    assert ours * 3 < theirs


def calls(act: Callable[[], object]) -> int:
    """Return how many functions are called each time, once the connection is open."""
    act()
    profile = cProfile.Profile()
    profile.runcall(act)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
