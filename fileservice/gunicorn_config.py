"""How gunicorn runs the service.

`fileservice serve` gives gunicorn this file as its configuration. So does `gunicorn` in a checkout,
where gunicorn.conf.py is a link to it. What prevents a start is told in one line, and at once.
"""

import json
import logging
import math
import os
import resource
import stat
import sys
import traceback
from collections.abc import Set as AbstractSet
from typing import Any

from fileservice import libmagic, listener_file
from fileservice.access import Scope, share_memory
from fileservice.addresses import parse_address
from fileservice.observability import (
    RequestMetrics,
    RequestSpans,
    Sampler,
    SpanProcess,
    check_spans,
    share_rows,
)
from fileservice.serving import held_signals
from fileservice.serving.balance import free_slot
from fileservice.serving.certificates import CertificateError, load_certificate
from fileservice.serving.gunicorn_api import add_settings, set_restart_command
from fileservice.serving.listen_check import CannotListen, check_listeners
from fileservice.serving.log import Log
from fileservice.serving.worker import CLEANUP_SECONDS, TransferWorker, mark_replaced
from fileservice.setting_conflicts import PREFIX
from fileservice.settings import (
    Settings,
    SettingsError,
    cannot_start,
    check_access_file,
)
from fileservice.storage import StorageError, describe_error, verify_store

try:
    _settings = Settings.from_environ(os.environ)
except SettingsError as _error:
    sys.exit(str(_error))

wsgi_app = "fileservice.app:create_app(verified=True)"  # on_starting verifies what it needs
bind = _settings.bind
workers = _settings.workers
worker_class = TransferWorker
worker_connections = 2000
keepalive = 30
idle_timeout = _settings.idle_timeout
drain_delay = _settings.drain_delay
# The master kills workers at the end of it, so requests are cancelled and cleaned up before.
graceful_timeout = math.ceil(_settings.drain_delay + _settings.grace_period + CLEANUP_SECONDS)
timeout = 60
# Enough for every browser and for tus's Upload-Concat; the worker limits the head as a whole.
limit_request_fields = 64
limit_request_field_size = 8190
# For Unix sockets: the group, to which the proxy belongs, may connect, and others may not.
umask = 0o117
errorlog = "-"
accesslog = _settings.request_log
logger_class = Log
Log.as_json = _settings.log_format == "json"
Log.audit_log = _settings.audit_log
control_socket_disable = True

# An upload needs two descriptors. The usual soft limit of 1,024 exists only for select().
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))

share_memory()  # the limits count over all workers, which inherit it
_rows = share_rows()  # as the metrics do

# The application interprets X-Forwarded-*; it knows which proxies to trust (TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
# WSGI has one name for X-Remote-User and X_Remote_User. A proxy that removes the first one from
# what clients send leaves the second one. Fields with underscores are dropped, whoever sends them.
header_map = "drop"
forwarder_headers = ""


def on_reload(server: Any) -> None:
    """Mark the previous workers as replaced, so that they do not report that the service stops.

    Load the certificate anew for those that follow.
    """
    mark_replaced(server.worker_age)
    try:
        load_certificate(server.cfg)
    except CertificateError as error:
        server.log.error("%s; the one that was loaded before is used on", error)


def _verify_clamd() -> list[tuple[int, str]]:
    """Return lines for the log if clamd does not work. Raise SettingsError if it never would."""
    if not _settings.clamd_url:
        return []
    from fileservice.operator_checks import clamd_of, verify_clamd

    warning = verify_clamd(clamd_of(_settings), _settings)
    return [(logging.WARNING, warning)] if warning else []


def _check_traces() -> None:
    """Raise SettingsError if spans of requests are wanted and can certainly not be sent."""
    if _settings.traces:
        try:
            check_spans(os.environ)
        except ValueError as error:
            raise SettingsError([f"{PREFIX}TRACES='otlp': {error}"]) from None


def _verify(output: int) -> int:
    """Verify store and clamd; write the store's identity and lines for the log to `output`."""
    try:
        verification = verify_store(
            _settings.store_url, fsync=_settings.fsync, identity=_settings.store_id
        )
        lines = [*verification.messages, *_verify_clamd()]
        _check_traces()
        os.write(output, json.dumps([verification.identity, lines]).encode())
    except SettingsError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201
        return 1
    except StorageError as error:
        reason = f"{PREFIX}STORE_URL={_settings.store_url!r}: {describe_error(error)}"
        if isinstance(error.__cause__, PermissionError):
            reason += "; give this user the permission, or name another directory"
        print(cannot_start([reason]), file=sys.stderr, flush=True)  # noqa: T201  # this ends it
        return 1
    except BaseException:  # noqa: BLE001  # the child must not return to gunicorn
        traceback.print_exc()
        return 1
    return 0


