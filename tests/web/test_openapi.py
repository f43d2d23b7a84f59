"""The description of the service: valid, complete, and true of what is answered."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from fileservice.web.openapi import schemas
from fileservice.web.problems import TABLE
from tests.access.rules import SECRET, token
from tests.support.calls import CALLS, LINK, Call
from tests.support.rows import every_row
from tests.web.application import TEXT, application

AUTOMATIC = {"OPTIONS", "HEAD"}
"""Methods that Flask adds to rules; the description has them where the contract says something."""
TOKEN = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    access = tmp_path_factory.mktemp("access") / "access.toml"
    access.write_text(token(scopes='["list", "read", "write", "delete", "share"]'))
    return application(
        tmp_path_factory.mktemp("described"),
        ACCESS_FILE=str(access),
        MAX_FILE_SIZE="1KiB",
        ALLOWED_EXTENSIONS="txt,pdf",
        PUBLIC_URL="https://example.org/files",
    )


@pytest.fixture(scope="module")
def client(app: Flask) -> FlaskClient:
    return app.test_client(use_cookies=False)


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert isinstance(answer.json, dict)
    return answer.json


def path_of(rule: str) -> str:
    """The path of a rule, as OpenAPI writes it."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    from openapi_spec_validator import OpenAPIV31SpecValidator  # takes 0.2 s to load

    OpenAPIV31SpecValidator(document).validate()


def test_it_says_where_the_service_is_and_what_its_settings_are(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "https://example.org/files"}]
    assert "at most 1KiB" in document["info"]["description"]
    assert "pdf, txt." in document["info"]["description"]


