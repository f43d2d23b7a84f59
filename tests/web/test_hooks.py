"""Hooks: every request passes them, whichever application answers it."""

from pathlib import Path

import pytest
from flask import Flask
from werkzeug.wrappers import Response

from fileservice.web.errors import Overloaded
from fileservice.web.hooks import Hooks
from tests.web.application import application


def test_hooks_run_in_their_order_before_and_in_reverse_order_after_a_request() -> None:
    hooks, calls = Hooks(), []
    for name in ("first", "second"):
        hooks.before(lambda _environ, name=name: calls.append(f"{name} before"))
        hooks.after(lambda _environ, _response, name=name: calls.append(f"{name} after"))
    app = Flask(__name__, static_folder=None)
    app.add_url_rule("/", view_func=lambda: calls.append("view") or "")
    hooks.register(app)
    app.test_client().get("/")
    assert calls == ["first before", "second before", "view", "second after", "first after"]


def test_an_error_of_a_hook_is_the_answer_of_flask() -> None:
    hooks = Hooks()

    @hooks.before
    def refuse(_environ: object) -> None:
        raise Overloaded

    @hooks.after
    def mark(_environ: object, response: Response) -> None:
        response.headers["X-Seen"] = "yes"

    app = Flask(__name__, static_folder=None)
    app.register_error_handler(Overloaded, lambda _: ("busy", 503))
    hooks.register(app)
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["X-Seen"]) == (503, "yes")


REFUSALS = {
    "bad host": ({"Host": "a b"}, 400),
    "wrong host": ({"Host": "evil.example"}, 421),
    "wrong credentials": ({"Authorization": "Bearer x"}, 401),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
def test_a_download_is_refused_as_everything_else_is(
    tmp_path: Path, refusal: str, accept: str
) -> None:
    """Downloads have an application of their own; the list is answered by Flask's."""
    fields, status = REFUSALS[refusal]
    settings = {"ALLOWED_HOSTS": "files.example", "CORS_ORIGINS": "https://app.example"}
    client = application(tmp_path, **settings).test_client()
    (tmp_path / "a.txt").write_text("text\n")
    headers = {"Host": "files.example", "Origin": "https://app.example", "Accept": accept, **fields}
    answers = [client.get(path, headers=headers) for path in ("/download", "/download/a.txt")]
    assert {answer.status_code for answer in answers} == {status}
    differs = ("Content-Length", "X-Request-Id")
    listed, downloaded = ([(n, v) for n, v in a.headers if n not in differs] for a in answers)
    assert sorted(listed) == sorted(downloaded)
    texts = {answer.text.replace(answer.headers["X-Request-Id"], "id") for answer in answers}
    assert len(texts) == 1
