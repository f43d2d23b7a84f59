"""A mix of requests: uploads of several sizes, complete and range downloads, conditions, lists.

    locust -f loadtest/locustfile.py --headless -u 20 -r 10 -t 30s --host http://127.0.0.1:8000

Every byte and every status is checked. If one is wrong, the exit code of locust is not 0. The files
are named load-<random>.txt, and each user deletes its own files when it stops.
"""

import base64
import hashlib
import os
import random
import secrets
from dataclasses import dataclass

from locust import HttpUser, between, task

_SIZES = {"1 KiB": 1 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20, "8 MiB": 8 << 20}
_WEIGHTS = (60, 25, 12, 3)
_MAX_FILES = 20
"""Files of one user; older ones are deleted, so that a long run does not fill the disk."""
TOKEN = os.environ.get("LOADTEST_TOKEN")
"""The secret of a token for TokenUser."""
_ALPHABET = bytes(range(0x20, 0x7F)) + b"\n"


@dataclass(frozen=True)
class SentFile:
    """A file whose upload was acknowledged."""

    name: str
    data: bytes
    etag: str


def text(size: int) -> bytes:
    """Return `size` bytes of text that are different in each call."""
    line = bytes(random.choices(_ALPHABET, k=1021))
    return (secrets.token_hex(16).encode() + line * (size // len(line) + 1))[:size]


class FileUser(HttpUser):
    """A user who uploads files and downloads them again."""

    weight = 4
    wait_time = between(0, 0.05)
    prefix = "load-"

    def on_start(self) -> None:
        self.files: list[SentFile] = []
        self.upload()

    def on_stop(self) -> None:
        for sent in self.files:
            self._delete(sent)

    @task(6)
    def upload(self) -> None:
        label = random.choices(list(_SIZES), _WEIGHTS)[0]
        data = text(_SIZES[label])
        name = f"{self.prefix}{secrets.token_hex(8)}.txt"
        match random.choice(("PUT", "chunked PUT", "form")):
            case "PUT":
                sending = {"method": "PUT", "url": f"/upload/{name}", "data": data}
            case "chunked PUT":
                pieces = (data[at : at + 50_000] for at in range(0, len(data), 50_000))
                sending = {"method": "PUT", "url": f"/upload/{name}", "data": pieces}
            case _:
                files = {"file": (name, data)}
                sending = {"method": "POST", "url": "/upload", "files": files}
        with self.client.request(
            **sending, name=f"upload {label}", catch_response=True
        ) as response:
            if response.status_code != 201:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
            if response.headers.get("Repr-Digest") not in (None, f"sha-256=:{digest}:"):
                response.failure("the digest is not that of the bytes that were sent")
            self.files.append(SentFile(name, data, response.headers["ETag"]))
        if len(self.files) > _MAX_FILES:
            self._delete(self.files.pop(0))

    @task(10)
    def download(self) -> None:
        if self.files:
            sent = random.choice(self.files)
            self._get(sent, "download", 200, sent.data)

    @task(6)
    def download_range(self) -> None:
        if self.files:
            sent = random.choice(self.files)
            first = random.randrange(len(sent.data))
            last = random.randrange(first, len(sent.data))
            self._get(
                sent, "range", 206, sent.data[first : last + 1], Range=f"bytes={first}-{last}"
            )

    @task(4)
    def revalidate(self) -> None:
        if self.files:
            sent = random.choice(self.files)
            self._get(sent, "not modified", 304, b"", **{"If-None-Match": sent.etag})

    @task(2)
    def list_page(self) -> None:
        with self.client.get(
            "/download?limit=100&prefix=load-", name="list", catch_response=True
        ) as response:
            if response.status_code != 200:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            names = [record["filename"] for record in response.json()]
            if names != sorted(names) or len(names) > 100:
                response.failure("the page is not sorted, or it has too many files")

    @task(1)
    def upload_taken_name(self) -> None:
        if self.files:
            sent = random.choice(self.files)
            with self.client.put(
                f"/upload/{sent.name}", data=b"x", name="taken name", catch_response=True
            ) as response:
                if response.status_code == 409:
                    response.success()
                else:
                    response.failure(f"{response.status_code} instead of 409")

    def _get(self, sent: SentFile, label: str, status: int, body: bytes, **headers: str) -> None:
        with self.client.get(
            f"/download/{sent.name}", headers=headers, name=label, catch_response=True
        ) as response:
            if response.status_code != status:
                response.failure(f"{response.status_code} instead of {status}")
            elif response.content != body:
                response.failure(
                    f"{len(response.content)} other bytes than the {len(body)} expected"
                )

    def _delete(self, sent: SentFile) -> None:
        with self.client.delete(
            f"/download/{sent.name}", name="delete", catch_response=True
        ) as response:
            if response.status_code != 204:
                response.failure(f"{response.status_code} instead of 204")


class TokenUser(FileUser):
    """A user with a token for names with a prefix; only there if run.py has made the token."""

    weight = 2
    abstract = TOKEN is None
    prefix = "load-token-"

    def on_start(self) -> None:
        self.client.headers["Authorization"] = f"Bearer {TOKEN}"
        super().on_start()

    @task(2)
    def list_own(self) -> None:
        with self.client.get("/download?limit=100", name="list own", catch_response=True) as got:
            names = [record["filename"] for record in got.json()] if got.ok else []
            if not got.ok or not all(name.startswith(self.prefix) for name in names):
                got.failure(f"{got.status_code}, or names that do not begin with the prefix")

    @task(1)
    def ask_for_what_is_forbidden(self) -> None:
        path = f"/download/other-{secrets.token_hex(8)}.txt"
        for method, status, headers in (
            ("GET", 403, {}),
            ("DELETE", 403, {}),
            ("GET", 401, {"Authorization": f"Bearer {TOKEN}x"}),
        ):
            with self.client.request(
                method, path, headers=headers, name=f"refused {status}", catch_response=True
            ) as response:
                if response.status_code == status:
                    response.success()
                else:
                    response.failure(f"{response.status_code} instead of {status}")


class TusUser(HttpUser):
    """A user on a bad network, who uploads by tus in pieces and sometimes asks for the offset."""

    wait_time = between(0, 0.2)
    _VERSION = {"Tus-Resumable": "1.0.0"}  # noqa: RUF012  # is not modified
    _BYTES = _VERSION | {"Content-Type": "application/offset+octet-stream"}

    @task
    def upload(self) -> None:
        data = text(random.choice((_SIZES["64 KiB"], _SIZES["1 MiB"], _SIZES["8 MiB"])))
        name = f"load-{secrets.token_hex(8)}.txt"
        url, offset = self._begin(name, len(data)), 0
        while url and offset < len(data):
            if random.random() < 0.2:
                offset = self._offset(url, offset)
            piece = data[offset : offset + random.choice((50_000, 500_000, 5_000_000))]
            offset = self._append(url, offset, piece, last=offset + len(piece) == len(data))
        if url and offset == len(data):
            self._check(name, data)

    def _begin(self, name: str, length: int) -> str | None:
        metadata = base64.b64encode(name.encode()).decode()
        headers = {"Upload-Length": str(length), "Upload-Metadata": f"filename {metadata}"}
        with self.client.post(
            "/tus/", headers=self._VERSION | headers, name="tus: create", catch_response=True
        ) as response:
            if response.status_code != 201:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return None
            return response.headers["Location"]

    def _offset(self, url: str, expected: int) -> int:
        with self.client.head(
            url, headers=self._VERSION, name="tus: offset", catch_response=True
        ) as response:
            if response.headers.get("Upload-Offset") != str(expected):
                response.failure(f"{response.status_code}, and the offset is not {expected}")
            return int(response.headers.get("Upload-Offset", expected))

    def _append(self, url: str, offset: int, piece: bytes, *, last: bool) -> int:
        headers = self._BYTES | {"Upload-Offset": str(offset)}
        with self.client.patch(
            url, data=piece, headers=headers, name="tus: append", catch_response=True
        ) as response:
            if response.status_code != 204 or ("ETag" in response.headers) != last:
                response.failure(f"{response.status_code}: {response.text[:200]}")
            return offset + len(piece)

    def _check(self, name: str, data: bytes) -> None:
        with self.client.get(
            f"/download/{name}", name="tus: download", catch_response=True
        ) as response:
            if response.content != data:
                response.failure(f"{len(response.content)} other bytes than the {len(data)} sent")
        self.client.delete(f"/download/{name}", name="delete")
