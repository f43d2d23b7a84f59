"""/links: make links, list them, and revoke them."""

import time
from datetime import UTC, datetime
from itertools import islice

from flask import Blueprint, Response, jsonify, request

from fileservice.access import (
    Action,
    DownloadGrant,
    Forbidden,
    Link,
    LinkTerms,
    NoSuchLink,
    Principal,
    Scope,
    UploadGrant,
    count_taken,
    decide,
    hash_password,
    open_account,
)
from fileservice.storage import NotFound, OwnedFile, Store
from fileservice.web import query_arguments
from fileservice.web.audit import audit
from fileservice.web.dependencies import Dependencies
from fileservice.web.door import principal_of, requires
from fileservice.web.json_body import read_json
from fileservice.web.link_selection import LinkSelection
from fileservice.web.qr_code import qr_code
from fileservice.web.responses import empty
from fileservice.web.revalidation import revalidated
from fileservice.web.security_headers import JSON_HEADERS, LIST_HEADERS
from fileservice.web.urls import base_url, download_url, link_url

MAX_LISTED_FILES = 1000
"""How many of the files that came by a link are listed."""
_STATS_AT_ONCE = 8


def routes(dependencies: Dependencies) -> Blueprint:
    """Return the routes for links."""
    blueprint = Blueprint("links", __name__)
    executor, links, door = dependencies.executor, dependencies.links, dependencies.door

    @blueprint.post("/links", strict_slashes=False)
    @requires(Action.SHARE)
    def make() -> Response:
        dependencies.sweeper.sweep_if_due()
        document = read_json(request.environ, dependencies.idle_timeout)
        terms = LinkTerms.parse(document, time.time())
        grant = _grant(dependencies, terms, principal_of(request.environ))
        password = ""
        if terms.password:
            password = executor.run_io(executor.run_cpu, hash_password, terms.password)
        link, secret = executor.run_io(
            links.create,
            door.maker(request.environ),
            grant,
            expires=terms.expires,
            note=terms.note,
            password=password,
        )
        if link.upload:
            executor.run_io(open_account, dependencies.store.usage, link.principal_id)
        audit(
            request.environ,
            "link-made",
            link=link.id,
            file=link.download.name if link.download else None,
            prefix=link.upload.prefix if link.upload else None,
        )
        url = link_url(base_url(dependencies.public_url), secret)
        made = {**_describe(dependencies, link), "url": url, "qr": qr_code(url)}
        response = _json(made, 201)
        response.headers["Location"] = f"{base_url(dependencies.public_url)}/links/{link.id}"
        return response

    @blueprint.get("/links", strict_slashes=False)
    @requires(Action.MANAGE_LINKS, query_arguments.OF_LINKS)
    def list_links() -> Response:
        principal = principal_of(request.environ)
        maker = None if Scope.ADMIN in principal.scopes else principal.id
        selection = LinkSelection.parse(request.args)
        found, next_query = selection.select(executor.run_io(lambda: list(links.list(maker))))
        present = _with_files(dependencies, found)
        response = _json([_describe(dependencies, link, link.id in present) for link in found])
        response.headers.update(LIST_HEADERS)
        if next_query:
            base = base_url(dependencies.public_url)
            response.headers["Link"] = f'<{base}/links?{next_query}>; rel="next"'
        return revalidated(response)

    @blueprint.get("/links/<link:link_id>")
    @requires(Action.MANAGE_LINKS)
    def show(link_id: str) -> Response:
        link = _own(dependencies, link_id)
        files = executor.run_io(_files, dependencies.store, link) if link.upload else []
        base = base_url(dependencies.public_url)
        listed = [
            {"filename": file.name, "url": download_url(base, file.name), "size": file.size}
            for file in files
        ]
        is_present = bool(_with_files(dependencies, [link]))
        return _json({**_describe(dependencies, link, is_present), "files": listed})

    @blueprint.delete("/links/<link:link_id>")
    @requires(Action.MANAGE_LINKS)
    def revoke(link_id: str) -> Response:
        link = _own(dependencies, link_id)
        executor.run_io(links.revoke, link.id)
        audit(request.environ, "link-revoked", link=link.id)
        return empty(204)

    return blueprint


