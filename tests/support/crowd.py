"""A client process of test_races: many uploads to one name that end at the same moment.

usage: crowd.py PORT NAME FIRST COUNT. It sends every upload but its last byte, waits for a line on
the standard input, and sends the last bytes. It prints a JSON object: number of upload → status.
"""

import json
import socket
import sys


def content(number: int) -> bytes:
    """The bytes of the upload with this number."""
    return b"%06d\n" % number * 20_000


def _main() -> None:
    port, name, first, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    uploads = {}
    for number in range(first, first + count):
        body = content(number)
        head = (
            f"PUT /upload/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        uploads[number] = connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(head.encode() + body[:-1])
    sys.stdin.readline()
    for connection in uploads.values():
        connection.sendall(b"\n")
    statuses = {}
    for number, connection in uploads.items():
        with connection, connection.makefile("rb") as answer:
            statuses[number] = int(answer.readline().split()[1])
            answer.read()
    json.dump(statuses, sys.stdout)


if __name__ == "__main__":
    _main()
