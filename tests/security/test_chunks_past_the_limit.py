"""Requests each of which is small enough, and which together are too large.

See also tests/upload/resumable/test_append.py, tests/http/test_quotas.py and test_guests.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from fileservice.upload import pipeline
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import published

CHUNK = b"x" * 600
LIMIT = {"MAX_FILE_SIZE": "1KiB"}
UNDECLARED = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}


def send(
    client: FlaskClient, method: str, path: str, fields: dict[str, str], *, declared: bool
) -> Any:
    options: dict[str, Any] = {"data": CHUNK, "headers": fields}
    if not declared:
        environ = UNDECLARED | {"CONTENT_LENGTH": ""}
        options |= {"environ_overrides": environ}
    return client.open(path, method=method, **options)


def stored_by_tus(client: FlaskClient, *, declared: bool) -> int:
    """Append chunks of unknown length; return how many bytes the upload has then."""
    deferred = VERSION | named("a.txt") | {"Upload-Defer-Length": "1"}
    path = (
        client.post("/tus/", headers=deferred).headers["Location"].removeprefix("http://localhost")
    )
    for number in range(4):
        fields = VERSION | BYTES | {"Upload-Offset": str(number * len(CHUNK))}
        send(client, "PATCH", path, fields, declared=declared)
    return int(client.head(path, headers=VERSION).headers["Upload-Offset"])


def stored_by_the_draft(client: FlaskClient, *, declared: bool) -> int:
    begun = {"Upload-Complete": "?0"}
    answer = send(client, "PUT", "/upload/b.txt", begun, declared=declared)
    path = answer.headers["Location"].removeprefix("http://localhost")
    for number in range(1, 4):
        fields = begun | {"Upload-Offset": str(number * len(CHUNK))}
        fields |= {"Content-Type": "application/partial-upload"}
        send(client, "PATCH", path, fields, declared=declared)
    answer = client.head(path)
    return int(answer.headers.get("Upload-Offset", "0"))


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("stored", [stored_by_tus, stored_by_the_draft])
def test_chunks_do_not_add_up_past_the_limit(
    client_of: Callable[..., FlaskClient], root: Path, stored: Callable[..., int], declared: bool
) -> None:
    client = client_of(**LIMIT)
    assert stored(client, declared=declared) <= 1024
    assert published(root) == []


def test_without_the_count_of_all_chunks_they_add_up(
    client_of: Callable[..., FlaskClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = pipeline.Pipeline.__init__

    def count_this_request_only(self: pipeline.Pipeline, *of: Any, **options: Any) -> None:
        begin(self, *of, **options)
        self._limit += options["size"]

    monkeypatch.setattr(pipeline.Pipeline, "__init__", count_this_request_only)
    assert stored_by_tus(client_of(**LIMIT), declared=False) > 1024


def test_parts_that_are_concatenated_do_not_add_up_past_the_limit(
    client_of: Callable[..., FlaskClient], root: Path
) -> None:
    client = client_of(**LIMIT)
    parts = []
    for _ in range(3):
        fields = VERSION | BYTES | {"Upload-Concat": "partial", "Upload-Length": str(len(CHUNK))}
        parts.append(client.post("/tus/", headers=fields, data=CHUNK).headers["Location"])
    final = {"Upload-Concat": f"final;{' '.join(parts)}"}
    answer = client.post("/tus/", headers=VERSION | named("c.txt") | final)
    assert answer.status_code == 413
    assert published(root) == []
