"""Guests over HTTP: the limits of a link hold in sum, over all requests and two workers."""

import base64
import hashlib
import itertools
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.request_ids import without_id
from tests.support.servers import LiveServer, S3LiveServer
from tests.support.tus import Tus, encoded
from tests.support.wire import Wire, eventually, request

KIB = 1024
QUOTA = 64 * KIB
MAKERS = 40


def secret(number: int) -> str:
    return f"fs_{number:043}"


def access_file() -> str:
    """Return an ACCESS_FILE with many makers that have a quota."""
    scopes = '["list", "read", "write", "delete", "share"]'
    text = ""
    for number in range(MAKERS):
        digest = hashlib.sha256(secret(number).encode()).hexdigest()
        text += f'[tokens.m{number}]\nhash = "sha256:{digest}"\nscopes = {scopes}\n'
        text += f"quota = {{ bytes = {QUOTA} }}\n"
    return text


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server with two workers, where strangers may do nothing."""
    directory = tmp_path_factory.mktemp("guests")
    rules = directory / "access.toml"
    rules.write_text(access_file())
    settings = {"ACCESS_FILE": str(rules), "WORKERS": "2", "ANONYMOUS": "none"}
    if request.config.getoption("store") == "s3":
        seaweed = request.getfixturevalue("seaweed")
        prefix = f"guests-{secrets.token_hex(8)}"
        server: LiveServer = S3LiveServer(seaweed, prefix, directory, settings)
    else:
        server = LiveServer({"STORE_URL": str(directory / "store")} | settings)
    yield server
    server.stop()


class Maker:
    """A client with a token, who makes links and sees what came by them."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http = http
        self.name = name

    def invite(self, **limits: object) -> "Guest":
        upload = {"prefix": f"{self.name}-"} | limits
        answer = self.http.post("/links", json={"upload": upload, "expires": "1d"})
        assert answer.status_code == 201, answer.text
        return Guest(self, answer.json())

    def received(self, guest: "Guest") -> dict[str, int]:
        answer = self.http.get(f"/links/{guest.link}")
        assert answer.status_code == 200
        received: dict[str, int] = answer.json()["received"]
        return received


_names = itertools.count()


class Guest:
    """A client with the secret of a link, on connections of its own."""

    def __init__(self, maker: Maker, made: dict[str, Any]) -> None:
        self.maker = maker
        self.link = made["id"]
        self.secret = made["url"].rpartition("/")[2]
        self.headers = {"Authorization": f"Bearer {self.secret}"}

    def name(self) -> str:
        return f"{self.maker.name}-{next(_names)}.txt"

    def put(self, size: int, name: str = "") -> httpx.Response:
        # A connection for each request, so that both workers get some.
        with httpx.Client(base_url=self.maker.http.base_url, timeout=60) as http:
            path = f"/upload/{name or self.name()}"
            return http.put(path, content=b"x" * size, headers=self.headers)


_numbers = itertools.count()


@pytest.fixture
def maker(server: LiveServer) -> Iterator[Maker]:
    """A maker who has stored nothing yet, and has made no links."""
    number = next(_numbers)
    headers = {"Authorization": f"Bearer {secret(number)}"}
    with httpx.Client(base_url=server.url, timeout=60, headers=headers) as http:
        yield Maker(http, f"m{number}")


