"""Bucket: sends signed requests to a bucket."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from fileservice.request_record import trace_parent
from fileservice.storage.s3.connections import Answer, Connections
from fileservice.storage.s3.documents import error_code
from fileservice.storage.s3.endpoint import Endpoint
from fileservice.storage.s3.errors import ErrorAnswer, translate_errors
from fileservice.storage.s3.location import Location
from fileservice.storage.s3.timing import Timing

_LONGEST_ERROR = 1 << 16
_WRONG_REGION = (301, 302, 307, 400)
_WITH_BODY = ("PUT", "POST")


@dataclass(frozen=True, slots=True)
class Request:
    """A request of the Amazon S3 API."""

    method: str
    key: str | None
    """The object; None for the bucket."""
    query: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes | bytearray = b""


class _Server(NamedTuple):
    """What a request needs, all of the same region, whoever finds out about another meanwhile."""

    endpoint: Endpoint
    host: str
    connections: Connections

    @classmethod
    def of(cls, endpoint: Endpoint, timing: Timing) -> "_Server":
        connections = Connections(endpoint.url, endpoint.ca_file, timing)
        return cls(endpoint, urlsplit(endpoint.url).netloc, connections)


class Bucket:
    """A bucket at a location; threads may share it, and greenlets where sockets are patched."""

    def __init__(self, location: Location, timing: Timing) -> None:
        """Raises StorageUnavailable where the configuration of botocore is incomplete."""
        self._name = location.bucket
        self._timing = timing
        self.latest_date = ""
        """The Date of the latest answer."""
        with translate_errors():
            self._server = _Server.of(Endpoint.of(location), timing)

    def send(self, request: Request) -> Answer:
        """Return the answer, of which the body is yet to be read.

        A bucket that is in another region says in which, and is then asked there. Raises
        ErrorAnswer, BotoCoreError if there are no valid credentials, and HTTPException and OSError
        if there is no answer.
        """
        server = self._server
        answer = self._send(request, server)
        if answer.status in _WRONG_REGION:
            region = answer.fields.get("x-amz-bucket-region", server.endpoint.region)
            if region != server.endpoint.region:
                answer.close()
                if self._server.endpoint.region != region:
                    self._server = _Server.of(server.endpoint.in_region(region), self._timing)
                answer = self._send(request, self._server)
        if answer.status >= 300:
            body = answer.read(_LONGEST_ERROR)
            answer.close()
            raise ErrorAnswer(answer.status, error_code(body))
        return answer

    def presigned_url(self, key: str, seconds: int, query: Mapping[str, str]) -> str:
        """Return a URL that gives an object to anybody for so long. Raises BotoCoreError."""
        endpoint = self._server.endpoint
        return endpoint.presigned(f"{endpoint.url}/{encoded(key)}", seconds, query)

    def copy_source(self, key: str) -> str:
        """Return the value of x-amz-copy-source for an object of this bucket."""
        return f"{self._name}/{encoded(key)}"

    def close(self) -> None:
        """Close the connections that no request uses."""
        self._server.connections.close()

    def _send(self, request: Request, server: _Server) -> Answer:
        url = server.endpoint.url
        if request.key is not None:
            url += f"/{encoded(request.key)}"
        if request.query:
            pairs = (f"{name}={quote(value, safe='')}" for name, value in request.query.items())
            url += f"?{'&'.join(pairs)}"
        fields = {"Host": server.host, "User-Agent": "fileservice", **request.fields}
        if request.method in _WITH_BODY:
            fields["Content-Length"] = str(len(request.body))
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        signed = server.endpoint.signed(request.method, url, fields)
        parent = trace_parent.get()
        if parent:
            # It is not signed: a proxy on the way to the bucket may replace it by its own.
            signed = {**signed, "traceparent": parent}
        answer = server.connections.send(request.method, target, signed, request.body)
        self.latest_date = answer.fields.get("date", "")
        return answer


def encoded(key: str) -> str:
    """Return a key as it is written in URLs and header fields."""
    return quote(key, safe="/~")
