"""Every way to upload a file with a name: by raw body, form, tus and the IETF's draft."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from tests.support.tus import Tus, encoded

_DRAFT = {"Content-Type": "application/partial-upload"}


def _condition(if_match: str) -> dict[str, str]:
    return {"If-Match": if_match} if if_match else {}


def _metadata(name: str, if_match: str) -> dict[str, Any]:
    condition = f",if-match {encoded(if_match)}" if if_match else ""
    return {"Upload_Metadata": f"filename {encoded(name)}{condition}"}


def put(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    return client.put(f"/upload/{name}", content=data, headers=_condition(if_match))


def post(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    return client.post(f"/upload/{name}", content=data, headers=_condition(if_match))


def chunked(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    def chunks() -> Iterator[bytes]:
        yield data[:50]
        yield data[50:]

    return client.put(f"/upload/{name}", content=chunks(), headers=_condition(if_match))


def form(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    return client.post("/upload", files={"file": (name, data)}, headers=_condition(if_match))


def tus(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    created = Tus(client).create(length=len(data), **_metadata(name, if_match))
    if created.status_code != 201:
        return created
    url = created.headers["Location"]
    assert Tus(client).patch(url, 0, data[:50]).status_code == 204
    return Tus(client).patch(url, 50, data[50:])


def tus_in_one_request(
    client: httpx.Client, name: str, data: bytes, if_match: str = ""
) -> httpx.Response:
    return Tus(client).create(length=len(data), body=data, **_metadata(name, if_match))


def tus_concatenation(
    client: httpx.Client, name: str, data: bytes, if_match: str = ""
) -> httpx.Response:
    parts = [
        Tus(client).begin(length=len(part), body=part, Upload_Concat="partial")
        for part in (data[:50], data[50:])
    ]
    concat = f"final;{' '.join(parts)}"
    return Tus(client).create(Upload_Concat=concat, **_metadata(name, if_match))


def draft(client: httpx.Client, name: str, data: bytes, if_match: str = "") -> httpx.Response:
    headers = {"Upload-Complete": "?0"} | _condition(if_match)
    created = client.put(f"/upload/{name}", content=data[:50], headers=headers)
    if created.status_code != 201:
        return created
    headers = _DRAFT | {"Upload-Offset": "50", "Upload-Complete": "?1"}
    return client.patch(created.headers["Location"], content=data[50:], headers=headers)


def draft_in_one_request(
    client: httpx.Client, name: str, data: bytes, if_match: str = ""
) -> httpx.Response:
    headers = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
    headers |= _condition(if_match)
    return client.put(f"/upload/{name}", content=data, headers=headers)


Way = Callable[..., httpx.Response]
"""Uploads the data, of more than 50 bytes, in the place of the version `if_match` if that is given.
Returns the answer to its last request."""
WAYS: tuple[Way, ...] = (
    put,
    post,
    chunked,
    form,
    tus,
    tus_in_one_request,
    tus_concatenation,
    draft,
    draft_in_one_request,
)
