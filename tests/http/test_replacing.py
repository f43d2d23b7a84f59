"""Replacing a file by If-Match, over HTTP: every way in, races, and readers under way."""

import itertools
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support import ways_in
from tests.support.servers import LiveServer
from tests.support.tus import Tus, encoded
from tests.support.ways_in import WAYS, Way
from tests.support.wire import Wire, form_request, part, request
from tests.support.wire import form as form_body

OLD, NEW = b"the old text\n" * 100, b"the new text, which is longer\n" * 100
NAME = "a.txt"
COMPETITORS = 8
DRAFT = {"Content-Type": "application/partial-upload"}
MIB = 1 << 20


def digest(data: bytes) -> str:
    return f"sha-256=:{b64encode(sha256(data).digest()).decode()}:"


def metadata(if_match: str) -> dict[str, str]:
    return {"Upload_Metadata": f"filename {encoded(NAME)},if-match {encoded(if_match)}"}


def stored(client: httpx.Client, name: str = NAME, data: bytes = OLD) -> str:
    """Store a file and return its entity tag."""
    answer = client.put(f"/upload/{name}", content=data)
    assert answer.status_code == 201, answer.text
    return answer.headers["ETag"]


STATUSES = {
    ways_in.tus: 204,
    ways_in.tus_in_one_request: 201,
    ways_in.tus_concatenation: 201,
}
"""The statuses of answers to replacements that tus has of its own; all others are 200."""


@pytest.mark.parametrize(("way", "status"), [(way, STATUSES.get(way, 200)) for way in WAYS])
def test_every_way_in_replaces_the_version_that_if_match_names(
    client: httpx.Client, way: Way, status: int
) -> None:
    etag = stored(client)

    answer = way(client, NAME, NEW, f'"other", {etag}')

    assert answer.status_code == status, answer.text
    download = client.get(f"/download/{NAME}")
    assert download.content == NEW
    assert download.headers["ETag"] == answer.headers["ETag"] != etag
    assert [file["filename"] for file in client.get("/download").json()] == [NAME]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("if_match", ['"other"', ",", "nonsense", 'W/"{etag}"', '"*"'])
def test_another_version_is_refused_before_the_bytes_and_nothing_changes(
    client: httpx.Client, way: Way, if_match: str
) -> None:
    etag = stored(client)
    answer = way(client, NAME, NEW, if_match.format(etag=etag.strip('"')))
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition-failed")
    assert client.get(f"/download/{NAME}").content == OLD


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("if_match", ['"x"', "*"])
def test_a_free_name_is_not_given_to_an_upload_that_replaces(
    client: httpx.Client, way: Way, if_match: str
) -> None:
    assert way(client, NAME, NEW, if_match).status_code == 412
    assert client.get("/download").json() == []


@pytest.mark.parametrize("way", WAYS)
def test_an_asterisk_replaces_whatever_has_the_name(client: httpx.Client, way: Way) -> None:
    stored(client)
    assert way(client, NAME, NEW, "*").status_code == STATUSES.get(way, 200)
    assert client.get(f"/download/{NAME}").content == NEW


def test_without_a_condition_a_taken_name_is_refused_as_ever(client: httpx.Client) -> None:
    stored(client)
    assert client.put(f"/upload/{NAME}", content=NEW).status_code == 409


def test_a_new_file_that_must_also_replace_one_is_refused(client: httpx.Client) -> None:
    headers = {"If-Match": "*", "If-None-Match": "*"}
    for status in (201, 409):
        assert client.put(f"/upload/{NAME}", content=NEW, headers=headers).status_code == 412
        assert client.put(f"/upload/{NAME}", content=OLD).status_code == status


def test_a_content_that_the_name_does_not_allow_replaces_nothing(client: httpx.Client) -> None:
    etag = stored(client)
    headers = {"If-Match": etag}
    answer = client.put(f"/upload/{NAME}", content=b"\x00" * 1000, headers=headers)
    assert answer.status_code == 415
    assert client.get(f"/download/{NAME}").headers["ETag"] == etag


@pytest.mark.parametrize("way", [ways_in.put, ways_in.draft_in_one_request])
def test_a_replacement_whose_answer_was_lost_can_be_sent_again(
    client: httpx.Client, way: Way
) -> None:
    etag = stored(client)
    client.headers["Repr-Digest"] = digest(NEW)
    first = way(client, NAME, NEW, etag)
    again = way(client, NAME, NEW, etag)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    client.headers["Repr-Digest"] = digest(OLD)
    assert way(client, NAME, NEW, etag).status_code == 412


def test_a_resumable_upload_ends_when_its_version_was_replaced_meanwhile(
    client: httpx.Client,
) -> None:
    etag = stored(client)
    url = Tus(client).begin(length=len(NEW), **metadata(etag))
    other = b"another text\n"
    replaced = client.put(f"/upload/{NAME}", content=other, headers={"If-Match": etag})
    assert replaced.status_code == 200

    assert Tus(client).patch(url, 0, NEW).status_code == 412

    assert Tus(client).head(url).status_code == 410
    assert client.get(f"/download/{NAME}").content == other


def test_a_draft_upload_that_replaces_is_continued_where_the_104_says(server: LiveServer) -> None:
    with server.client() as client:
        etag = stored(client)
        with Wire(server) as wire:
            fields = ["Upload-Complete: ?1", "Upload-Draft-Interop-Version: 8", f"If-Match: {etag}"]
            asked = request(f"PUT /upload/{NAME}", *fields, body=NEW)
            wire.send(asked[: -len(NEW) + 100])
            informed = wire.answer()
            assert informed.status == 104
            wire.finish()
            assert wire.answer().code() == "incomplete-body"  # what came is kept by now
        url = urlsplit(informed.headers["Location"]).path
        offset = int(client.head(url).headers["Upload-Offset"])
        headers = DRAFT | {"Upload-Offset": str(offset), "Upload-Complete": "?1"}
        answer = client.patch(url, content=NEW[offset:], headers=headers)
        assert answer.status_code == 200, answer.text
        assert client.get(f"/download/{NAME}").content == NEW


