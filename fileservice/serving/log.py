"""The log of the service: gunicorn's, with the records of all other loggers in it."""

import logging
import re
from datetime import timedelta
from typing import Any

from fileservice.serving.gunicorn_api import BaseLogger, QuotedAtoms, set_formatter
from fileservice.serving.redaction import without_secrets

ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s "%(outcome)s"'
"""The Combined Log Format, then the duration in seconds and how the request ended."""

# Characters that control terminals or end lines, and lone surrogates, which cannot be encoded.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IN_QUOTES = re.compile(f'{_CONTROL.pattern[:-1]}"\\\\]')


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class LineFormatter(logging.Formatter):
    """Formats records so that no text in one can look like another record.

    Control characters are escaped, every line of a traceback is indented, and secrets of tokens are
    left out.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name in logging
        return _CONTROL.sub(_escaped, without_secrets(super().formatMessage(record)))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    lines = without_secrets(text).split("\n")
    return "\n".join(f"  {_CONTROL.sub(_escaped, line)}" for line in lines)


class _EscapedAtoms(QuotedAtoms):
    """The values of the access log, without secrets of tokens, and with everything escaped that
    could end a field or a line."""

    @staticmethod
    def quote(text: str) -> str:
        return _IN_QUOTES.sub(_escaped, without_secrets(text))

    def __init__(self, atoms: dict[str, Any]) -> None:
        super().__init__(atoms)
        self["u"] = self["u"].replace(" ", "\\x20")  # the user name is not in quotation marks


class Log(BaseLogger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's Logger; the records of all loggers of the process go to its error log."""

    atoms_wrapper_class = _EscapedAtoms

    def setup(self, cfg: Any) -> None:
        """Open the logs that `cfg` names; a `logconfig` of the operator stays in effect."""
        super().setup(cfg)
        set_formatter(self.error_log, lambda line_format: LineFormatter(line_format, self.datefmt))
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return
        logging.root.handlers[:] = self.error_log.handlers
        logging.root.setLevel(max(self.loglevel, logging.WARNING))  # libraries: no information
        logging.getLogger(__name__.partition(".")[0]).setLevel(self.loglevel)
        logging.captureWarnings(True)

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        """Return the values that the format of the access log can name.

        In addition to gunicorn's there is `outcome`, and durations may exceed a day. The user is
        whom the application has found (REMOTE_USER, RFC 3875 section 4.1.11), not whom the client
        claims to be: a client that is set up wrongly sends a secret there.
        """
        seconds = request_time.total_seconds()
        # The responses of gunicorn's own workers have neither `delivered` nor `outcome`.
        sent = getattr(resp, "delivered", resp.sent)
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return atoms | {
            "h": atoms["h"] or "-",
            "u": environ.get("REMOTE_USER") or "-",
            "r": atoms["r"].strip() or "-",
            "s": atoms["s"] or "-",
            "b": str(sent),
            "B": sent,
            "T": int(seconds),
            "M": int(seconds * 1000),
            "D": int(seconds * 1_000_000),
            "L": f"{seconds:.6f}",
            "outcome": getattr(resp, "outcome", "-"),
        }
