"""A program in the place of oauth2-proxy and Authelia: nginx asks it who makes a request."""

import contextlib
import threading
from collections.abc import Iterator
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PEOPLE = {"ada": "staff,writers", "bob": "", "eve": "strangers"}
"""The groups of the people who can sign in, by what their cookie `who` contains."""
PORTAL = "https://auth.example.org/?rd=here"


class SignIn(BaseHTTPRequestHandler):
    """Answers as both do, at the paths that both have; a cookie says who has signed in."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("who")
        who = cookie.value if cookie and cookie.value in PEOPLE else None
        fields: dict[str, str] = {}
        if self.path == "/oauth2/auth":
            status = 202 if who else 401
            if who:
                fields = {
                    "X-Auth-Request-User": f"0-{who}",
                    "X-Auth-Request-Email": f"{who}@example",
                }
                fields["X-Auth-Request-Groups"] = PEOPLE[who]
        elif self.path == "/api/authz/auth-request":
            status = 200 if who else 401
            assert self.headers["X-Original-URL"].startswith("http://")
            fields = (
                {"Remote-User": f"{who}@example", "Remote-Groups": PEOPLE[who]}
                if who
                else {"Location": PORTAL}
            )
        else:
            status = 200 if self.path.startswith("/oauth2/sign_in") else 404
        self.send_response(status)
        for name, value in fields.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """In silence."""


@contextlib.contextmanager
def sign_in_server() -> Iterator[int]:
    """Run it on a free port; yields the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SignIn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
