"""People who sign in at a real server, without a browser."""

from pathlib import Path

import httpx

from tests.access.rules import SECRET, token
from tests.support.servers import LiveServer
from tests.support.wire import ask, eventually, request
from tests.support.workers import wires_to_both_workers

ADA = '[users."ada@example.org"]\nscopes = ["list", "read", "write", "delete"]\n'
STAFF = '[groups.staff]\nscopes = ["list", "read"]\n'
CI = token("ci", SECRET, '["list", "read", "write"]')


class AccessFileOnDisk:
    """The ACCESS_FILE of a server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(CI + ADA + STAFF)

    def write(self, text: str) -> None:
        """Replace the file, as an editor does."""
        draft = self.path.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.path)


def browser(server: LiveServer) -> httpx.Client:
    """A client that keeps cookies and prefers HTML; it does not follow redirects."""
    return httpx.Client(base_url=server.url, headers={"Accept": "text/html"}, timeout=30)


def sign_in(client: httpx.Client, secret: str = SECRET, **fields: str) -> httpx.Response:
    """Send the form of the page for signing in."""
    own = {"Origin": str(client.base_url).rstrip("/")}
    return client.post("/sign-in", data={"token": secret, **fields}, headers=own)


def sign_out(client: httpx.Client) -> httpx.Response:
    """Press the button for signing out."""
    own = {"Origin": str(client.base_url).rstrip("/")}
    return client.post("/sign-out", headers=own)


def status(server: LiveServer, cookies: httpx.Cookies) -> int:
    """The status of the list, for the owner of these cookies, on a connection of its own."""
    return ask(server, _list_for(cookies)).status


def statuses(server: LiveServer, cookies: httpx.Cookies) -> set[int]:
    """The statuses of the list from both workers."""
    with wires_to_both_workers(server) as wires:
        return {wire.ask(_list_for(cookies)).status for wire in wires}


def await_status(server: LiveServer, cookies: httpx.Cookies, expected: int) -> None:
    """Wait until both workers answer a request for the list with this status."""
    eventually(lambda: statuses(server, cookies) == {expected})


def _list_for(cookies: httpx.Cookies) -> bytes:
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return request("GET /download", "Accept: */*", f"Cookie: {cookie}")