def assert_exceeded(answer: httpx.Response, resource: str | None) -> None:
    """The quota of the maker is not described to guests, so then there is no resource."""
    assert answer.status_code == 507, answer.text
    problem = answer.json()
    assert problem["code"] == "quota-exceeded"
    assert problem.get("resource") == resource
    if resource is None:
        del problem["request-id"]  # which may have any digits
        assert not any(f"{number}" in f"{problem}" for number in (QUOTA, QUOTA // KIB))


def test_guest_past_its_files_is_refused_before_the_body(server: LiveServer, maker: Maker) -> None:
    guest = maker.invite(files=2)
    assert [guest.put(10).status_code for _ in range(2)] == [201, 201]
    assert_exceeded(guest.put(10), "files")
    with Wire(server) as wire:
        wire.send(
            request(
                f"PUT /upload/{guest.name()}",
                f"Authorization: Bearer {guest.secret}",
                "Expect: 100-continue",
                "Content-Length: 10",
            )
        )
        assert wire.answer().status == 507
    assert maker.received(guest) == {"files": 2, "bytes": 20}


def test_guest_past_its_bytes_is_refused(maker: Maker) -> None:
    guest = maker.invite(bytes="10KiB")
    assert guest.put(6 * KIB).status_code == 201
    refused = guest.put(4 * KIB + 1)
    assert_exceeded(refused, "bytes")
    assert (refused.json()["limit"], refused.json()["available"]) == (10 * KIB, 4 * KIB)
    assert guest.put(4 * KIB).status_code == 201
    assert_exceeded(guest.put(1), "bytes")


def test_links_of_one_maker_have_limits_of_their_own(maker: Maker) -> None:
    first, second = maker.invite(files=1), maker.invite(files=1)
    assert first.put(10).status_code == second.put(10).status_code == 201
    assert_exceeded(first.put(10), "files")
    assert_exceeded(second.put(10), "files")


def test_guest_counts_against_the_quota_of_the_maker_and_does_not_see_it(maker: Maker) -> None:
    guest = maker.invite(bytes="1MiB")
    assert maker.http.put(f"/upload/{maker.name}.txt", content=b"x" * 40 * KIB).status_code == 201
    assert_exceeded(guest.put(30 * KIB), None)
    assert guest.put(20 * KIB).status_code == 201
    own = maker.http.put(f"/upload/{maker.name}2.txt", content=b"x" * 5 * KIB)
    assert own.status_code == 507
    assert own.json()["available"] == 4 * KIB
    # What was refused for the maker's quota is not held for the link.
    assert maker.received(guest) == {"files": 1, "bytes": 20 * KIB}


def test_limits_are_counted_in_sum_over_the_chunks_of_tus(maker: Maker) -> None:
    guest = maker.invite(bytes="20KiB", files=3)
    with httpx.Client(base_url=maker.http.base_url, timeout=60, headers=guest.headers) as http:
        tus = Tus(http)
        upload = tus.begin(guest.name(), 12 * KIB)
        assert_exceeded(tus.create(guest.name(), 9 * KIB), "bytes")
        for offset in range(0, 12 * KIB, 4 * KIB):
            assert tus.patch(upload, offset, b"x" * 4 * KIB).status_code == 204
        assert maker.received(guest) == {"files": 1, "bytes": 12 * KIB}
        unknown = tus.begin(guest.name(), Upload_Defer_Length="1")
        assert tus.patch(unknown, 0, b"x" * 6 * KIB).status_code == 204
        assert_exceeded(tus.patch(unknown, 6 * KIB, b"x" * 6 * KIB), "bytes")
        assert tus.delete(unknown).status_code == 204
        assert tus.create(guest.name(), 8 * KIB, b"x" * 8 * KIB).status_code == 201
    assert_exceeded(guest.put(1), "bytes")
    assert maker.received(guest) == {"files": 2, "bytes": 20 * KIB}


def test_concatenation_by_a_guest_counts_once_for_the_link_and_for_the_maker(maker: Maker) -> None:
    guest = maker.invite(bytes="40KiB", files=1)
    with httpx.Client(base_url=maker.http.base_url, timeout=60, headers=guest.headers) as http:
        tus = Tus(http)
        parts = []
        for _ in range(2):
            fields = {"Upload-Length": str(20 * KIB), "Upload-Concat": "partial"}
            answer = tus.request("POST", "/tus/", fields)
            assert answer.status_code == 201, answer.text
            parts.append(answer.headers["Location"])
        assert_exceeded(tus.create(guest.name(), 1), "bytes")
        for part in parts:
            assert tus.patch(part, 0, b"x" * 20 * KIB).status_code == 204
        paths = " ".join(httpx.URL(part).path for part in parts)
        final = {"Upload-Concat": f"final;{paths}"}
        final["Upload-Metadata"] = f"filename {encoded(guest.name())}"
        assert tus.request("POST", "/tus/", final).status_code == 201
    assert maker.received(guest) == {"files": 1, "bytes": 40 * KIB}
    own = maker.http.put(f"/upload/{maker.name}.txt", content=b"x" * 30 * KIB)
    assert own.json()["available"] == 24 * KIB


def test_upload_that_a_guest_gives_up_makes_room_in_both_accounts(maker: Maker) -> None:
    guest = maker.invite(bytes="60KiB", files=1)
    with httpx.Client(base_url=maker.http.base_url, timeout=60, headers=guest.headers) as http:
        tus = Tus(http)
        upload = tus.begin(guest.name(), 60 * KIB)
        own = maker.http.put(f"/upload/{maker.name}.txt", content=b"x" * 10 * KIB)
        assert own.status_code == 507
        assert tus.delete(upload).status_code == 204
    assert maker.http.put(f"/upload/{maker.name}.txt", content=b"x" * 4 * KIB).status_code == 201
    assert guest.put(60 * KIB).status_code == 201


def test_guests_who_race_fill_a_link_exactly(server: LiveServer, maker: Maker) -> None:
    guest = maker.invite(files=11, bytes="32KiB")

    def run(_number: int) -> int:
        return sum(guest.put(2 * KIB).status_code == 201 for _ in range(4))

    with ThreadPoolExecutor(8) as threads:
        stored = sum(threads.map(run, range(8)))
    assert stored == 11
    assert sum(name.startswith(f"{maker.name}-") for name in server.published()) == 11
    assert maker.received(guest) == {"files": 11, "bytes": 22 * KIB}


def test_of_guests_who_race_for_a_name_one_gets_it(maker: Maker) -> None:
    guests = [maker.invite(files=5) for _ in range(4)]
    name = guests[0].name()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda guest: guest.put(10, name), guests))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    received = [maker.received(guest)["files"] for guest in guests]
    assert sorted(received) == [0, 0, 0, 1]


