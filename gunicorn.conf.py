"""How gunicorn runs the service: type `gunicorn` in this directory."""

import json
import math
import os
import resource
import sys
import traceback

from fileservice import listener_file
from fileservice.serving.log import ACCESS_FORMAT, Log
from fileservice.serving.worker import TransferWorker, replace_workers
from fileservice.settings import PREFIX, Settings, SettingsError
from fileservice.storage import StorageError, describe_error, verify_store

try:
    _settings = Settings.from_environ(os.environ)
except SettingsError as _error:
    sys.exit(str(_error))

wsgi_app = "fileservice.app:create_app(verified=True)"  # by on_starting
bind = _settings.bind
workers = _settings.workers
worker_class = TransferWorker
TransferWorker.idle_timeout = _settings.idle_timeout
worker_connections = 2000
keepalive = 30
TransferWorker.drain_delay = _settings.drain_delay
# The master kills at the end of it, so what is cut must have been cleaned up by then.
graceful_timeout = math.ceil(
    _settings.drain_delay + _settings.grace_period + TransferWorker.cleanup_seconds
)
timeout = 60
# Enough for every browser and for tus's Upload-Concat; the whole head is bounded by the worker.
limit_request_fields = 64
limit_request_field_size = 8190
# For Unix sockets: the group may connect, which the proxy belongs to, and others may not.
umask = 0o117
errorlog = "-"
logger_class = Log
access_log_format = ACCESS_FORMAT
control_socket_disable = True

# An upload takes two descriptors; the usual soft limit of 1,024 is there for select() only.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))

# X-Forwarded-* is the application's business, which knows whom to believe (TRUSTED_PROXIES).
forwarded_allow_ips = ""
secure_scheme_headers = {}


def on_reload(server):
    """The workers of before are replaced: they need not tell anybody that they stop."""
    replace_workers(server.worker_age)


def _verify_store(result):
    """Write the store's identity and what is to be logged of it to the descriptor `result`."""
    try:
        proof = verify_store(
            _settings.store_url, fsync=_settings.fsync, identity=_settings.store_id
        )
        os.write(result, json.dumps([proof.identity, proof.messages]).encode())
    except StorageError as error:
        print(  # noqa: T201  # the log is not open yet
            "fileservice cannot start:\n"
            f"  FILESERVICE_STORE_URL={_settings.store_url!r}: {describe_error(error)}",
            file=sys.stderr,
            flush=True,
        )
        return 1
    except BaseException:  # noqa: BLE001  # the child must end here, whatever happens
        traceback.print_exc()
        return 1
    return 0


def on_starting(server):
    """Prove that the store is fit before any worker is started."""
    # In a process of its own: what is imported here, every worker has, and the SDK for S3 must
    # not be loaded before a worker's sockets and locks are those of gevent.
    result, child_result = os.pipe()
    child = os.fork()
    if not child:
        os._exit(_verify_store(child_result))
    os.close(child_result)
    with os.fdopen(result, "rb") as told:
        proof = told.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
    identity, lines = json.loads(proof)
    for level, line in lines:
        server.log.log(level, line)
    if identity:
        # Every worker expects this very store, also one that starts when its mount is lost.
        os.environ[f"{PREFIX}STORE_ID"] = identity
    elif _settings.store_id:
        server.log.warning("FILESERVICE_STORE_ID has no effect: only a directory has an identity")
    if not _settings.fsync:
        server.log.warning(
            "FILESERVICE_FSYNC=false: an upload that was answered 201 may be lost in a power cut"
        )


def pre_fork(server, _worker):
    """Let health checks know where the service listens, which a reload may have changed."""
    addresses = [listener.sock.getsockname() for listener in server.LISTENERS]
    try:
        listener_file.write(addresses, tls=server.cfg.is_ssl)
    except OSError as error:
        server.log.warning("health checks on this machine will fail: %s", error)


def on_exit(_server):
    """Leave nothing behind."""
    listener_file.remove()
