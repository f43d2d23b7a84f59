"""/s/<secret>: what somebody may do who has the URL of a link, and nothing else.

Looking at the page of a link takes no use of it, nor do HEAD and the previews of chat programs.
"""

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for

from fileservice.access import Action, Link, LinkGone, PasswordNeeded, uses_left
from fileservice.names import FileName
from fileservice.storage import StoredFile
from fileservice.web import query_arguments
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.errors import NoSuchFile
from fileservice.web.link_access import LinkAccess
from fileservice.web.link_credentials import link_of
from fileservice.web.link_pages import download_expires, download_to_json, upload_to_json
from fileservice.web.link_transfers import LinkTransfers
from fileservice.web.representations import stored_response
from fileservice.web.requests import prefers_html
from fileservice.web.routes.uploads import receive_form
from fileservice.web.security_headers import JSON_HEADERS, PAGE_HEADERS
from fileservice.web.small_form import read_small_form
from fileservice.web.urls import base_url, link_url


def routes(dependencies: Dependencies, access: LinkAccess, transfers: LinkTransfers) -> Blueprint:
    """Return the routes of links, for those who have their secrets."""
    blueprint = Blueprint("shared", __name__)
    cookies = access.cookies

    @blueprint.get("/s/<link_secret>", strict_slashes=False)
    @requires(Action.OPEN_LINK, query_arguments.ANY)
    def page(link_secret: str) -> Response:
        link = link_of(request.environ)
        if principal_of(request.environ).locked:
            raise PasswordNeeded
        if link.upload:
            return upload_page(link_secret, link)
        file = transfers.file(link)
        left = uses_left(link, cookies.client(request.environ, link_secret))
        if left == 0:
            raise LinkGone
        return download_page(link_secret, link, file, left)

    def download_page(link_secret: str, link: Link, file: StoredFile, left: int | None) -> Response:
        base = base_url(dependencies.public_url)
        url = link_url(base, link_secret, file.name)
        if not prefers_html(request.environ):
            return _json(download_to_json(link, file, left, url, base))
        response = _page(
            "link_download.html",
            file=file,
            href=url_for("shared.download", link_secret=link_secret, name=file.name),
            url=url,
            uses_left=left,
            expires=download_expires(link, file),
        )
        cookies.keep_visitor(response, request.environ, link_secret)
        return response

    def upload_page(link_secret: str, link: Link) -> Response:
        assert link.upload
        if not prefers_html(request.environ):
            return _json(upload_to_json(link, link.upload, dependencies.policy))
        return _page(
            "link_upload.html",
            link_secret=link_secret,
            link=link,
            bearer=cookies.bearer(link_secret, link),
            policy=dependencies.policy,
            sent=cookies.sent(request.environ, link_secret, link),
        )

    @blueprint.post("/s/<link_secret>", strict_slashes=False)
    @requires(Action.WRITE, query_arguments.OF_UPLOADS)
    def upload(link_secret: str) -> Response:
        link = link_of(request.environ)
        assert link.upload
        result = receive_form(dependencies, prefix=link.upload.prefix)
        if not prefers_html(request.environ):
            base = base_url(dependencies.public_url)
            return stored_response(result.file, base, created=result.created)
        response = _to_page(link_secret)
        keep_sent = cookies.keep_sent
        dependencies.executor.run_io(
            keep_sent,
            response,
            request.environ,
            link_secret,
            link,
            result.file.name,
            result.file.size,
        )
        return response

    @blueprint.post("/s/<link_secret>/password")
    @requires(Action.OPEN_LINK)
    def say_password(link_secret: str) -> Response:
        form = read_small_form(request.environ, dependencies.idle_timeout)
        link = link_of(request.environ)
        if principal_of(request.environ).locked:
            dependencies.door.unlock(request.environ, form.get("password", ""))
        response = _to_page(link_secret)
        if link.password:
            environ = request.environ
            dependencies.executor.run_io(cookies.keep_proof, response, environ, link_secret, link)
        return response

    @blueprint.get("/s/<link_secret>/<stored_file:name>")
    @requires(Action.READ)
    def download(link_secret: str, name: FileName) -> Response:  # noqa: ARG001
        raise NoSuchFile(name)  # see `downloads.routes`

    return blueprint


def _json(members: dict[str, object]) -> Response:
    response = jsonify(members)
    response.headers.update(JSON_HEADERS)
    response.headers["Vary"] = "Accept"
    return response


def _page(template: str, **values: object) -> Response:
    html = render_template(template, **values)
    headers = PAGE_HEADERS | {"Vary": "Accept"}
    return Response(html, mimetype="text/html", headers=headers)


def _to_page(link_secret: str) -> Response:
    response: Response = redirect(url_for("shared.page", link_secret=link_secret), 303)  # type: ignore[assignment]
    return response
