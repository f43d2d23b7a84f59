"""Problem details as pages, for people, and the errors of the views of Flask."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import Flask, Response, render_template, request, url_for
from jinja2 import DictLoader
from werkzeug.wrappers import Response as AnyResponse

from fileservice import access
from fileservice.web import errors as web
from fileservice.web.hooks import Hooks
from fileservice.web.problems import problem_response
from fileservice.web.requests import is_by_page, prefers_html
from fileservice.web.security_headers import PAGE_HEADERS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def register(app: Flask) -> None:
    """Have `app` report every error by the table of problems."""
    app.register_error_handler(Exception, report)
    # Templates are read now, since a process without free descriptors could not open them. Each is
    # compiled when it is first needed: all of them take a tenth of a second of a start. One is
    # compiled now, which imports what the others need.
    environment, loader = app.jinja_env, app.create_global_jinja_loader()
    sources = {name: loader.get_source(environment, name)[0] for name in loader.list_templates()}
    environment.loader = DictLoader(sources)
    environment.get_template("problem.html")


def report(error: Exception) -> Response:
    """Return the response that reports `error`, in the context of a request to Flask.

    Who opens the page and needs credentials is redirected to the page for signing in.
    """
    if isinstance(error, access.Unauthenticated) and _is_opening_page():
        return _to_sign_in()
    return problem_response(request.environ, error, _page)


def report_beside(
    app: Flask, hooks: Hooks, environ: "WSGIEnvironment", error: Exception
) -> AnyResponse:
    """Return the response of a WSGI application beside `app`, whose pages need its context."""
    if prefers_html(environ):
        with app.request_context(environ):
            return app.process_response(report(error))  # which runs the hooks
    response = problem_response(environ, error, _page)
    hooks.run_after(environ, response)
    return response


def _page(problem: Mapping[str, object], error: Exception) -> Response:
    if isinstance(error, web.SignInRejected):
        html = render_template("sign_in.html", problem=problem, return_to=error.return_to)
    elif isinstance(error, access.PasswordNeeded) and request.blueprint == "shared":
        html = render_template("link_password.html", is_wrong=error.is_wrong)
    else:
        html = render_template("problem.html", problem=problem)
    return Response(html, mimetype="text/html", headers=PAGE_HEADERS)


def _is_opening_page() -> bool:
    """Return whether a person opens the page, without credentials that are wrong."""
    is_page = request.endpoint == "pages.upload_page" and request.method in ("GET", "HEAD")
    is_person = prefers_html(request.environ) and not is_by_page(request.environ)
    return is_page and is_person and "Authorization" not in request.headers


def _to_sign_in() -> Response:
    query = request.query_string.decode("latin-1")
    return_to = url_for("pages.upload_page") + ("?" + query if query else "")
    location = url_for("sign_in.sign_in_page", next=return_to)
    return Response(
        status=302, headers={"Location": location, "Vary": "Accept", "Cache-Control": "no-store"}
    )
