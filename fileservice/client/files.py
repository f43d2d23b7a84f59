"""The calls about stored files that transfer none: list, delete, and make a link."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from fileservice.client.address import Address, file_name_in
from fileservice.client.connection import Connection, read_json
from fileservice.client.errors import ClientError, Refused
from fileservice.client.retries import Retries

_PAGE = "1000"


def list_files(
    connection: Connection, address: Address, retries: Retries, **query: str
) -> Iterator[dict[str, Any]]:
    """Yield the records of the files, page by page. `query` has what docs/http.md calls listing."""
    url, arguments = address.url("download"), {"limit": _PAGE, **query}
    while url:
        response = retries.call(lambda: connection.request("GET", url, query=arguments))  # noqa: B023
        records = read_json(response)
        if not isinstance(records, list):
            raise ClientError(f"{url} does not answer with a list: no file service?")
        yield from records
        retries.start_again()
        following = response.links.get("next", {}).get("url", "")
        # A service behind a proxy may not know how it is reached, so only the query counts.
        query_string = urlsplit(urljoin(url, following)).query
        url, arguments = (f"{address.url('download')}?{query_string}" if following else ""), {}


def delete_file(connection: Connection, address: Address, name: str, retries: Retries) -> None:
    """Delete a file. Raise Refused if there is none, unless a repetition finds that out."""
    asked = 0

    def attempt() -> None:
        nonlocal asked
        asked += 1
        try:
            connection.request("DELETE", address.url("download", name)).close()
        except Refused as error:
            if error.code != "not-found" or asked == 1:
                raise

    retries.call(attempt)


def make_link(connection: Connection, address: Address, terms: Mapping[str, object]) -> Any:
    """Make a link, and return it as the service describes it.

    This is not repeated: if the answer was lost, there would be two links.
    """
    response = connection.request(
        "POST",
        address.url("links"),
        {"Content-Type": "application/json"},
        body=json.dumps(terms).encode(),
    )
    return read_json(response)


def file_of_link(connection: Connection, url: str) -> str:
    """Return the URL of the file of the link at `url`. Raise ClientError if it has none."""
    described = read_json(connection.request("GET", url))
    if not isinstance(described, dict) or not isinstance(described.get("url"), str):
        raise ClientError("this link is not one to a file")
    name = file_name_in(described["url"])
    return f"{urlsplit(url)._replace(query='', fragment='').geturl().rstrip('/')}/{quote(name)}"
