"""Upload a file by HTTP/3 and fetch it again: `http3_client.py PORT CA PATH_OF_UPLOAD PATH FILE`.

Runs with the packages of deploy/requirements.txt. Prints the two statuses and the fetched bytes.
"""

import asyncio
import sys
from pathlib import Path

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent


class Client(QuicConnectionProtocol):
    """A connection with one request at a time."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)
        self._http = H3Connection(self._quic)
        self._ended = asyncio.Event()
        self._status, self._body = 0, b""

    def quic_event_received(self, event: QuicEvent) -> None:
        """Collect what an answer consists of."""
        for part in self._http.handle_event(event):
            if isinstance(part, HeadersReceived):
                self._status = int(dict(part.headers)[b":status"])
            elif isinstance(part, DataReceived):
                self._body += part.data
            if part.stream_ended:
                self._ended.set()

    async def ask(self, method: str, authority: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request and return the status and the body of its answer."""
        self._ended.clear()
        self._status, self._body = 0, b""
        stream = self._quic.get_next_available_stream_id()
        fields = {":method": method, ":scheme": "https", ":authority": authority, ":path": path}
        if body:
            fields["content-length"] = str(len(body))
        head = [(name.encode(), value.encode()) for name, value in fields.items()]
        self._http.send_headers(stream, head, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self._ended.wait(), 60)
        return self._status, self._body


async def main(port: int, ca: str, upload: str, download: str, file: str) -> None:
    """Upload and fetch the file."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, cafile=ca)
    async with connect(
        "localhost", port, configuration=configuration, create_protocol=Client
    ) as client:
        authority = f"localhost:{port}"
        stored, _ = await client.ask("PUT", authority, upload, Path(file).read_bytes())
        fetched, body = await client.ask("GET", authority, download, b"")
    sys.stdout.buffer.write(f"{stored} {fetched}\n".encode() + body)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
