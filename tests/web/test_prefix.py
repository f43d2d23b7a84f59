"""Under a path of a host that others share: nothing in any answer leads out of that path."""

import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from werkzeug.test import EnvironBuilder, TestResponse, run_wsgi_app
from werkzeug.wrappers import Response

from fileservice.wsgi_extensions import SEND_INTERIM_RESPONSE
from tests.support.rows import every_row
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import TEXT, application, paths

PREFIX = "/outer/inner"
BASE = f"https://outer.example{PREFIX}"
HTML = {"Accept": "text/html"}
PROXY = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.example"}
OTHER_SITES = ("https://tus.io/", "https://iana.org/", "http://www.w3.org/", "https://fetch.spec.")
"""Beginnings of addresses in comments and in the types of problems."""


class SetUp:
    """One way to tell the service about its prefix: settings, fields of a proxy, or SCRIPT_NAME."""

    def __init__(
        self,
        fields: dict[str, str] | None = None,
        *,
        script_name: str = "",
        removed: bool = True,
        **settings: str,
    ) -> None:
        self.fields = fields or {}
        self.script_name = script_name
        self.removed = removed
        self.settings = settings


SET_UPS = {
    "a field of a proxy": SetUp(
        PROXY | {"X-Forwarded-Prefix": PREFIX}, TRUSTED_PROXIES="127.0.0.1"
    ),
    "fields of two proxies": SetUp(
        {
            "X-Forwarded-For": "192.0.2.7, 10.0.0.2",
            "X-Forwarded-Proto": "https, http",
            "X-Forwarded-Host": "outer.example, inner.example",
            "X-Forwarded-Prefix": "/outer, /inner",
        },
        TRUSTED_PROXIES="127.0.0.1,10.0.0.2",
    ),
    "a public URL": SetUp(PUBLIC_URL=BASE),
    "a public URL, and a field that differs": SetUp(
        PROXY | {"X-Forwarded-Prefix": "/other"}, TRUSTED_PROXIES="127.0.0.1", PUBLIC_URL=BASE
    ),
    "a public URL whose path is not removed": SetUp(PUBLIC_URL=BASE, removed=False),
    "a server that mounts the service": SetUp(script_name=PREFIX),
}
THOROUGH = [pytest.mark.thorough]


class Tour:
    """Requests as a client makes them, and everything in the answers that leads elsewhere."""

    def __init__(self, app: Flask, set_up: SetUp) -> None:
        self.app = app
        self._set_up = set_up
        segments = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""}
        self._own_path = re.compile(rf"/(?:{'|'.join(sorted(segments))})(?![\w.-])")
        self.links: set[str] = set()
        self.cookies: list[str] = []
        self.misplaced: list[str] = []

    def ask(
        self, method: str, url: str, body: bytes = b"", **options: Any
    ) -> TestResponse | Response:
        """Ask for a URL, which may be relative to that of the service."""
        absolute = urljoin(f"{BASE}/", url)
        assert absolute.startswith(f"{BASE}/"), absolute
        path, query = urlsplit(absolute).path, urlsplit(absolute).query
        builder = EnvironBuilder(
            path=path.removeprefix(PREFIX) if self._set_up.removed else path,
            method=method,
            query_string=query,
            base_url="https://outer.example/",
            headers=options.pop("headers", {}) | self._set_up.fields,
            input_stream=None,
            data=body or options.pop("data", None),
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"} | options.pop("environ", {}),
        )
        environ = builder.get_environ()
        environ["SCRIPT_NAME"] = self._set_up.script_name
        answer = Response(*run_wsgi_app(self.app, environ, buffered=True))
        self._look(f"{method} {url} {answer.status}", absolute, answer)
        return answer

    def look_at(self, where: str, text: str) -> None:
        """Find what leads elsewhere in a text."""
        for found in self._own_path.finditer(text):
            if not text[: found.start()].endswith(PREFIX):
                self.misplaced.append(f"{where}: {text[max(0, found.start() - 40) : found.end()]}")
        for url in re.findall(r"https?://[^\s\"'<>;,)\\]+", text):
            if not url.startswith((f"{BASE}/", *OTHER_SITES)):
                self.misplaced.append(f"{where}: {url}")

    def _look(self, where: str, url: str, answer: Response) -> None:
        text = answer.get_data(as_text=True)
        for name, value in answer.headers:
            self.look_at(f"{where}, {name}", value)
            if name in ("Location", "Content-Location", "Link"):
                target = value[1 : value.index(">")] if name == "Link" else value
                self._link(f"{where}, {name}", urljoin(url, target))
        if url == f"{BASE}/openapi.json" and text and answer.status_code == 200:
            # Its paths are relative to the address of the server.
            assert [server["url"] for server in json.loads(text)["servers"]] == [BASE]
        elif url != f"{BASE}/docs":
            self.look_at(where, text)
        for cookie in answer.headers.getlist("Set-Cookie"):
            self.cookies.append(cookie)
            (path,) = re.findall(r"(?:^|; )Path=([^;]*)", cookie)
            if not f"{path}/".startswith(f"{PREFIX}/"):
                self.misplaced.append(f"{where}: {cookie}")
        if answer.mimetype == "text/html":
            found = re.findall(r'(?:href|src|action)="([^"]+)"', text)
        elif answer.mimetype in ("text/javascript", "text/css"):
            found = re.findall(r"(?:from |import |import\(|url\()'?\"?([./][^'\")]+)", text)
        else:
            found = []
        for link in found:
            self._link(f"{where}, {link}", urljoin(url, link.replace("&amp;", "&")))

    def _link(self, where: str, url: str) -> None:
        self.links.add(url)
        if not url.startswith(f"{BASE}/"):
            self.misplaced.append(f"{where}: {url}")