def on_starting(server: Any) -> None:
    """Verify that all that the service needs is fit for use before any worker is started."""
    add_settings(server.cfg, globals())
    os.umask(_settings.umask)  # not before, since gunicorn changes it when it becomes a daemon
    try:
        check_access_file(_settings)
        libmagic.load()
        load_certificate(server.cfg)
        check_listeners(server.cfg)
    except (libmagic.LibmagicMissing, CannotListen, CertificateError) as error:
        sys.exit(cannot_start([str(error)]))
    except SettingsError as error:
        sys.exit(str(error))
    if _settings.access_file and _settings.access_file.stat().st_mode & stat.S_IWOTH:
        server.log.warning(
            "FILESERVICE_ACCESS_FILE=%r: every user of this machine may change it",
            str(_settings.access_file),
        )
    # Workers inherit what this process imports, and the SDK for S3 must not be imported before
    # gevent has replaced the worker's sockets and locks. So a child process does this.
    result, child_output = os.pipe()
    child = os.fork()
    if not child:
        os._exit(_verify(child_output))
    os.close(child_output)
    with os.fdopen(result, "rb") as pipe:
        verification = pipe.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
    identity, lines = json.loads(verification)
    for level, line in lines:
        server.log.log(level, line)
    if identity:
        # Every worker expects this store, including one that starts after its mount is lost.
        os.environ[f"{PREFIX}STORE_ID"] = identity
    elif _settings.store_id:
        server.log.warning("FILESERVICE_STORE_ID has no effect: only a directory has an identity")
    if not _settings.fsync:
        server.log.warning(
            "FILESERVICE_FSYNC=false: an upload that was answered 201 may be lost in a power cut"
        )


def when_ready(server: Any) -> None:
    """Say what clients without credentials may do, and warn where others can reach the service."""
    server.log.info("clients without credentials may %s", _in_words(_settings.anonymous))
    changes = _settings.anonymous - {Scope.LIST, Scope.READ}
    addresses = [listener.sock.getsockname() for listener in server.LISTENERS]
    reachable = [address for address in addresses if not _is_local(address)]
    if changes and reachable:
        server.log.warning(
            "ANYBODY WHO CAN REACH %s MAY %s FILES WITHOUT CREDENTIALS."
            " Set FILESERVICE_ANONYMOUS=list,read or none, and FILESERVICE_ACCESS_FILE.",
            " OR ".join(f"{address[0]} PORT {address[1]}" for address in reachable),
            _in_words(changes).upper(),
        )


def _in_words(scopes: AbstractSet[Scope]) -> str:
    names = [str(scope) for scope in Scope if scope in scopes]
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names) or "do nothing"


def _is_local(address: Any) -> bool:
    """Whether only this machine can connect: the address is a loopback one or a Unix socket."""
    return isinstance(address, str | bytes) or parse_address(address[0]).is_loopback


def pre_fork(server: Any, worker: Any) -> None:
    """Record for health checks where the service listens, which a reload may have changed.

    Give the worker what it needs to share connections with the others.
    """
    taken = {getattr(other, "balance_slot", None) for other in server.WORKERS.values()}
    # At a start, all connections would go to the first worker that is ready, and stay there. In a
    # reload, clients would wait for new workers although the old ones can serve them.
    is_awaited = worker.age <= server.cfg.workers
    worker.balance_slot = free_slot(taken, is_awaited=is_awaited)
    addresses = [listener.sock.getsockname() for listener in server.LISTENERS]
    try:
        listener_file.write(addresses, tls=server.cfg.is_ssl)
    except OSError as error:
        server.log.warning("health checks on this machine will fail: %s", error)
    held_signals.hold()


def post_fork(_server: Any, worker: Any) -> None:
    """Have the requests of the worker observed; gunicorn's own workers do not offer that."""
    if not isinstance(worker, TransferWorker):
        held_signals.release()
        return
    worker.observers.append(RequestMetrics(_rows.slot(worker.balance_slot)))
    if _settings.traces:
        sampler = Sampler.from_environ(os.environ)
        worker.observers.append(RequestSpans(sampler, SpanProcess(os.environ)))


def child_exit(_server: Any, worker: Any) -> None:
    """Forget what was under way in a worker that has ended, however it has."""
    _rows.forget_gauges(worker.balance_slot)


def pre_exec(server: Any) -> None:
    """Let an upgrade (SIGUSR2) repeat the command by which the service was started.

    Mark the workers as replaced, so that they do not report that the service stops.
    """
    mark_replaced(server.worker_age)
    set_restart_command(server, [sys.executable, *sys.orig_argv[1:]])


def on_exit(_server: Any) -> None:
    """Remove the record for health checks."""
    listener_file.remove()