def _grant(
    dependencies: Dependencies, terms: LinkTerms, maker: Principal
) -> DownloadGrant | UploadGrant:
    """Return what the link gives. Raise Forbidden if its maker has not got that, or NotFound."""
    if terms.upload:
        decide(maker, Action.WRITE)
        if not terms.upload.prefix.startswith(maker.prefix):
            raise Forbidden(prefix=maker.prefix)
        return terms.upload
    assert terms.name is not None
    decide(maker, Action.READ, terms.name)
    stat = dependencies.store.stat
    return DownloadGrant.of(dependencies.executor.run_io(stat, terms.name), terms.uses)


def _own(dependencies: Dependencies, link_id: str) -> Link:
    """Return a link that the principal may see. Raise NoSuchLink, also if it is of another."""
    principal = principal_of(request.environ)
    link = dependencies.executor.run_io(dependencies.links.get, link_id)
    if link.maker.id != principal.id and Scope.ADMIN not in principal.scopes:
        raise NoSuchLink
    return link


def _with_files(dependencies: Dependencies, links: list[Link]) -> set[str]:
    """Return the ids of those links that are for uploads, or whose files are still there."""
    executor, present = dependencies.executor, set[str]()
    for start in range(0, len(links), _STATS_AT_ONCE):
        batch = links[start : start + _STATS_AT_ONCE]
        pending = [executor.submit(_has_file, dependencies.store, link) for link in batch]
        for task in pending:
            task.wait()
        present |= {link.id for link, task in zip(batch, pending, strict=True) if task.result()}
    return present


def _has_file(store: Store, link: Link) -> bool:
    if not link.download:
        return True
    try:
        return link.download.is_for(store.stat(link.download.name))
    except NotFound:
        return False


def _describe(dependencies: Dependencies, link: Link, is_present: bool = True) -> dict[str, object]:
    """Return the JSON object of a link, which does not have the secret.

    `is_present` is whether its file is still there.
    """
    described: dict[str, object] = {
        "id": link.id,
        "maker": link.maker.id,
        "created": _time(link.created),
        "expires": _time(link.expires),
        "state": _state(dependencies, link, is_present=is_present),
        "note": link.note,
        "password": bool(link.password),
    }
    if link.download:
        uses = link.download.uses
        left = None if uses is None else max(0, uses - count_taken(link.uses))
        return described | {"name": link.download.name, "uses": uses, "uses_left": left}
    assert link.upload is not None
    received = dependencies.executor.run_io(dependencies.quota_accounts.stored, link.principal_id)
    return described | {
        "upload": {
            "prefix": link.upload.prefix,
            "files": link.upload.files,
            "bytes": link.upload.bytes,
        },
        "received": received and {"files": received.files, "bytes": received.bytes},
    }


def _state(dependencies: Dependencies, link: Link, *, is_present: bool) -> str:
    if link.revoked is not None:
        return "revoked"
    if link.over is not None and link.over <= time.time():
        return "expired"
    if not dependencies.door.is_usable(link):
        return "void"  # its maker has lost the rights to make it
    if not is_present:
        return "gone"
    limit = link.download.uses if link.download else None
    return "used up" if limit is not None and count_taken(link.uses) >= limit else "valid"


def _files(store: Store, link: Link) -> list[OwnedFile]:
    """Return the files that came by a link for guests, in the order of their names. Blocks."""
    assert link.upload is not None
    owned, now = store.usage.owned_files(link.upload.prefix), time.time()
    came = (
        file
        for file in owned
        if file.owner.guest == link.principal_id and (file.expires is None or file.expires > now)
    )
    return sorted(islice(came, MAX_LISTED_FILES), key=lambda file: file.name)


def _time(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: object, status: int = 200) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers.update(JSON_HEADERS)
    return response