@pytest.fixture(
    params=[
        pytest.param(set_up, id=name, marks=THOROUGH if name == "fields of two proxies" else [])
        for name, set_up in SET_UPS.items()
    ]
)
def tour(request: pytest.FixtureRequest, tmp_path: Path) -> Tour:
    set_up: SetUp = request.param
    settings = {"ALLOWED_HOSTS": "*", "CORS_ORIGINS": "https://app.example"} | set_up.settings
    return Tour(application(tmp_path, **settings), set_up)


def test_every_address_in_the_answers_to_uploads_is_below_the_prefix(tour: Tour) -> None:
    form = {"data": {"file": (io.BytesIO(TEXT), "a b+c%.txt")}}
    assert tour.ask("POST", "upload", headers=HTML, **form).status_code == 303
    assert tour.cookies
    page = tour.ask("GET", "upload", headers={"Cookie": tour.cookies[0].partition(";")[0]})
    assert "Stored:" in page.get_data(as_text=True)
    assert len(tour.cookies) == 2  # the second one deletes the first, which has the same path
    assert tour.ask("PUT", "upload/b.txt", TEXT).status_code == 201
    assert tour.ask("POST", "upload/c.txt", TEXT).status_code == 201
    repeated = {"Repr-Digest": tour.ask("GET", "download/b.txt").headers["Repr-Digest"]}
    assert tour.ask("PUT", "upload/b.txt", TEXT, headers=repeated).status_code == 200

    parts = []
    for _ in range(2):
        begun = tour.ask(
            "POST", "tus/", headers=VERSION | {"Upload-Concat": "partial", "Upload-Length": "10"}
        )
        parts.append(begun.headers["Location"])
        patch = VERSION | BYTES | {"Upload-Offset": "0"}
        assert tour.ask("PATCH", parts[-1], TEXT, headers=patch).status_code == 204
    assert tour.ask("HEAD", parts[0], headers=VERSION).headers["Upload-Concat"] == "partial"
    final = VERSION | named("d.txt") | {"Upload-Concat": f"final;{' '.join(parts)}"}
    joined = tour.ask("POST", "tus/", headers=final)
    assert joined.status_code == 201
    ended = tour.ask("HEAD", joined.headers["Location"], headers=VERSION)
    assert ended.headers["Upload-Concat"] == final["Upload-Concat"]
    assert ended.headers["Content-Location"] == f"{BASE}/download/d.txt"
    relative = [urlsplit(part).path for part in parts]
    again = VERSION | named("e.txt") | {"Upload-Concat": f"final;{' '.join(relative)}"}
    assert tour.ask("POST", "tus/", headers=again).status_code == 400  # the parts are used up
    begun = tour.ask("POST", "tus/", headers=VERSION | named("f.txt") | {"Upload-Length": "10"})
    override = VERSION | {"X-HTTP-Method-Override": "DELETE"}
    assert tour.ask("POST", begun.headers["Location"], headers=override).status_code == 204

    interim: list[str] = []

    def send_interim(status: str, fields: Any) -> None:
        assert status.startswith("104")
        interim.append(dict(fields)["Location"])

    draft = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
    sender = {SEND_INTERIM_RESPONSE: send_interim}
    assert tour.ask("PUT", "upload/g.txt", TEXT, headers=draft, environ=sender).status_code == 201
    assert interim[0].startswith(f"{BASE}/resume/")
    begun = tour.ask("PUT", "upload/h.txt", TEXT, headers={"Upload-Complete": "?0"})
    rest = {"Upload-Complete": "?1", "Upload-Offset": "10"} | {
        "Content-Type": "application/partial-upload"
    }
    assert tour.ask("PATCH", begun.headers["Location"], TEXT, headers=rest).status_code == 201
    assert "Content-Location" in tour.ask("HEAD", begun.headers["Location"]).headers
    assert tour.misplaced == []


@pytest.mark.parametrize(
    "tour",
    [
        pytest.param(set_up, id=name, marks=[] if name == "a field of a proxy" else THOROUGH)
        for name, set_up in SET_UPS.items()
    ],
    indirect=True,
)
def test_every_link_in_every_answer_leads_to_an_answer(tour: Tour) -> None:
    for name in ("a.txt", "b%20b.txt", "c.txt"):
        assert tour.ask("PUT", f"upload/{name}", TEXT).status_code == 201
    for path in ("", "upload", "upload?limit=1&sort=-size&q=t", "download", "download?limit=1"):
        tour.ask("GET", path, headers=HTML)
    tour.ask("GET", "nowhere", headers=HTML)
    asked: set[str] = set()
    while unasked := tour.links - asked:
        for url in unasked:
            status = tour.ask("GET", url, headers=HTML).status_code
            is_form = url.endswith("/archive.zip")  # its address alone asks for no file
            assert status == 400 if is_form else status in (200, 302), url
        asked |= unasked
    assert tour.misplaced == []
    assert len([url for url in asked if url.startswith(f"{BASE}/assets/")]) > 8
    assert len(asked) > 20


@pytest.mark.parametrize(
    "tour",
    [
        pytest.param(
            set_up, id=name, marks=THOROUGH if name.startswith(("fields", "a public URL,")) else []
        )
        for name, set_up in SET_UPS.items()
    ],
    indirect=True,
)
@every_row("accept", ["text/html", "application/json"])
def test_no_answer_of_any_route_leads_out_of_the_prefix(tour: Tour, accept: str) -> None:
    for path, methods in paths(tour.app).items():
        for method in methods:
            fields = VERSION | {"Accept": accept, "Origin": "https://app.example"}
            answer = tour.ask(method, path.removeprefix("/"), headers=fields)
            assert answer.status_code < 500, (method, path)
    assert [line for line in tour.misplaced if "https://app.example" not in line] == []
