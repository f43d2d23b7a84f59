"""Quotas over HTTP: whatever the form of an upload, the sum of a principal's files is bounded."""

import base64
import hashlib
import itertools
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.http.quota_tokens import ADMIN, KIB, access_file, secret
from tests.support.servers import LiveServer, S3LiveServer
from tests.support.tus import Tus, encoded
from tests.support.wire import Answer, Wire, chunked, eventually, form, part, request

QUOTA = 64 * KIB
FILES = 5
DRAFT = {"Upload-Draft-Interop-Version": "8"}


@pytest.fixture(scope="module")
def quota_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server with two workers, and tokens with a quota of 64 KiB and 5 files each."""
    directory = tmp_path_factory.mktemp("quotas")
    rules = directory / "access.toml"
    rules.write_text(access_file(f'bytes = "{QUOTA // KIB}KiB", files = {FILES}'))
    settings = {"ACCESS_FILE": str(rules), "WORKERS": "2", "ANONYMOUS": "list,read,write"}
    settings["MAX_UNFINISHED_UPLOADS_PER_CLIENT"] = "6"
    if request.config.getoption("store") == "s3":
        seaweed = request.getfixturevalue("seaweed")
        prefix = f"quotas-{secrets.token_hex(8)}"
        server: LiveServer = S3LiveServer(seaweed, prefix, directory, settings)
    else:
        server = LiveServer({"STORE_URL": str(directory / "store")} | settings)
    yield server
    server.stop()


class Client:
    """A client that shows a token, and stores files whose names no other test has."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http = http
        self.name = name
        self.names = (f"{name}-{number}.txt" for number in itertools.count())

    def put(self, size: int, name: str = "", **fields: str) -> httpx.Response:
        headers = {field.replace("_", "-"): value for field, value in fields.items()}
        return self.http.put(
            f"/upload/{name or next(self.names)}", content=b"x" * size, headers=headers
        )

    def available(self) -> int:
        """How many bytes may still be stored, as a refusal says; the number of files allows it."""
        answer = self.put(QUOTA + 1)
        assert answer.status_code == 507, answer.text
        available: int = answer.json()["available"]
        return available


_numbers = itertools.count()


@pytest.fixture
def client(quota_server: LiveServer) -> Iterator[Client]:
    """A client whose principal has stored nothing yet."""
    number = next(_numbers)
    headers = {"Authorization": f"Bearer {secret(number)}"}
    with httpx.Client(base_url=quota_server.url, timeout=60, headers=headers) as http:
        yield Client(http, f"t{number}")


@pytest.fixture
def anonymous(quota_server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=quota_server.url, timeout=60) as http:
        yield http


def wire_request(client: Client, line: str, *fields: str, body: bytes | None = None) -> bytes:
    authorization = f"Authorization: {client.http.headers['Authorization']}"
    return request(line, authorization, *fields, body=body)


def assert_exceeded(answer: httpx.Response | Answer, resource: str = "bytes") -> None:
    status = answer.status if isinstance(answer, Answer) else answer.status_code
    assert status == 507, answer
    problem = answer.json()
    assert problem["code"] == "quota-exceeded"
    assert problem["resource"] == resource
    assert problem["limit"] == (QUOTA if resource == "bytes" else FILES)
    assert problem["available"] == problem["limit"] - problem["used"]


