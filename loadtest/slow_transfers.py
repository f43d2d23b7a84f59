"""Users whose transfers last longer than the grace period, and resume when they are cut.

run.py --upgrade adds them to those of locustfile.py. Every byte is checked. What is cut is no
failure, but only while a transfer of these users runs.
"""

import base64
import secrets
import time
from collections.abc import Iterator

from locust import HttpUser, constant, task
from requests import RequestException

_PIECE = 512 << 10  # so that much of a file is in no buffer of the connection
_PIECES = 120
_PAUSE = 0.5
"""Seconds between two pieces, so that a transfer takes a minute."""
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = _TUS | {"Content-Type": "application/offset+octet-stream"}


class SlowUser(HttpUser):
    """A user with a slow line, who uploads a file by tus and downloads it again."""

    fixed_count = 2
    wait_time = constant(0)

    @task
    def transfer(self) -> None:
        line = secrets.token_hex(31).encode() + b"\n\n"
        data = line * (_PIECES * _PIECE // len(line))
        name = f"load-slow-{secrets.token_hex(8)}.txt"
        self._upload(name, data)
        self._download(name, data)
        self.client.delete(f"/download/{name}", name="slow: delete")

    def _upload(self, name: str, data: bytes) -> None:
        metadata = base64.b64encode(name.encode()).decode()
        fields = {"Upload-Length": str(len(data)), "Upload-Metadata": f"filename {metadata}"}
        created = self.client.post("/tus/", headers=_TUS | fields, name="slow: create")
        url, offset = created.headers["Location"], 0
        while offset < len(data):
            label = "slow: resumed upload" if offset else "slow: upload"
            with self.client.patch(
                url,
                data=_slowly(data[offset:]),
                headers=_BYTES | {"Upload-Offset": str(offset)},
                name=label,
                catch_response=True,
            ) as response:
                if response.status_code == 204:
                    return
                if response.status_code not in (0, 423):
                    response.failure(f"{response.status_code}: {response.text[:200]}")
                    return
                response.success()  # it was cut, or the one that was cut has just not ended
            time.sleep(1)
            answer = self.client.head(url, headers=_TUS, name="slow: offset")
            offset = int(answer.headers.get("Upload-Offset", offset))

    def _download(self, name: str, data: bytes) -> None:
        received = b""
        while len(received) < len(data):
            label = "slow: resumed download" if received else "slow: download"
            with self.client.get(
                f"/download/{name}",
                headers={"Range": f"bytes={len(received)}-"},
                name=label,
                stream=True,
                catch_response=True,
            ) as response:
                if response.status_code != 206:
                    response.failure(f"{response.status_code} instead of 206")
                    return
                try:
                    for piece in response.iter_content(_PIECE):
                        received += piece
                        time.sleep(_PAUSE)
                except RequestException:
                    response.success()  # it was cut
        if received != data:
            raise AssertionError("a download that was resumed has other bytes")


def _slowly(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _PIECE):
        yield data[start : start + _PIECE]
        time.sleep(_PAUSE)