def test_guest_cannot_verify_a_guess_of_what_another_guest_has_sent(maker: Maker) -> None:
    guest = maker.invite()
    name = guest.name()
    assert guest.put(10, name).status_code == 201
    answers = []
    for guess in (b"x" * 10, b"y" * 10):
        digest = base64.b64encode(hashlib.sha256(guess).digest()).decode()
        for body in (guess, b""):
            fields = guest.headers | {"Repr-Digest": f"sha-256=:{digest}:"}
            answer = httpx.put(
                maker.http.base_url.join(f"/upload/{name}"), content=body, headers=fields
            )
            answers.append((answer.status_code, without_id(answer.content, answer.headers)))
    assert {status for status, _ in answers} == {409}
    assert all(problem == answers[0][1] for _, problem in answers)


def test_guest_past_its_time_is_refused(maker: Maker) -> None:
    upload = {"prefix": f"{maker.name}-"}
    made = maker.http.post("/links", json={"upload": upload, "expires": "1s"}).json()
    guest = Guest(maker, made)
    eventually(lambda: guest.put(10).status_code == 410)
    assert guest.put(10).json()["code"] == "link-gone"
    state = maker.http.get(f"/links/{guest.link}").json()["state"]
    assert state == "expired"


def test_limits_hold_when_a_worker_is_killed(server: LiveServer, maker: Maker) -> None:
    guest = maker.invite(files=2)
    assert guest.put(10).status_code == 201
    server.kill_workers()
    assert guest.put(10).status_code == 201
    assert_exceeded(guest.put(10), "files")
