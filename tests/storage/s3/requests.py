"""What a test does around the requests that a client sends to its bucket."""

from collections.abc import Callable

import pytest

from fileservice.storage.s3.bucket import Request
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.connections import Answer

Send = Callable[[Request], Answer]

_OPERATIONS = {
    ("PUT", False): "put_object",
    ("PUT", True): "upload_part",
    ("GET", False): "get_object",
    ("GET", True): "list_parts",
    ("HEAD", False): "head_object",
    ("DELETE", False): "delete_object",
    ("DELETE", True): "abort_multipart_upload",
    ("POST", True): "complete_multipart_upload",
    ("POST", False): "create_multipart_upload",
}


def operation_of(request: Request) -> str:
    """Return the name of the operation of the Amazon S3 API that a request asks for."""
    if request.key is None:
        return "delete_objects" if "delete" in request.query else "list"
    return _OPERATIONS[request.method, "uploadId" in request.query]


def around(
    monkeypatch: pytest.MonkeyPatch,
    client: S3Client,
    operation: str,
    act: Callable[[Send, Request], Answer],
) -> None:
    """Have `act` called in place of sending each request for an operation."""
    send = client.bucket.send

    def send_or_act(request: Request) -> Answer:
        return act(send, request) if operation_of(request) == operation else send(request)

    monkeypatch.setattr(client.bucket, "send", send_or_act)


def lost(answer: Answer) -> ConnectionError:
    """Drop an answer and return the error that the sender of the request gets instead."""
    answer.close()
    return ConnectionResetError("the answer was lost")