class TestOneRequest:
    def test_files_count_in_sum_and_the_answer_says_how_much_is_left(self, client: Client) -> None:
        assert client.put(40 * KIB).status_code == 201
        refused = client.put(24 * KIB + 1)
        assert_exceeded(refused)
        assert refused.json()["used"] == 40 * KIB
        assert client.put(24 * KIB).status_code == 201
        assert_exceeded(client.put(1))

    def test_the_number_of_files_is_bounded(self, client: Client) -> None:
        for _ in range(FILES):
            assert client.put(1).status_code == 201
        assert_exceeded(client.put(1), "files")
        assert_exceeded(client.put(0), "files")

    def test_a_declared_length_is_refused_before_the_body(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        with Wire(quota_server) as wire:
            fields = (f"Content-Length: {QUOTA + 1}", "Expect: 100-continue")
            wire.send(wire_request(client, "PUT /upload/never.txt", *fields))
            assert_exceeded(wire.answer(to=b"PUT"))

    def test_a_body_without_a_length_is_cut_off_at_the_quota(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        name = next(client.names)
        body = chunked(*[b"x" * KIB] * (QUOTA // KIB + 1))
        with Wire(quota_server) as wire:
            wire.send(
                wire_request(client, f"PUT /upload/{name}", "Transfer-Encoding: chunked", body=body)
            )
            assert_exceeded(wire.answer(to=b"PUT"))
        assert client.http.get(f"/download/{name}").status_code == 404
        body = chunked(*[b"x" * KIB] * (QUOTA // KIB))
        with Wire(quota_server) as wire:
            answer = wire.ask(
                wire_request(client, f"PUT /upload/{name}", "Transfer-Encoding: chunked", body=body)
            )
        assert answer.status == 201
        assert client.available() == 0

    def test_a_form_counts_its_file_and_not_the_form(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        def send(size: int) -> Answer:
            body = form(part("file", b"x" * size, next(client.names)))
            content_type = "Content-Type: multipart/form-data; boundary=XboundaryX"
            with Wire(quota_server) as wire:
                return wire.ask(wire_request(client, "POST /upload", content_type, body=body))

        assert_exceeded(send(QUOTA + 1))
        assert send(QUOTA).status == 201
        assert_exceeded(send(1))

    def test_a_large_form_is_refused_before_its_body(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        content_type = "Content-Type: multipart/form-data; boundary=XboundaryX"
        head = form(part("file", b"", next(client.names))).rpartition(b"\r\n--XboundaryX--")[0]
        with Wire(quota_server) as wire:
            fields = (content_type, f"Content-Length: {1 << 20}")
            wire.send(wire_request(client, "POST /upload", *fields, body=head))
            assert_exceeded(wire.answer(to=b"POST"))

    def test_a_repeated_upload_does_not_count_twice(self, client: Client) -> None:
        digest = base64.b64encode(hashlib.sha256(b"x" * 40 * KIB).digest()).decode()
        name = next(client.names)
        for status in (201, 200, 200):
            answer = client.put(40 * KIB, name, Repr_Digest=f"sha-256=:{digest}:")
            assert answer.status_code == status
        assert client.available() == 24 * KIB

    def test_a_refused_upload_does_not_count(self, client: Client) -> None:
        name = next(client.names)
        assert client.put(1, name).status_code == 201
        assert client.put(60 * KIB, name).status_code == 409
        assert client.http.put("/upload/a.png", content=b"no picture" * 4000).status_code == 415
        wrong = base64.b64encode(bytes(32)).decode()
        assert client.put(60 * KIB, Repr_Digest=f"sha-256=:{wrong}:").status_code == 400
        assert client.available() == QUOTA - 1

    def test_an_upload_that_is_cut_off_does_not_count(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        for finish in (Wire.finish, Wire.reset):
            with Wire(quota_server) as wire:
                wire.send(
                    wire_request(
                        client, "PUT /upload/cut.txt", f"Content-Length: {QUOTA}", body=b"x" * KIB
                    )
                )
                eventually(lambda: client.available() == 0)
                finish(wire)
                eventually(lambda: client.available() == QUOTA)

    def test_whoever_deletes_a_file_gives_its_bytes_back_to_its_owner(
        self, quota_server: LiveServer, client: Client
    ) -> None:
        names = [next(client.names) for _ in range(2)]
        for name in names:
            assert client.put(32 * KIB, name).status_code == 201
        assert_exceeded(client.put(1))
        for name, shown in zip(
            names, (ADMIN, client.http.headers["Authorization"][7:]), strict=True
        ):
            answer = httpx.delete(
                f"{quota_server.url}/download/{name}", headers={"Authorization": f"Bearer {shown}"}
            )
            assert answer.status_code == 204
        assert client.put(QUOTA).status_code == 201

    def test_files_of_others_and_of_nobody_do_not_count(
        self, client: Client, anonymous: httpx.Client
    ) -> None:
        for number in range(3):
            name = f"nobody-{client.name}-{number}.txt"
            assert anonymous.put(f"/upload/{name}", content=b"x" * QUOTA).status_code == 201
        assert client.put(QUOTA).status_code == 201

    def test_the_owner_is_in_no_answer(self, client: Client) -> None:
        name = next(client.names)
        answers = [client.put(1, name), client.http.get(f"/download/{name}")]
        answers.append(client.http.get("/download", params={"prefix": name}))
        for answer in answers:
            assert "token:" not in f"{answer.headers}{answer.text}"


class TestTus:
    @pytest.fixture
    def tus(self, client: Client) -> Tus:
        return Tus(client.http)

    def test_the_declared_length_of_an_unfinished_upload_counts_until_it_ends(
        self, client: Client, tus: Tus
    ) -> None:
        first = tus.begin(next(client.names), 40 * KIB)
        assert_exceeded(tus.create(next(client.names), 24 * KIB + 1))
        assert client.available() == 24 * KIB
        second = tus.begin(next(client.names), 24 * KIB)
        assert_exceeded(client.put(1))

        assert tus.delete(first).status_code == 204
        assert client.available() == 40 * KIB
        assert tus.patch(second, 0, b"x" * 24 * KIB).status_code == 204
        assert client.available() == 40 * KIB

    def test_an_upload_counts_once_however_many_requests_send_it(
        self, client: Client, tus: Tus
    ) -> None:
        upload = tus.begin(next(client.names), 60 * KIB)
        for offset in range(0, 60 * KIB, 20 * KIB):
            assert client.available() == 4 * KIB
            assert tus.patch(upload, offset, b"x" * 20 * KIB).status_code == 204
        assert client.available() == 4 * KIB

    def test_an_upload_of_unknown_length_is_cut_off_at_the_quota(
        self, client: Client, tus: Tus
    ) -> None:
        assert client.put(32 * KIB).status_code == 201
        upload = tus.begin(next(client.names), Upload_Defer_Length="1")
        assert tus.patch(upload, 0, b"x" * 20 * KIB).status_code == 204
        assert_exceeded(tus.patch(upload, 20 * KIB, b"x" * 20 * KIB))
        offset = tus.offset(upload)
        assert 20 * KIB <= offset <= 32 * KIB
        assert_exceeded(tus.patch(upload, offset, b"", Upload_Length=str(33 * KIB)))
        rest = b"x" * (32 * KIB - offset)
        assert tus.patch(upload, offset, rest, Upload_Length=str(32 * KIB)).status_code == 204
        assert client.available() == 0

    def test_creation_with_upload_counts_once(self, client: Client, tus: Tus) -> None:
        body = b"x" * 40 * KIB
        assert tus.create(next(client.names), 40 * KIB, body).status_code == 201
        assert client.available() == 24 * KIB
        assert_exceeded(tus.create(next(client.names), 40 * KIB, body))
        assert client.available() == 24 * KIB

    def test_a_rejected_upload_does_not_count(self, client: Client, tus: Tus) -> None:
        upload = tus.begin(f"{client.name}.png", 40 * KIB)
        assert tus.patch(upload, 0, b"no picture" * 4 * KIB).status_code == 415
        assert client.available() == QUOTA

    def test_a_concatenation_counts_once_and_cannot_exceed(self, client: Client, tus: Tus) -> None:
        def begin(size: int) -> str:
            answer = tus.request(
                "POST", "/tus/", {"Upload-Length": str(size), "Upload-Concat": "partial"}
            )
            assert answer.status_code == 201, answer.text
            return answer.headers["Location"]

        def concatenate(name: str, *parts: str) -> httpx.Response:
            paths = " ".join(httpx.URL(part).path for part in parts)
            fields = {"Upload-Concat": f"final;{paths}"}
            fields["Upload-Metadata"] = f"filename {encoded(name)}"
            return tus.request("POST", "/tus/", fields)

        parts = [begin(30 * KIB), begin(30 * KIB)]
        refused = tus.request(
            "POST", "/tus/", {"Upload-Length": str(5 * KIB), "Upload-Concat": "partial"}
        )
        assert_exceeded(refused)
        for one in parts:
            assert tus.patch(one, 0, b"x" * 30 * KIB).status_code == 204
        assert client.available() == 4 * KIB
        name = next(client.names)
        assert client.put(1, name).status_code == 201
        assert concatenate(name, *parts).status_code == 409
        assert client.available() == 4 * KIB - 1

        assert concatenate(next(client.names), *parts).status_code == 201
        assert client.available() == 4 * KIB - 1
        assert_exceeded(client.put(4 * KIB))
        for _ in range(3):
            assert client.put(1).status_code == 201
        assert_exceeded(client.put(1), "files")


class TestDraft:
    def create(self, client: Client, name: str, body: bytes, **fields: str) -> httpx.Response:
        known = DRAFT | {name.replace("_", "-"): value for name, value in fields.items()}
        return client.http.post(f"/upload/{name}", content=body, headers=known)

    def test_a_declared_length_counts_and_is_refused_beyond_the_quota(self, client: Client) -> None:
        first = self.create(
            client,
            next(client.names),
            b"x" * KIB,
            Upload_Complete="?0",
            Upload_Length=str(40 * KIB),
        )
        assert first.status_code == 201
        assert client.available() == 24 * KIB
        refused = self.create(
            client, next(client.names), b"x", Upload_Complete="?0", Upload_Length=str(25 * KIB)
        )
        assert_exceeded(refused)
        assert client.http.delete(first.headers["Location"]).status_code == 204
        assert client.available() == QUOTA

    def test_an_upload_in_two_requests_counts_once(self, client: Client) -> None:
        first = self.create(client, next(client.names), b"x" * 20 * KIB, Upload_Complete="?0")
        fields = DRAFT | {"Upload-Offset": str(20 * KIB), "Upload-Complete": "?1"}
        fields["Content-Type"] = "application/partial-upload"
        url = first.headers["Location"]
        too_long = client.http.patch(url, content=b"x" * (44 * KIB + 1), headers=fields)
        assert_exceeded(too_long)
        done = client.http.patch(url, content=b"x" * 44 * KIB, headers=fields)
        assert done.status_code in (200, 201), done.text
        assert client.available() == 0


def test_unfinished_uploads_are_counted_by_principal_wherever_it_comes_from(
    client: Client, anonymous: httpx.Client
) -> None:
    """Six for each token and six for each address that shows none."""
    for http in (client.http, anonymous):
        tus = Tus(http)
        fields = {"Upload-Concat": "partial", "Upload-Length": "1"}
        uploads = []
        for _ in range(6):
            answer = tus.request("POST", "/tus/", fields)
            assert answer.status_code == 201
            uploads.append(answer.headers["Location"])
        refused = tus.request("POST", "/tus/", fields)
        assert (refused.status_code, refused.json()["code"]) == (429, "too-many-requests")
        for upload in uploads:
            assert tus.delete(upload).status_code == 204


class TestReplacing:
    def replace(
        self, client: Client, size: int, name: str, if_match: str = "*", shown: str = ""
    ) -> httpx.Response:
        headers = {"If-Match": if_match}
        if shown:
            headers["Authorization"] = f"Bearer {shown}"
        return client.http.put(f"/upload/{name}", content=b"y" * size, headers=headers)

    def test_only_the_new_file_counts_once_it_is_published(self, client: Client) -> None:
        name = next(client.names)
        assert client.put(20 * KIB, name).status_code == 201
        assert self.replace(client, 30 * KIB, name).status_code == 200
        assert client.available() == 34 * KIB
        assert self.replace(client, 10 * KIB, name).status_code == 200
        assert client.available() == 54 * KIB

    def test_the_difference_is_refused_beyond_the_quota(self, client: Client) -> None:
        name = next(client.names)
        assert client.put(40 * KIB, name).status_code == 201
        assert_exceeded(self.replace(client, 64 * KIB + 1, name))
        assert client.http.get(f"/download/{name}").content == b"x" * 40 * KIB
        assert client.available() == 24 * KIB

    @pytest.mark.parametrize("way", ["put", "chunked", "form", "tus", "draft"])
    def test_at_the_limit_a_file_can_be_replaced_by_one_of_the_same_size(
        self, client: Client, way: str
    ) -> None:
        name, new = next(client.names), b"y" * QUOTA
        assert client.put(QUOTA, name).status_code == 201
        headers = {"If-Match": "*"}
        if way == "put":
            answer = client.http.put(f"/upload/{name}", content=new, headers=headers)
        elif way == "chunked":
            blocks = iter([new[:KIB], new[KIB:]])
            answer = client.http.put(f"/upload/{name}", content=blocks, headers=headers)
        elif way == "form":
            answer = client.http.post("/upload", files={"file": (name, new)}, headers=headers)
        elif way == "tus":
            metadata = f"filename {encoded(name)},if-match {encoded('*')}"
            upload = Tus(client.http).begin(length=QUOTA, Upload_Metadata=metadata)
            assert Tus(client.http).patch(upload, 0, new[:KIB]).status_code == 204
            answer = Tus(client.http).patch(upload, KIB, new[KIB:])
        else:
            headers |= DRAFT | {"Upload-Complete": "?1"}
            answer = client.http.put(f"/upload/{name}", content=new, headers=headers)
        assert answer.is_success, answer.text
        assert client.http.get(f"/download/{name}").content == new
        assert_exceeded(client.put(1))

    def test_of_eight_that_replace_one_file_at_the_limit_the_sum_holds(
        self, client: Client
    ) -> None:
        """The server has two workers."""
        name = next(client.names)
        assert client.put(QUOTA, name).status_code == 201

        def replace(number: int) -> int:
            with httpx.Client(headers=client.http.headers, base_url=client.http.base_url) as http:
                content = bytes([ord("a") + number]) * QUOTA
                headers = {"If-Match": "*"}
                return http.put(f"/upload/{name}", content=content, headers=headers).status_code

        with ThreadPoolExecutor(8) as threads:
            statuses = list(threads.map(replace, range(8)))

        assert 200 in statuses
        assert set(statuses) <= {200, 507}
        assert_exceeded(client.put(1))
        assert client.http.delete(f"/download/{name}").status_code == 204
        assert client.put(1).status_code == 201

    def test_a_replacement_that_is_refused_changes_nothing(self, client: Client) -> None:
        name = next(client.names)
        assert client.put(20 * KIB, name).status_code == 201
        assert self.replace(client, 30 * KIB, name, '"x"').status_code == 412
        assert client.available() == 44 * KIB

    def test_the_old_owner_gets_its_bytes_back_and_the_new_one_is_charged(
        self, client: Client
    ) -> None:
        name = next(client.names)
        assert client.put(40 * KIB, name).status_code == 201
        assert self.replace(client, 50 * KIB, name, shown=ADMIN).status_code == 200
        assert client.available() == QUOTA
        assert self.replace(client, 10 * KIB, name).status_code == 200
        assert client.available() == 54 * KIB

    def test_a_resumable_upload_that_replaces_counts_once(self, client: Client) -> None:
        name, tus = next(client.names), Tus(client.http)
        assert client.put(20 * KIB, name).status_code == 201
        metadata = f"filename {encoded(name)},if-match {encoded('*')}"
        upload = tus.begin(length=30 * KIB, Upload_Metadata=metadata)
        assert client.available() == 34 * KIB
        assert tus.patch(upload, 0, b"y" * 30 * KIB).status_code == 204
        assert client.available() == 34 * KIB
        assert client.http.delete(f"/download/{name}").status_code == 204
        assert client.available() == QUOTA
