"""The log of the service: gunicorn's, with the records of all other loggers in it."""

import json
import logging
import sys
import time
from datetime import timedelta
from typing import Any

from fileservice.request_record import AUDIT_LOGGER, record_of
from fileservice.serving.gunicorn_api import BaseLogger, set_formatter
from fileservice.serving.redaction import without_secrets
from fileservice.serving.request_log import CONTROL, RequestLog, escaped


class LineFormatter(logging.Formatter):
    """Formats records so that no text in one can look like another record.

    Control characters are escaped, every line of a traceback is indented, and secrets of tokens are
    left out.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name in logging
        return CONTROL.sub(escaped, without_secrets(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    lines = without_secrets(text).split("\n")
    return "\n".join(f"  {CONTROL.sub(escaped, line)}" for line in lines)


class JsonFormatter(logging.Formatter):
    """Formats each record as an object in JSON on one line, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{second}.{int(record.msecs):03d}Z",
            "event": "log",
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            fields["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(fields)


class Log(BaseLogger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's Logger; the records of all loggers of the process go to its error log."""

    as_json = False
    """Whether every line is an object in JSON; gunicorn's configuration sets it."""
    audit_log: str | None = None
    """Where the audit log goes: a path, or "-" for stdout."""
    audit_seconds = 5.0
    """A line of it has so many seconds to be written; after that, requests are refused."""
    audit_handler: "logging.StreamHandler[Any] | None" = None
    """Has the file of the audit log, if there is one."""

    def setup(self, cfg: Any) -> None:
        """Open the logs that `cfg` names; a `logconfig` of the operator stays in effect."""
        super().setup(cfg)
        set_formatter(
            self.error_log,
            lambda line_format: (
                JsonFormatter() if self.as_json else LineFormatter(line_format, self.datefmt)
            ),
        )
        self.requests = RequestLog(self.access_log, as_json=self.as_json)
        self._open_audit_log()
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return
        logging.root.handlers[:] = self.error_log.handlers
        logging.root.setLevel(max(self.loglevel, logging.WARNING))  # libraries: no information
        logging.getLogger(__name__.partition(".")[0]).setLevel(self.loglevel)
        logging.captureWarnings(True)

    def _open_audit_log(self) -> None:
        """Give the logger of the audit log its own destination; without one, it is silent."""
        logger = logging.getLogger(AUDIT_LOGGER)
        logger.propagate = False
        logger.setLevel(logging.INFO if self.audit_log else logging.CRITICAL + 1)
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
            handler.close()
        if self.audit_log == "-":
            self.audit_handler = logging.StreamHandler(sys.stdout)
        elif self.audit_log:
            try:
                # A FileHandler, or SIGUSR1 would not open it again.
                self.audit_handler = logging.FileHandler(self.audit_log, encoding="ascii")
            except OSError as error:
                # gunicorn ends with the message of a RuntimeError.
                text = f"FILESERVICE_AUDIT_LOG={self.audit_log!r}: {error.strerror}"
                raise RuntimeError(text) from None
        if self.audit_handler:
            logger.addHandler(self.audit_handler)

    def access(
        self, resp: Any, _req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> None:
        """Log a request that one of gunicorn's own workers has served.

        The user is whom the application has found (REMOTE_USER, RFC 3875 section 4.1.11), not whom
        the client claims to be: a client that is set up wrongly sends a secret there.
        """
        if not self.access_log_enabled:
            return
        record = record_of(environ)
        record.method = environ["REQUEST_METHOD"]
        record.line = f"{record.method} {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}"
        record.environ = environ
        record.status = int(str(resp.status)[:3])
        record.sent = resp.sent
        record.seconds = request_time.total_seconds()
        record.end(time.monotonic())
        self.requests.observe([record], (), 0.0)
