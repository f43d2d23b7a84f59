"""Requests for files of a store whose disk may fail, and what is read from their answers."""

from tests.support.servers import LiveServer
from tests.support.wire import ask, request

TEXT = b"some text\n"
GET = request("GET /download/a.txt")
LIST = request("GET /download")
PUT = request("PUT /upload/b.txt", body=TEXT)
DELETE = request("DELETE /download/a.txt")
HEALTH = request("GET /healthz")
UNAVAILABLE = (503, "storage-unavailable")
FULL = (507, "storage-full")


def problem(server: LiveServer, asked: bytes) -> tuple[int, str]:
    """The status and the code of the answer, which is a problem."""
    answer = ask(server, asked)
    return answer.status, answer.code()


def is_healthy(server: LiveServer) -> bool:
    return ask(server, HEALTH).status == 200


def listed(server: LiveServer) -> list[str]:
    answer = ask(server, LIST)
    assert answer.status == 200, answer
    return [file["filename"] for file in answer.json()]
