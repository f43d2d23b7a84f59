"""GET /healthz: whether files can be stored now; GET /readyz: whether all is as it should be.

GET /livez: whether the process answers, which a supervisor restarts if it does not.
All clients that ask share one check of the store, and one of the virus scanner. None waits long for
a check that hangs.
"""

import operator
import threading
import time
from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from fileservice.access import AccessFile, Action
from fileservice.storage import StorageError, StorageFull, StorageUnavailable, Store
from fileservice.web.audit import require_audit_log
from fileservice.web.door import requires
from fileservice.web.errors import AuditUnavailable, NotReady, ShuttingDown
from fileservice.web.security_headers import JSON_HEADERS
from fileservice.wsgi_extensions import is_stopping

_CHECK_SECONDS = 3.0
"""A check must end within this time, since clients have time limits as well."""


def routes(
    health: "SharedCheck", scanner: "SharedCheck | None", access_file: AccessFile | None
) -> Blueprint:
    """Return the routes for health checks. What the check of the scanner raises is not shown."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    @requires(Action.PUBLIC)
    def check_health() -> Response:
        _require_running()
        health.require()
        return _ok()

    @blueprint.get("/livez")
    @requires(Action.PUBLIC)
    def check_life() -> Response:
        return _ok()

    @blueprint.get("/readyz")
    @requires(Action.PUBLIC)
    def check_readiness() -> Response:
        _require_running()
        try:
            health.require()
        except StorageError as error:
            raise NotReady(str(error)) from error
        if access_file and access_file.error:
            # Anybody may ask, and the mistakes name tokens and people: only the log has them.
            raise NotReady("ACCESS_FILE cannot be read or has mistakes, which are in the log")
        if scanner:
            _require_scanner(scanner)
        try:
            require_audit_log(request.environ)
        except AuditUnavailable as error:
            raise NotReady("the audit log takes no lines at present") from error
        return _ok()

    return blueprint


def _require_scanner(scanner: "SharedCheck") -> None:
    try:
        scanner.require()
    except Exception as error:
        raise NotReady("the virus scanner does not work; the log says why") from error


def _require_running() -> None:
    if is_stopping(request.environ):
        raise ShuttingDown


def _ok() -> Response:
    response = jsonify(status="ok")
    response.headers.update(JSON_HEADERS)
    return response


class SharedCheck:
    """Calls `check`, which raises what is wrong with `what`, and keeps the result for a while.

    One check runs at a time, and the next begins at the earliest `interval` seconds after the
    last one began, however many clients ask. `check` may hang, as it does on a disk that hangs;
    no client waits for it longer than three seconds. `run` calls it in a thread that no other work
    shares; the result counts as soon as it is there, however late a busy event loop passes it on.
    """

    def __init__(
        self,
        check: Callable[[], None],
        interval: float,
        what: str = "the storage",
        run: Callable[[Callable[[], None]], None] = operator.call,
    ) -> None:
        self._check = check
        self._what = what
        self._run = run
        self._interval = interval
        self._lock = threading.Lock()
        self._last: _Check | None = None

    def require(self) -> None:
        """Raise what was wrong at the last check, StorageUnavailable while a check hangs."""
        check = self._recent_check()
        check.ended.wait(max(0.0, check.began + _CHECK_SECONDS - time.monotonic()))
        if not (check.has_answer or check.error):  # in this order: the error is set first
            raise StorageUnavailable(
                f"{self._what} has not answered for {_CHECK_SECONDS:.0f} seconds"
            )
        if check.error:
            # Without the traceback of the request for which it was raised before.
            raise check.error.with_traceback(None)

    def _recent_check(self) -> "_Check":
        with self._lock:
            last = self._last
            if not last or (last.ended.is_set() and last.began + self._interval < time.monotonic()):
                last = self._last = _Check(self._check)
                threading.Thread(target=last.run, args=(self._run,), daemon=True).start()
            return last


class _Check:
    """One check and its result."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self.began = time.monotonic()
        self.has_answer = False
        """Whether the check has ended; `ended` may be set later, as that needs the event loop."""
        self.ended = threading.Event()
        self.error: Exception | None = None

    def run(self, run: Callable[[Callable[[], None]], None]) -> None:
        try:
            run(self._ask)
        except Exception as error:  # noqa: BLE001  # raised again in each request
            self.error = error
        finally:
            self.ended.set()

    def _ask(self) -> None:
        try:
            self._check()
        except Exception as error:  # noqa: BLE001  # raised again in each request
            self.error = error
        self.has_answer = True


def check_store(store: Store, min_free: int) -> None:
    """Raise what prevents files from being stored now; `min_free` bytes must stay free."""
    store.check()
    free = store.free_space()
    if free is not None and free < min_free:
        raise StorageFull(
            f"the storage has less free space than the {min_free} bytes that must stay free;"
            " nothing more is stored"
        )