# Races


def text_of(number: int, size: int) -> bytes:
    return (b"%07d\n" % number * (size // 8 + 1))[:size]


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    return (f"race-{number}.txt" for number in itertools.count())


@pytest.mark.parametrize("size", [1000, pytest.param(9 * MIB, marks=pytest.mark.thorough)])
def test_of_eight_that_replace_one_version_one_succeeds(
    server: LiveServer, names: Iterator[str], size: int
) -> None:
    """The server has two workers."""
    start = threading.Barrier(COMPETITORS)
    for _ in range(4):
        name = next(names)
        with server.client() as client:
            etag = stored(client, name)

        def compete(number: int, name: str = name, etag: str = etag) -> int:
            with server.client() as client:
                start.wait(60)
                headers = {"If-Match": etag}
                content = text_of(number, size)
                return client.put(f"/upload/{name}", content=content, headers=headers).status_code

        with ThreadPoolExecutor(COMPETITORS) as threads:
            statuses = list(threads.map(compete, range(COMPETITORS)))

        assert sorted(statuses) == [200] + [412] * (COMPETITORS - 1)
        with server.client() as client:
            content = client.get(f"/download/{name}").content
        assert content == text_of(statuses.index(200), size)


def test_of_replacements_and_deletions_of_one_version_one_succeeds(
    server: LiveServer, names: Iterator[str]
) -> None:
    start = threading.Barrier(COMPETITORS)
    for _ in range(4):
        name = next(names)
        with server.client() as client:
            etag = stored(client, name)

        def compete(number: int, name: str = name, etag: str = etag) -> int:
            with server.client() as client:
                start.wait(60)
                headers = {"If-Match": etag}
                if number % 2:
                    return client.delete(f"/download/{name}", headers=headers).status_code
                content = text_of(number, 1000)
                return client.put(f"/upload/{name}", content=content, headers=headers).status_code

        with ThreadPoolExecutor(COMPETITORS) as threads:
            statuses = list(threads.map(compete, range(COMPETITORS)))

        assert sum(status in (200, 204) for status in statuses) == 1, statuses
        assert set(statuses) <= {200, 204, 404, 412}, statuses
        with server.client() as client:
            expected = 404 if 204 in statuses else 200
            assert client.get(f"/download/{name}").status_code == expected


# Readers


def test_a_reader_that_comes_back_for_the_rest_can_find_out_that_the_file_was_replaced(
    client: httpx.Client,
) -> None:
    etag = stored(client)
    first = client.get(f"/download/{NAME}", headers={"Range": "bytes=0-9"})
    assert (first.status_code, first.headers["ETag"]) == (206, etag)
    assert ways_in.put(client, NAME, NEW, etag).status_code == 200

    rest = {"Range": "bytes=10-"}
    whole = client.get(f"/download/{NAME}", headers=rest | {"If-Range": etag})
    assert (whole.status_code, whole.content) == (200, NEW)
    refused = client.get(f"/download/{NAME}", headers=rest | {"If-Match": etag})
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition-failed")
    unconditional = client.get(f"/download/{NAME}", headers=rest)
    assert (unconditional.status_code, unconditional.content) == (206, NEW[10:])
    assert unconditional.headers["ETag"] != etag


def test_a_slow_reader_gets_the_old_bytes_whole_and_everybody_after_the_new_ones(
    server: LiveServer,
) -> None:
    old, new = text_of(1, 24 * MIB), text_of(2, 24 * MIB)
    with server.client() as client, server.client() as reader:
        etag = stored(client, data=old)
        with reader.stream("GET", f"/download/{NAME}") as reading:  # of more than sockets hold
            replaced = client.put(f"/upload/{NAME}", content=new, headers={"If-Match": etag})
            assert replaced.status_code == 200
            assert client.get(f"/download/{NAME}").content == new
            assert reading.headers["ETag"] == etag
            assert reading.read() == old


def test_everybody_sees_one_of_the_files_whole_and_lists_it_once(server: LiveServer) -> None:
    done = threading.Event()
    wrong: list[object] = []

    def look() -> None:
        with server.client() as client:
            while not done.is_set():
                listed = [file["filename"] for file in client.get("/download").json()]
                if listed != ["0.txt", NAME, "b.txt"]:
                    wrong.append(listed)
                answer = client.get(f"/download/{NAME}")
                data = answer.content
                if answer.headers["Repr-Digest"] != digest(data) or data[:8] * 125 != data:
                    wrong.append(answer)

    with server.client() as client:
        for name in ("0.txt", "b.txt"):
            stored(client, name)
        etag = stored(client, data=text_of(0, 1000))
        looking = threading.Thread(target=look)
        looking.start()
        try:
            for number in range(1, 40):
                headers = {"If-Match": etag}
                content = text_of(number, 1000)
                answer = client.put(f"/upload/{NAME}", content=content, headers=headers)
                assert answer.status_code == 200
                etag = answer.headers["ETag"]
        finally:
            done.set()
            looking.join(60)
    assert wrong == []


def test_a_form_that_replaces_may_come_in_pieces(server: LiveServer) -> None:
    with server.client() as client:
        etag = stored(client)
        with Wire(server) as wire:
            body = form_body(part("file", NEW, NAME))
            asked = form_request(body, f"If-Match: {etag}")
            wire.send(asked[:400])
            wire.send(asked[400:])
            assert wire.answer().status == 200
        assert client.get(f"/download/{NAME}").content == NEW
