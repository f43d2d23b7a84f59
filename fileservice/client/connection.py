"""Connection: one request and its response, with every failure as an error of the client."""

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from fileservice import __version__
from fileservice.client.body import FileBody
from fileservice.client.errors import ClientError, Refused, Unavailable
from fileservice.client.retries import retry_after

_CONNECT_SECONDS = 30
_ANSWER_SECONDS = 120
"""The service may have to sync a large file, or to put it together in a bucket, before it answers;
if it takes longer, the client asks for the state of the upload."""
_BLOCK = 256 * 1024
_TEMPORARY: set[int] = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
    *range(520, 525),  # Cloudflare did not reach the service, or got no answer
}
_LASTING_CODES = {"file-damaged"}
"""Problems with one of those statuses that another attempt will meet as well."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_LONGEST_DETAIL = 1000


class _Adapter(HTTPAdapter):
    """Sends bodies in larger blocks than the 16 KiB that are the default."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, blocksize=_BLOCK, **options)


class _Credentials(requests.auth.AuthBase):
    """Sends Authorization; with an authentication of its own, requests does not look into ~/.netrc.

    A password has precedence over a token, and is sent in UTF-8 (RFC 7617).
    """

    def __init__(self, token: str, password: str) -> None:
        self._value = f"Bearer {token}" if token else ""
        if password:
            self._value = f"Basic {base64.b64encode(f':{password}'.encode()).decode()}"

    def __call__(self, request: Any) -> Any:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class Connection:
    """Makes requests with credentials, which go to no other host if the service redirects."""

    def __init__(self, token: str = "", password: str = "") -> None:
        """`password` is that of a link."""
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter())
        self._session.headers["User-Agent"] = f"fileservice/{__version__}"
        self._auth = _Credentials(token, password)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def request(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str] | None = None,
        *,
        body: "bytes | FileBody" = b"",
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Return the response, of which only the head has been read.

        Raise Refused, or Unavailable if the same request may succeed later.
        """
        try:
            response = self._session.request(
                method,
                url,
                params=query,
                # No proxy on the way may compress a file: its bytes would not have its digest.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"}
                | dict(fields or {}),
                data=body if len(body) else b"",
                stream=True,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                allow_redirects=method in ("GET", "HEAD"),
                auth=self._auth,
            )
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise ClientError(f"the certificate is not valid: {_reason(error)}") from None
            raise Unavailable(f"TLS failed: {_reason(error)}") from None
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            raise Unavailable(f"the service does not answer: {_reason(error)}") from None
        except (requests.exceptions.RequestException, ValueError, ssl.SSLError) as error:
            raise ClientError(f"the request cannot be made: {_reason(error)}") from None
        if response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return response
        raise _problem(response)


def read_json(response: requests.Response) -> Any:
    """Return the JSON in the body of a response. Raise Unavailable or ClientError."""
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError:
        raise ClientError(f"{response.url} does not answer with JSON: no file service?") from None
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"the connection broke: {_reason(error)}") from None


def read_blocks(response: requests.Response) -> Iterator[bytes]:
    """Yield the body of a response. Raise Unavailable if the connection breaks."""
    try:
        yield from response.iter_content(_BLOCK)
    except requests.exceptions.RequestException as error:
        raise Unavailable(f"the connection broke: {_reason(error)}") from None
    finally:
        response.close()


def _problem(response: requests.Response) -> Refused | Unavailable:
    """Return the error that a response reports."""
    status, code = response.status_code, ""
    detail = f"the answer was {status} {response.reason or ''}".rstrip()
    try:
        problem = response.json()
    except requests.exceptions.RequestException:  # HEAD has none, nor have other servers
        problem = None
    finally:
        response.close()
    if isinstance(problem, dict):
        code = str(problem.get("code") or "")
        detail = str(problem.get("detail") or problem.get("title") or detail)
    detail = _CONTROL.sub(" ", detail)[:_LONGEST_DETAIL]
    if status in _TEMPORARY and code not in _LASTING_CODES:
        return Unavailable(detail, retry_after(response.headers.get("Retry-After")))
    return Refused(status, code, detail)


def _reason(error: Exception) -> str:
    """Return the innermost reason of an error of requests, without what surrounds it."""
    inner: BaseException = error
    while True:
        reason = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__
        if not isinstance(reason, BaseException):
            break
        inner = reason
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return _CONTROL.sub(" ", str(text))[:_LONGEST_DETAIL]
