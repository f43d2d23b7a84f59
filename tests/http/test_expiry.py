"""Files that expire, over HTTP: from their second on they are gone, whatever way they came in."""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.support.servers import LiveServer, S3LiveServer
from tests.support.tus import Tus, encoded
from tests.support.wire import eventually

TEXT = b"some text that goes by itself\n"
FAR = "2100-01-31T18:00:00Z"
DRAFT = {"Upload-Draft-Interop-Version": "8"}
Upload = Callable[[httpx.Client, str, str], httpx.Response]


def put(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    return client.put(f"/upload/{name}", params={"expires": expires}, content=TEXT)


def post(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    return client.post(f"/upload/{name}", params={"expires": expires}, content=TEXT)


def form_field(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    return client.post("/upload", data={"expires": expires}, files={"file": (name, TEXT)})


def form_query(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    return client.post("/upload", params={"expires": expires}, files={"file": (name, TEXT)})


def tus(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    metadata = f"filename {encoded(name)},expires {encoded(expires)}"
    url = Tus(client).begin(name, len(TEXT), Upload_Metadata=metadata)
    assert Tus(client).patch(url, 0, TEXT[:5]).status_code == 204
    return Tus(client).patch(url, 5, TEXT[5:])


def tus_query(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    created = client.post(
        "/tus/",
        params={"expires": expires},
        headers={
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(TEXT)),
            "Upload-Metadata": f"filename {encoded(name)}",
            "Content-Type": "application/offset+octet-stream",
        },
        content=TEXT,
    )
    assert created.headers.get("Upload-Offset") == str(len(TEXT)), created.text
    return created


def tus_concatenation(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    parts = []
    for data in (TEXT[:9], TEXT[9:]):
        created = Tus(client).create("part.txt", len(data), data, Upload_Concat="partial")
        assert created.status_code == 201, created.text
        parts.append(created.headers["Location"])
    metadata = f"filename {encoded(name)},expires {encoded(expires)}"
    return Tus(client).create(
        name, Upload_Concat="final;" + " ".join(parts), Upload_Metadata=metadata
    )


def draft(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    created = client.post(
        f"/upload/{name}",
        params={"expires": expires},
        headers=DRAFT | {"Upload-Complete": "?0"},
        content=TEXT[:5],
    )
    assert created.status_code == 201, created.text
    fields = {"Upload-Complete": "?1", "Upload-Offset": "5"}
    fields["Content-Type"] = "application/partial-upload"
    return client.patch(created.headers["Location"], headers=DRAFT | fields, content=TEXT[5:])


def draft_whole(client: httpx.Client, name: str, expires: str) -> httpx.Response:
    return client.put(
        f"/upload/{name}",
        params={"expires": expires},
        headers=DRAFT | {"Upload-Complete": "?1"},
        content=TEXT,
    )


WAYS = [
    put,
    post,
    form_field,
    form_query,
    tus,
    tus_query,
    tus_concatenation,
    draft,
    draft_whole,
]
ways = pytest.mark.parametrize("upload", WAYS, ids=lambda way: way.__name__)


def sunset(answer: httpx.Response) -> float:
    return parsedate_to_datetime(answer.headers["Sunset"]).timestamp()


def listed(client: httpx.Client, name: str) -> list[dict[str, object]]:
    return [file for file in client.get("/download").json() if file["filename"] == name]


def ask_until_gone(ask: Callable[[], httpx.Response], expires: float) -> None:
    """Ask until the answer is 404, and the more often, the closer the time is.

    Assert that each answer fits its time.
    """
    is_gone = False
    while not is_gone:
        before = time.time()
        answer = ask()
        is_gone = answer.status_code == 404
        if before >= expires:
            assert is_gone, "it was there at its second"
        elif time.time() < expires:
            assert answer.status_code == 200, "it was gone before its second"
        time.sleep(max(0.005, (expires - time.time()) / 8))


@ways
def test_upload_says_when_its_file_expires_and_every_answer_repeats_it(
    client: httpx.Client, upload: Upload
) -> None:
    stored = upload(client, "a.txt", FAR)

    assert stored.status_code in (201, 204, 200), stored.text
    if stored.content:
        assert stored.json()["expires"] == FAR
    file = client.get("/download/a.txt")
    assert file.content == TEXT
    for answer in (
        file,
        client.head("/download/a.txt"),
        client.get("/download/a.txt", headers={"Range": "bytes=0-3"}),
    ):
        assert answer.headers["Sunset"] == "Sun, 31 Jan 2100 18:00:00 GMT"
    [record] = listed(client, "a.txt")
    assert record["expires"] == FAR


@ways
def test_file_is_gone_at_its_second_and_its_name_is_free(
    client: httpx.Client, upload: Upload
) -> None:
    # A machine may be so slow that the time is over before the upload, or the next answer.
    for seconds in (3, 12, 48):
        before = time.time()
        stored, answer = upload(client, "a.txt", f"{seconds}s"), client.head("/download/a.txt")
        if stored.is_success and answer.is_success:
            break
        assert time.time() >= before + seconds
    expires = sunset(answer)
    assert before + seconds <= expires

    ask_until_gone(lambda: client.head("/download/a.txt"), expires)

    etag = {"If-Match": answer.headers["ETag"]}
    for method in ("GET", "HEAD", "DELETE"):
        assert client.request(method, "/download/a.txt").status_code == 404
        assert client.request(method, "/download/a.txt", headers=etag).status_code == 404
    assert listed(client, "a.txt") == []
    assert client.get("/download", params={"sort": "size", "limit": 10}).json() == []
    again = client.put("/upload/a.txt", content=b"another one")
    assert again.status_code == 201
    assert again.json()["expires"] is None
    assert client.get("/download/a.txt").content == b"another one"


def test_directory_is_swept_without_any_request(
    client: httpx.Client, server: LiveServer, over_a_directory: None
) -> None:
    put(client, "stays.txt", "1h")
    put(client, "a.txt", "1s")

    eventually(lambda: server.published() == ["stays.txt"])


def test_download_that_began_before_goes_on_to_its_end(
    client: httpx.Client, server: LiveServer
) -> None:
    data = b"a line of a text that is read while its file goes\n" * 400_000
    client.put("/upload/a.txt?expires=5s", content=data, timeout=60)
    digest = hashlib.sha256()
    with client.stream("GET", "/download/a.txt") as answer:
        blocks = answer.iter_bytes(1 << 16)
        digest.update(next(blocks))
        with server.client() as other:
            eventually(lambda: other.get("/download/a.txt").status_code == 404)
            if not isinstance(server, S3LiveServer):  # a bucket keeps it for an hour
                eventually(lambda: "a.txt" not in server.published())
        for block in blocks:
            digest.update(block)

    assert digest.digest() == hashlib.sha256(data).digest()


def test_one_of_many_that_want_the_name_of_an_expired_file_gets_it(
    client: httpx.Client, server: LiveServer
) -> None:
    put(client, "a.txt", "2s")
    ends = time.time() + 3  # when the second has begun at which it expires

    def compete(number: int) -> tuple[bytes, int]:
        body = b"text of number %d\n" % number
        with server.client() as own:
            eventually(lambda: time.time() > ends)
            return body, own.put("/upload/a.txt", content=body).status_code

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(compete, range(8)))

    [winner] = [body for body, status in results if status == 201]
    assert sorted(status for _, status in results) == [201] + 7 * [409]
    assert client.get("/download/a.txt").content == winner


@pytest.mark.thorough
def test_lists_during_expiry_have_every_file_that_stays(
    client: httpx.Client, server: LiveServer
) -> None:
    staying = [f"{number:02}-stays.txt" for number in range(20)]
    for name in staying:
        put(client, name, "1h")
    ends = time.time() + 4
    for number in range(20):
        put(client, f"{number:02}-goes.txt", datetime.fromtimestamp(ends, UTC).isoformat())

    def names_listed(at_a_time: str) -> list[str]:
        names: list[str] = []
        url = f"/download?limit={at_a_time}"
        while url:
            answer = client.get(url)
            names += [file["filename"] for file in answer.json()]
            url = answer.links.get("next", {}).get("url", "")
        return names

    def only_those_stay() -> bool:
        for at_a_time in ("7", "100"):
            before = time.time()
            names = names_listed(at_a_time)
            assert [name for name in names if "stays" in name] == staying
            if before > ends + 1:
                assert names == staying
        return names == staying

    eventually(only_those_stay)


@pytest.mark.parametrize(
    ("expires", "detail"),
    [
        ("soon", "must be a duration"),
        ("0s", "must be in the future"),
        ("2020-01-01T00:00:00Z", "must be in the future"),
        ("999999999d", "before the year 10000"),
    ],
)
@pytest.mark.parametrize("upload", [put, form_field], ids=lambda way: way.__name__)
def test_time_that_cannot_be_used_is_refused_and_nothing_is_stored(
    client: httpx.Client, server: LiveServer, upload: Upload, expires: str, detail: str
) -> None:
    answer = upload(client, "a.txt", expires)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-expiry")
    assert detail in answer.json()["detail"]
    assert server.published() == []


def test_repetition_keeps_the_time_of_the_stored_file(client: httpx.Client) -> None:
    put(client, "a.txt", FAR)
    digest = client.head("/download/a.txt").headers["Repr-Digest"]

    again = client.put("/upload/a.txt?expires=1h", content=TEXT, headers={"Repr-Digest": digest})

    assert again.status_code == 200
    assert again.json()["expires"] == FAR


def test_upload_whose_time_is_over_before_its_last_byte_is_refused(client: httpx.Client) -> None:
    url = Tus(client).begin(
        "a.txt",
        len(TEXT),
        Upload_Metadata=f"filename {encoded('a.txt')},expires {encoded('1s')}",
    )
    began = time.time()
    eventually(lambda: time.time() > began + 2)

    answer = Tus(client).patch(url, 0, TEXT)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-expiry")
    assert "passed before it was complete" in answer.json()["detail"]
    assert client.head("/download/a.txt").status_code == 404
    assert Tus(client).head(url).status_code == 410


TOKEN = "fs_" + "e" * 43


@pytest.fixture
def quota_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LiveServer]:
    """A server with two workers and a token that may store 100 bytes."""
    rules = tmp_path / "access.toml"
    rules.write_text(
        f'[tokens.ada]\nhash = "sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n'
        'scopes = ["list", "read", "write"]\nquota = { bytes = "100B" }\n'
    )
    settings = {"ACCESS_FILE": str(rules), "WORKERS": "2", "FILE_EXPIRY_MAX": "1h"}
    if request.config.getoption("store") == "s3":
        seaweed = request.getfixturevalue("seaweed")
        prefix = f"expiry-{secrets.token_hex(8)}"
        server: LiveServer = S3LiveServer(seaweed, prefix, tmp_path, settings)
    else:
        server = LiveServer({"STORE_URL": str(tmp_path / "store")} | settings)
    yield server
    server.stop()


def test_expired_file_gives_its_bytes_back_once_it_is_removed(quota_server: LiveServer) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=quota_server.url, headers=headers, timeout=30) as client:
        assert client.put("/upload/a.txt?expires=12s", content=b"x" * 90).status_code == 201
        too_much = client.put("/upload/b.txt", content=b"x" * 20)
        assert (too_much.status_code, too_much.json()["code"]) == (507, "quota-exceeded")
        eventually(lambda: client.head("/download/a.txt").status_code == 404)

        # The upload that takes the name removes it, wherever the store is.
        again = client.put("/upload/a.txt?expires=30m", content=b"x" * 90)
        assert again.status_code == 201, again.text
        too_much = client.put("/upload/b.txt", content=b"x" * 20)
        assert json.loads(too_much.content)["used"] == 90


def test_sweep_gives_bytes_back(quota_server: LiveServer, over_a_directory: None) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=quota_server.url, headers=headers, timeout=30) as client:

        def store(name: str) -> None:
            """It is refused if its time is over before it is stored."""
            path = f"/upload/{name}?expires=5s"
            eventually(lambda: client.put(path, content=b"x" * 33).is_success)

        for name in ("a.txt", "b.txt", "c.txt"):
            store(name)
        eventually(lambda: quota_server.published() == [])
        eventually(lambda: client.put("/upload/d.txt", content=b"x" * 99).is_success)


def test_kill_9_of_all_workers_leaves_no_expired_file(
    client: httpx.Client, server: LiveServer, over_a_directory: None
) -> None:
    for number in range(50):
        put(client, f"{number}.txt", "2s")
    server.kill_workers()

    eventually(lambda: server.published() == [])
