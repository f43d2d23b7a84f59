"""The certificate of the service, loaded by the master process for all workers.

A worker may start at any time, also while another program writes a new certificate. It inherits the
one that was loaded at the start or at the last reload, so that what is served changes by a reload
only. A reload keeps the earlier one if the new one cannot be used.
"""

import ssl
from typing import Any

from fileservice.serving.gunicorn_api import tls_context

_loaded: ssl.SSLContext | None = None


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message names their files."""


def load_certificate(cfg: Any) -> None:
    """Load the certificate that `cfg` names, if it names one, in the master process.

    Raises CertificateError; then the one that was loaded before stays.
    """
    global _loaded  # workers inherit it
    if not cfg.is_ssl:
        _loaded = None
        return
    try:
        _loaded = tls_context(cfg)
    except ssl.SSLError as error:
        reason = f"they are not a certificate and its key ({error.reason or error})"
    except OSError as error:
        reason = f"they cannot be read ({error.strerror})"
    else:
        return
    raise CertificateError(f"--certfile {cfg.certfile!r} and --keyfile {cfg.keyfile!r}: {reason}")


def worker_tls_context(cfg: Any) -> ssl.SSLContext | None:
    """Return what a worker wraps connections with; None without TLS.

    To be called after gevent has replaced the sockets of the standard library.
    """
    if not cfg.is_ssl:
        return None
    import gevent.ssl  # not in the master, which has the sockets of the standard library

    context: ssl.SSLContext = _loaded or tls_context(cfg)
    context.__class__ = gevent.ssl.SSLContext  # whose sockets wait in the event loop
    return context
