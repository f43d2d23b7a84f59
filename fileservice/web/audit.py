"""The audit log: who has done what to which file, and from where.

Each event is an object in JSON on one line of ASCII, so that no name can look like another event.
Neither secrets nor header fields of the client are in it.

Nothing is to be done unaudited. So requests fail while the log takes no lines: those that would
change something before they have, and the others with the line that cannot be written.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fileservice.brief_calls import call_blocking
from fileservice.request_record import (
    AUDIT_LOG,
    AUDIT_LOGGER,
    AuditLog,
    record_of,
)
from fileservice.storage import StoredFile
from fileservice.web.errors import AuditUnavailable
from fileservice.web.requests import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(AUDIT_LOGGER)
_ANONYMOUS = "anonymous"
_OF_WHAT_IS_DONE = frozenset(
    {"stored", "replaced", "deleted", "link-made", "link-revoked", "signed-out"}
)
"""Events that are reported when nothing can prevent them any more. Of the others, the client has
nothing without its answer."""


def require_audit_log(environ: "WSGIEnvironment") -> None:
    """Raise AuditUnavailable if the audit log takes no lines at present."""
    log: AuditLog | None = environ.get(AUDIT_LOG)
    if log and log.is_blocked():
        raise AuditUnavailable


def audit(environ: "WSGIEnvironment", event: str, **details: str | int | None) -> None:
    """Write an event to the audit log, if there is one, before the client gets its answer.

    `details` that are None are left out. Raise AuditUnavailable if the event cannot be written now.
    One of something that was done already is kept in memory until it can be.
    """
    _audit(environ, event, [details])


def audit_files(environ: "WSGIEnvironment", event: str, *files: StoredFile) -> None:
    """Write the same event about each of some stored files. Raise AuditUnavailable."""
    if not _log.isEnabledFor(logging.INFO):
        return
    _audit(
        environ,
        event,
        [
            {
                "file": file.name,
                "size": file.size,
                "version": file.version,
                "sha256": file.content.sha256.hex() if file.content.sha256 else None,
            }
            for file in files
        ],
    )


def _audit(
    environ: "WSGIEnvironment", event: str, details: Iterable[Mapping[str, str | int | None]]
) -> None:
    if not _log.isEnabledFor(logging.INFO):
        return
    now = time.time()
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    fields = {
        "time": f"{second}.{int(now % 1 * 1000):03d}Z",
        "event": event,
        "principal": environ.get("REMOTE_USER") or _ANONYMOUS,
        "client": client_address(environ),
        "request-id": record_of(environ).id,
    }
    lines = [
        json.dumps(fields | {name: value for name, value in each.items() if value is not None})
        for each in details
    ]
    _write(environ, lines, is_done=event in _OF_WHAT_IS_DONE)


def _write(environ: "WSGIEnvironment", lines: Iterable[str], *, is_done: bool) -> None:
    log: AuditLog | None = environ.get(AUDIT_LOG)
    if log is None:
        for line in lines:
            _log.info("%s", line)
        return
    if not is_done:
        require_audit_log(environ)
    waits = [log.add(line) for line in lines]
    # They are written in their order. A thread that stores several files waits for them together.
    if waits and not call_blocking(waits[-1]) and not is_done:
        raise AuditUnavailable
