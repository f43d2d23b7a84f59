"""Cross-origin requests."""

from typing import Any

from flask import Flask, Response
from flask.testing import FlaskClient

from fileservice.web.hooks import Hooks
from fileservice.web.middleware import cors
from fileservice.web.origins import AllowedOrigins
from tests.support.rows import every_row

APP = "https://app.example"


def client(*origins: str) -> FlaskClient:
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/file", view_func=lambda: "text", methods=["GET", "PUT"])
    hooks = Hooks()
    cors.register(hooks, AllowedOrigins(origins), ["X-Remote-User"])
    hooks.register(app)
    return app.test_client(use_cookies=False)


def allowed(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if "Access-Control" in name}


def test_without_origins_nothing_is_added() -> None:
    response = client().get("/file", headers={"Origin": APP})
    assert allowed(response) == {}
    assert "Vary" not in response.headers


def test_an_origin_that_is_named_may_read_the_response() -> None:
    response = client(APP, "https://b.example").get("/file", headers={"Origin": APP})
    assert response.headers["Access-Control-Allow-Origin"] == APP
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "ETag", "Upload-Offset", "WWW-Authenticate"} <= set(exposed)
    assert response.headers["Vary"] == "Origin"


@every_row("origin", ["https://evil.example", "null", "http://app.example", APP + "/"])
def test_another_origin_gets_no_permission_and_the_response_varies_by_origin(origin: str) -> None:
    response = client(APP).get("/file", headers={"Origin": origin})
    assert allowed(response) == {}
    assert response.headers["Vary"] == "Origin"


def test_a_star_allows_every_origin() -> None:
    response = client("*").get("/file", headers={"Origin": "https://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_beside_a_star_an_origin_that_is_named_keeps_its_own_permission() -> None:
    response = client("*", APP).get("/file", headers={"Origin": APP, "Cookie": "a=b"})
    assert response.headers["Access-Control-Allow-Origin"] == APP


@every_row("field", ["Cookie: a=b", "Authorization: Basic YTpi"])
def test_a_star_allows_nobody_to_read_what_the_browser_asks_for_with_its_credentials(
    field: str,
) -> None:
    name, _, value = field.partition(": ")
    headers = {"Origin": "https://any.example", name: value}
    assert allowed(client("*").get("/file", headers=headers)) == {}
    assert allowed(client("*").get("/nothing", headers=headers)) == {}
    token = headers | {"Authorization": "Bearer a"}
    assert allowed(client("*").get("/file", headers=token)) != {}


@every_row("origins", [(APP,), ("*",)])
def test_scripts_may_not_send_what_a_proxy_says(origins: tuple[str, ...]) -> None:
    def allowed_fields(requested: str) -> str | None:
        preflight = {
            "Origin": APP,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": requested,
        }
        response = client(*origins).options("/file", headers=preflight)
        return response.headers.get("Access-Control-Allow-Headers")

    assert allowed_fields("authorization,x-remote-user") == "authorization"
    assert allowed_fields("X-Remote-User, X-Forwarded-For,Tus-Resumable") == "Tus-Resumable"
    assert allowed_fields("x-forwarded-for") is None


def test_a_response_without_an_origin_varies_by_origin_as_well() -> None:
    response = client("*").get("/file")
    assert allowed(response) == {}
    assert response.headers["Vary"] == "Origin"


def test_cookies_are_never_allowed() -> None:
    for origins in (("*",), (APP,)):
        response = client(*origins).get("/file", headers={"Origin": APP})
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_gets_the_methods_and_the_fields_that_it_asks_for() -> None:
    response = client(APP).options(
        "/file",
        headers={
            "Origin": APP,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "upload-offset,tus-resumable",
        },
    )
    assert "PATCH" in response.headers["Access-Control-Allow-Methods"].split(", ")
    assert response.headers["Access-Control-Allow-Headers"] == "upload-offset,tus-resumable"
    assert response.headers["Access-Control-Max-Age"] == "86400"


def test_an_options_request_that_is_no_preflight_gets_no_methods() -> None:
    response = client(APP).options("/file", headers={"Origin": APP})
    assert "Access-Control-Allow-Methods" not in response.headers


def test_an_error_can_be_read_as_well() -> None:
    response = client(APP).get("/nothing", headers={"Origin": APP})
    assert response.status_code == 404
    assert response.headers["Access-Control-Allow-Origin"] == APP


EMBEDDING = "Cross-Origin-Resource-Policy"


def policy_for(*origins: str, path: str = "/file", **fields: str) -> str:
    app = Flask(__name__, static_folder=None)
    file = Response("text", headers={EMBEDDING: "same-origin"})
    for rule in ("/file", "/s/secret/file"):
        app.add_url_rule(rule, rule, view_func=lambda: file)
    hooks = Hooks()
    cors.register(hooks, AllowedOrigins(origins))
    hooks.register(app)
    response = app.test_client(use_cookies=False).get(path, headers=fields)
    return response.headers[EMBEDDING]


def test_pages_of_an_origin_that_is_named_may_embed_files() -> None:
    assert policy_for(APP, Referer=f"{APP}/") == "cross-origin"
    assert policy_for(APP, Origin=APP) == "cross-origin"
    assert policy_for("*") == "cross-origin"


@every_row(
    "fields",
    [
        {},
        {"Referer": "https://evil.example/"},
        {"Referer": f"https://evil.example/{APP}/"},
        {"Referer": f"{APP}.evil.example/"},
        {"Referer": "https://app.example@evil.example/"},
        {"Referer": "https://[/"},
        {"Referer": f"{APP}/", "Origin": "https://evil.example"},
    ],
)
def test_pages_of_other_origins_may_not_embed_files(fields: dict[str, str]) -> None:
    assert policy_for(APP, **fields) == "same-origin"


def test_where_all_may_embed_nothing_is_embedded_with_the_rights_of_a_person() -> None:
    assert policy_for("*", Cookie="session=x") == "same-origin"
    assert policy_for("*", Authorization="Basic x") == "same-origin"


def test_files_of_links_are_not_embedded() -> None:
    assert policy_for("*", APP, path="/s/secret/file", Referer=f"{APP}/") == "same-origin"
