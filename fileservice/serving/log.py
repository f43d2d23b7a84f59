"""The one log of the service: gunicorn's, and in it what the application and its libraries say."""

import logging
import re
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger, SafeAtoms

ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s "%(outcome)s"'
"""The Combined format of other servers, then the seconds it took and how it ended."""

# What a terminal or a reader of lines might obey, and lone surrogates, which no file takes.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IN_QUOTES = re.compile(f'{_CONTROL.pattern[:-1]}"\\\\]')


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class LineFormatter(logging.Formatter):
    """Formats a record so that nothing in it passes for another record.

    Control characters are escaped, and every line of a traceback is indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # its name there
        return _CONTROL.sub(_escaped, super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"  {_CONTROL.sub(_escaped, line)}" for line in text.split("\n"))


class _QuotedAtoms(SafeAtoms):  # type: ignore[misc]  # gunicorn has no types
    """Values of the access log, with all escaped that could end a field, a quotation or a line."""

    def __init__(self, atoms: dict[str, Any]) -> None:
        super().__init__({})
        for name, value in atoms.items():
            self[name] = _IN_QUOTES.sub(_escaped, value) if isinstance(value, str) else value
        self["u"] = self["u"].replace(" ", "\\x20")  # it stands without quotes


class Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's Logger, to whose error log all loggers of the process lead."""

    atoms_wrapper_class = _QuotedAtoms

    def setup(self, cfg: Any) -> None:
        """Open the logs that `cfg` names; a `logconfig` of the operator's stays as it is."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            if getattr(handler, "_gunicorn", False):
                handler.setFormatter(LineFormatter(handler.formatter._fmt, self.datefmt))
        if cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json:
            return
        logging.root.handlers[:] = self.error_log.handlers
        logging.root.setLevel(max(self.loglevel, logging.WARNING))  # of others, what matters
        logging.getLogger(__name__.partition(".")[0]).setLevel(self.loglevel)
        logging.captureWarnings(True)

    def atoms(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> dict[str, Any]:
        """What an access log's format can name; ours adds `outcome`, and days to the times."""
        seconds = request_time.total_seconds()
        sent = getattr(resp, "delivered", resp.sent)
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return atoms | {
            "h": atoms["h"] or "-",
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
