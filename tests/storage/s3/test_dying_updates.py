"""A process that dies after any request of an update of a private object."""

import pytest

from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.store import S3Store

KEY = "links/one"


class Died(BaseException):
    """Ends an update as a death of its process does: nothing catches it."""


class DyingClient:
    """Carries out so many requests, and dies with the answer to the last of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, client: S3Client, requests: int) -> None:
        self.left = requests
        send = client.bucket.send

        def send_and_die(request: Request) -> Answer:
            answer: Answer | None = None
            try:
                answer = send(request)
                return answer
            finally:
                self.left -= 1
                if not self.left:
                    if answer:
                        answer.close()
                    raise Died

        monkeypatch.setattr(client.bucket, "send", send_and_die)


def add_one(data: bytes | None) -> bytes:
    return b"%d" % (int(data or b"0") + 1)


@pytest.mark.parametrize("exists", [False, True])
def test_update_is_made_or_not_and_others_go_on_at_once(
    store: S3Store,
    another_store: S3Store,
    client: S3Client,
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
) -> None:
    files = another_store.private_files
    if exists:
        files.update(KEY, add_one)
    outcomes = []
    for requests in range(1, 100):
        before = int(files.read(KEY) or b"0")
        with monkeypatch.context() as patch:
            dying = DyingClient(patch, client, requests)
            try:
                store.private_files.update(KEY, add_one)
                died = False
            except Died:
                died = True
        after = int(files.read(KEY) or b"0")
        assert after - before in ((0, 1) if died else (1,))
        outcomes.append(after - before)
        files.update(KEY, add_one)
        assert int(files.read(KEY) or b"0") == after + 1
        if not exists:
            files.remove(KEY)
        if not died:
            assert dying.left > 0
            break
    assert outcomes[0] == 0
    assert outcomes[-2:] == [1, 1]
