"""The request log: one line for each request when it has ended, as text or as JSON.

A line in text is that of the Combined Log Format, and the fields that it has no place for. Lines
are collected for a moment and written together: a call of the system for each would cost more than
all else that a line needs.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache

from fileservice.request_record import RequestRecord
from fileservice.serving.redaction import may_have_secrets, without_secrets

_MAX_LINES = 256
"""So many lines are written at once, without waiting for more."""

# Characters that control terminals or end lines, and lone surrogates, which cannot be encoded.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IN_QUOTES = re.compile(f'{CONTROL.pattern[:-1]}"\\\\]')


def escaped(match: re.Match[str]) -> str:
    """Return how a character is written that must not be in a line."""
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class RequestLog:
    """Writes lines about requests to `logger`; a RequestObserver."""

    call_later: Callable[[Callable[[], None]], object] | None = None
    """Calls a function in a moment; without it, each line is written at once."""

    def __init__(self, logger: logging.Logger, *, as_json: bool) -> None:
        self._logger = logger
        self._format: Callable[[RequestRecord], str] = json_line if as_json else plain_line
        self._lines: list[str] = []
        # Only a stream takes several lines as one record; for syslog, each is a message.
        self._is_stream = all(
            isinstance(handler, logging.StreamHandler) for handler in logger.handlers
        )

    def begun(self, record: RequestRecord) -> None:
        """Do nothing: a request has its line when it has ended."""

    def waited(self, seconds: float) -> None:
        """Do nothing."""

    def ended(self, record: RequestRecord) -> None:
        """Write a line about a request, at once or in a moment."""
        self._lines.append(self._format(record))
        if not self._is_stream or self.call_later is None or len(self._lines) >= _MAX_LINES:
            self.flush()
        elif len(self._lines) == 1:
            self.call_later(self.flush)

    def flush(self) -> None:
        """Write the lines that have not been written."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._logger.info("%s", "\n".join(lines))


def plain_line(record: RequestRecord) -> str:
    """Return the line of the Combined Log Format, with further fields at its end."""
    return (
        f"{record.client or '-'} - {_word(record.principal)} [{_clf_time(int(time.time()))}]"
        f' "{_quoted(record.line) or "-"}" {record.status or "-"} {record.sent}'
        f' "{_constant(record.referer)}" "{_constant(record.agent)}" {record.seconds:.6f}'
        f' "{_constant(record.outcome)}"'
        f" id={record.id} received={record.received} route={record.route or '-'}"
        f" action={record.action or '-'} problem={record.problem or '-'}"
        + (f" parent={record.parent}" if record.parent else "")
        + "".join(f" {stage}={seconds:.6f}" for stage, seconds in record.stages.items())
    )


def json_line(record: RequestRecord) -> str:
    """Return an object in JSON, whose strings are ASCII: nothing in them can end a line."""
    now = time.time()
    stages = ",".join(f'"{stage}":{seconds:.6f}' for stage, seconds in record.stages.items())
    return (
        f'{{"time":"{_rfc3339_second(int(now))}.{int(now % 1 * 1000):03d}Z","event":"request"'
        f',"request-id":"{record.id}","client":{_json_constant(record.client)}'
        f',"principal":{_json_constant(record.principal)},"request":{_json(record.line)}'
        f',"route":{_json_constant(record.route)},"action":{_json_constant(record.action)}'
        f',"status":{record.status},"problem":{_json_constant(record.problem)}'
        f',"received":{record.received},"sent":{record.sent},"seconds":{record.seconds:.6f}'
        f',"outcome":{_json_constant(record.outcome)},"stages":{{{stages}}}'
        f',"traceparent":{_json_constant(record.parent)}'
        f',"referer":{_json_constant(record.referer)},"agent":{_json_constant(record.agent)}}}'
    )


def _quoted(text: str) -> str:
    if may_have_secrets(text):
        text = without_secrets(text)
    return _IN_QUOTES.sub(escaped, text) if _IN_QUOTES.search(text) else text


@lru_cache(maxsize=512)
def _constant(text: str) -> str:
    """Return a text that many requests share, quoted."""
    return _quoted(text) or "-"


@lru_cache(maxsize=512)
def _word(text: str) -> str:
    """Return the name of a principal, which is not in quotation marks, as one word."""
    return _quoted(text).replace(" ", "\\x20") or "-"


def _json(text: str) -> str:
    return json.dumps(without_secrets(text) if may_have_secrets(text) else text)


@lru_cache(maxsize=512)
def _json_constant(text: str) -> str:
    return _json(text) if text else "null"


@lru_cache(maxsize=2)
def _clf_time(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))


@lru_cache(maxsize=2)
def _rfc3339_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
