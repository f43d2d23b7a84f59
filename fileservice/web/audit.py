"""The audit log: who has done what to which file, and from where.

Each event is an object in JSON on one line of ASCII, so that no name can look like another event.
Neither secrets nor header fields of the client are in it.
"""

import json
import logging
import time
from typing import TYPE_CHECKING

from fileservice.request_record import AUDIT_LOGGER, record_of
from fileservice.storage import StoredFile
from fileservice.web.requests import client_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger(AUDIT_LOGGER)
_ANONYMOUS = "anonymous"


def audit(environ: "WSGIEnvironment", event: str, **details: str | int | None) -> None:
    """Write an event to the audit log, if there is one, before the client gets its answer.

    `details` that are None are left out.
    """
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
    given = {name: value for name, value in details.items() if value is not None}
    _log.info("%s", json.dumps(fields | given))


def audit_file(environ: "WSGIEnvironment", event: str, file: StoredFile) -> None:
    """Write an event about a stored file."""
    if not _log.isEnabledFor(logging.INFO):
        return
    digest = file.content.sha256
    audit(
        environ,
        event,
        file=file.name,
        size=file.size,
        version=file.version,
        sha256=digest.hex() if digest else None,
    )