def test_it_describes_exactly_the_routes(app: Flask, document: dict[str, Any]) -> None:
    described = {(method, path) for method, path, _ in operations(document)}
    routes = {
        (method, path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    assert {call for call in routes if call[0] not in AUTOMATIC} <= described <= routes


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_it_says_what_every_call_needs(document: dict[str, Any]) -> None:
    needs = {(method, path): set(op["x-needs"]) for method, path, op in operations(document)}
    for call in CALLS.values():
        if call.declares is None and (key := (call.method, path_of(call.rule))) in needs:
            assert needs[key] == call.needs, key


def test_it_has_exactly_the_problems_that_there_are(document: dict[str, Any]) -> None:
    described: dict[str, set[str]] = {}
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            answer = resolved(document, response)
            for code in re.findall(r"\(`([a-z-]+)`\)", answer["description"]):
                described.setdefault(code, set()).add(status)
    table = {row.code: {str(row.status)} for row in TABLE}
    assert described == table


def test_every_member_of_a_problem_has_a_schema_that_is_used(document: dict[str, Any]) -> None:
    members = {name for row in TABLE for names in row.raised.values() for name in names}
    assert members | {"id"} == schemas.MEMBERS.keys()


def resolved(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The response to which a reference leads."""
    if "$ref" not in response:
        return response
    found: dict[str, Any] = document["components"]["responses"][response["$ref"].split("/")[-1]]
    return found


def assert_described(document: dict[str, Any], call: str, answer: TestResponse) -> None:
    """The document has the status of the answer, and a schema that its body matches."""
    method, path = call.split()
    status = str(answer.status_code)
    responses = document["paths"][path][method.lower()]["responses"]
    assert status in responses, f"{call} answers {answer.status}"
    described = resolved(document, responses[status])
    for name in described.get("headers", {}):
        assert name in document["components"]["headers"]
    if not answer.data:
        return
    assert {answer.mimetype, "*/*"} & described["content"].keys(), f"{call}: {answer.mimetype}"
    if "json" in answer.mimetype:
        schema = described["content"][answer.mimetype]["schema"]
        root = {**schema, "components": document["components"]}
        from jsonschema import Draft202012Validator

        Draft202012Validator(root).validate(json.loads(answer.data))


@every_row("call", CALLS.values())
@every_row("accept", ["*/*", "text/html"])
def test_every_call_is_answered_as_described(
    client: FlaskClient, document: dict[str, Any], call: Call, accept: str
) -> None:
    path = path_of(call.rule)
    if (call.method.lower()) not in document["paths"][path]:
        return  # a HEAD of what GET describes
    name = f"{abs(hash((call.method, call.rule, accept)))}.txt"
    upload = ""
    if call.expects == "file":
        client.put(f"/upload/{name}", data=TEXT)
    if call.expects == "upload":
        part = CALLS["tus: create a part"].request("", "")
        created = client.post("/tus/", headers=part.headers)
        upload = created.headers["Location"].rpartition("/")[2]
    request = call.request(name, upload)
    answer = client.open(
        request.path,
        method=request.method,
        data=request.body,
        headers={**request.headers, "Accept": accept},
    )
    if call.needs != LINK:
        assert answer.status_code != 404 or call.status == 404
    assert_described(document, f"{call.method} {path}", answer)


GRANTS = {
    "a file": {"name": "linked.txt", "uses": 2, "password": "x", "expires": "7d", "note": "n"},
    "uploads": {"upload": {"prefix": "from-", "files": 2, "bytes": "1KiB"}},
}


@every_row("terms", GRANTS.values())
def test_links_are_answered_as_described(
    client: FlaskClient, document: dict[str, Any], terms: dict[str, object]
) -> None:
    client.put("/upload/linked.txt", data=TEXT)
    made = client.post("/links", json=terms, headers=TOKEN)
    assert made.status_code == 201
    assert made.json
    assert_described(document, "POST /links", made)
    assert_described(document, "GET /links", client.get("/links", headers=TOKEN))
    shown = client.get(f"/links/{made.json['id']}", headers=TOKEN)
    assert_described(document, "GET /links/{link_id}", shown)
    secret = made.json["url"].rpartition("/")[2]
    password = {"Authorization": f"Basic {b64encode(b':x').decode()}"}
    asked = client.get(f"/s/{secret}")
    allowed = client.get(f"/s/{secret}", headers=password if "password" in terms else {})
    assert (asked.status_code, allowed.status_code) == (401 if "password" in terms else 200, 200)
    for page in (asked, allowed):
        assert_described(document, "GET /s/{link_secret}", page)


WRONG = [
    ("PUT /upload/{name}", "PUT", "/upload/.hidden", {}, 400),
    ("PUT /upload/{name}", "PUT", "/upload/a.exe", {}, 415),
    ("PUT /upload/{name}", "PUT", "/upload/a.pdf", {}, 415),
    ("PUT /upload/{name}", "PUT", "/upload/a.txt?x=1", {}, 400),
    ("PUT /upload/{name}", "PUT", "/upload/a.txt", {"If-Match": '"x"'}, 412),
    ("PUT /upload/{name}", "PUT", "/upload/a.txt", {"Sec-Fetch-Site": "cross-site"}, 403),
    ("PUT /upload/{name}", "PUT", "/upload/a.txt", {"Content-Digest": "x"}, 400),
    ("POST /upload", "POST", "/upload", {"Content-Type": "text/plain"}, 400),
    ("GET /download", "GET", "/download?limit=x", {}, 400),
    ("GET /download", "GET", "/download", {"Authorization": "Bearer x"}, 401),
    ("GET /download/{name}", "GET", "/download/none.txt", {}, 404),
    ("GET /healthz", "GET", "/healthz", {"Host": "a b"}, 400),
    ("POST /tus/", "POST", "/tus/", {}, 412),
    ("PATCH /tus/{upload}", "PATCH", "/tus/0", {"Tus-Resumable": "1.0.0"}, 415),
    ("POST /links", "POST", "/links", {"Content-Type": "application/json"}, 401),
]


@every_row(("call", "method", "path", "headers", "status"), WRONG)
def test_problems_are_answered_as_described(
    client: FlaskClient,
    document: dict[str, Any],
    call: str,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    body = None if method == "GET" else TEXT
    answer = client.open(path, method=method, headers=headers, data=body)
    assert answer.status_code == status
    assert_described(document, call, answer)


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
VALUES = {"name": "a.txt", "upload": "0" * 32, "link_id": "0" * 32, "link_secret": "x" * 43}


def methods_at(document: dict[str, Any], url: str) -> set[str]:
    """The methods of every path that a URL may be of: /s/x/password may be that of a file, too."""
    patterns = {path: re.sub("{.+?}", "[^/]+", path) for path in document["paths"]}
    found = [m for path, m in document["paths"].items() if re.fullmatch(patterns[path], url)]
    described = {method.upper() for methods in found for method in methods}
    return described | ({"HEAD"} if "GET" in described else set()) | {"OPTIONS"}


def test_other_methods_of_a_path_are_answered_as_each_of_its_operations_says(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    wrong = []
    for path, methods in document["paths"].items():
        url = re.sub("{(.+?)}", lambda match: VALUES.get(match[1], "x"), path)
        allowed = methods_at(document, url)
        for method in METHODS - allowed:
            answer = client.open(url, method=method, data=TEXT if method != "GET" else None)
            found = answer.status_code, answer.headers.get("Allow")
            if found != (405, ", ".join(sorted(allowed))):
                wrong.append((method, url, *found))
            for described in set(methods) - {"head"}:  # whose answers have no body
                assert_described(document, f"{described.upper()} {path}", answer)
                response = methods[described]["responses"]["405"]
                assert "Allow" in resolved(document, response)["headers"]
    assert wrong == []


def test_the_page_leads_programs_to_the_document(client: FlaskClient) -> None:
    link = client.get("/upload").headers["Link"]
    assert link == '</files/openapi.json>; rel="service-desc"'


def test_the_document_is_not_sent_again_while_it_is_the_same(client: FlaskClient) -> None:
    for path in ("/openapi.json", "/docs"):
        answer = client.get(path)
        assert answer.headers["Cache-Control"] == "no-cache"
        headers = {"If-None-Match": answer.headers["ETag"]}
        assert client.get(path, headers=headers).status_code == 304


def test_the_page_of_it_has_every_operation_and_needs_no_other_host(
    client: FlaskClient, document: dict[str, Any]
) -> None:
    answer = client.get("/docs")
    for _, _, operation in operations(document):
        assert f'id="{operation["operationId"]}"' in answer.text
    anchors = re.findall(r'href="#([^"]*)"', answer.text)
    assert all(f'id="{anchor}"' in answer.text for anchor in anchors)
    loaded = re.findall(r'(?:src|<link [^>]*href)="([^"]*)"', answer.text)
    assert loaded
    assert all(address.startswith("/files/assets/") for address in loaded)
    assert "<script" not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'; form-action")


def test_the_page_needs_no_credentials(tmp_path: Path) -> None:
    client = application(tmp_path, ANONYMOUS="none").test_client()
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/docs").status_code == 200


def test_each_client_gets_the_addresses_by_which_it_reaches_the_service(tmp_path: Path) -> None:
    client = application(tmp_path, TRUSTED_PROXIES="127.0.0.1", ALLOWED_HOSTS="*").test_client()
    for prefix, host in (("/a", "one.example"), ("/b", "two.example"), ("/a", "one.example")):
        headers = {"X-Forwarded-Prefix": prefix, "X-Forwarded-Host": host}
        servers = client.get("/openapi.json", headers=headers).json["servers"]
        assert servers == [{"url": f"http://{host}{prefix}"}]
        assert f'href="{prefix}/openapi.json"' in client.get("/docs", headers=headers).text
