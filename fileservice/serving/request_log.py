"""The request log: one line for each request when it has ended, as text or as JSON.

A line in text is that of the Combined Log Format, and the fields that it has no place for. Records
come some at a time, and their lines are written together: a call of the system for each would cost
more than all else that a line needs.
"""

import logging
import re
import time
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii as encode

from fileservice.request_record import RequestRecord
from fileservice.serving.redaction import may_have_secrets, without_secrets

_MAX_KEPT = 512
"""Characters that a client has chosen."""

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

    write: Callable[[list[str]], None] | None = None
    """Writes lines; without it, the logger writes each at once, in the thread of the caller."""

    def __init__(self, logger: logging.Logger, *, as_json: bool) -> None:
        self._logger = logger
        self._format = json_line if as_json else plain_line

    def observe(
        self,
        ended: Sequence[RequestRecord],
        under_way: Collection[RequestRecord],  # noqa: ARG002  # they have no line yet
        waited: float,  # noqa: ARG002
    ) -> None:
        """Write lines about the requests that have ended, or have them written."""
        if not ended:
            return
        epoch = time.time() - time.monotonic()
        lines = [self._format(record, epoch + record.ended) for record in ended]
        if self.write:
            self.write(lines)
            return
        for line in lines:
            self._logger.info("%s", line)

    def close(self) -> None:
        """Do nothing: all lines have been passed on."""


def plain_line(record: RequestRecord, now: float) -> str:
    """Return the line of the Combined Log Format, with further fields at its end.

    `now` is when the request ended, in seconds since the Unix epoch.
    """
    is_short = len(f"{record.referer}{record.agent}{record.outcome}") <= _MAX_KEPT
    parts_of = _plain_parts if is_short else _plain_parts.__wrapped__
    client, agent, outcome, facts = parts_of(
        record.client,
        record.principal,
        record.referer,
        record.agent,
        record.outcome,
        record.route,
        record.action,
        record.problem,
    )
    line = (
        f'{client} [{_clf_time(int(now))}] "{_quoted(record.line) or "-"}" {record.status or "-"}'
        f" {record.sent} {agent} {record.seconds:.6f} {outcome} id={record.id}"
        f" received={record.received} {facts}"
    )
    if record.parent:
        line += f" parent={record.parent}"
    if record.stages:
        line += "".join(f" {stage}={seconds:.6f}" for stage, seconds in record.stages.items())
    return line


def json_line(record: RequestRecord, now: float) -> str:
    """Return an object in JSON, whose strings are ASCII: nothing in them can end a line."""
    stages = ""
    if record.stages:
        stages = ",".join(f'"{stage}":{seconds:.6f}' for stage, seconds in record.stages.items())
    is_short = len(f"{record.referer}{record.agent}") <= _MAX_KEPT
    agent_of = _json_agent if is_short else _json_agent.__wrapped__
    return (
        f'{{"time":"{_rfc3339_second(int(now))}.{int(now % 1 * 1000):03d}Z","event":"request"'
        f',"request-id":"{record.id}"{_json_client(record.client, record.principal)}'
        f',"request":{_json(record.line)}'
        f"{_json_facts(record.route, record.action, record.problem)}"
        f',"status":{record.status},"received":{record.received},"sent":{record.sent}'
        f',"seconds":{record.seconds:.6f},"outcome":{_json_or_null(record.outcome)}'
        f',"stages":{{{stages}}},"traceparent":{_json_or_null(record.parent)}'
        f"{agent_of(record.referer, record.agent)}}}"
    )


# What many requests have in common is kept, but nothing long, with which clients fill the memory.


@lru_cache(maxsize=1024)
def _plain_parts(
    address: str | None,
    principal: str | None,
    referer: str | None,
    agent: str | None,
    outcome: str,
    route: str,
    action: str,
    problem: str,
) -> tuple[str, str, str, str]:
    # The name of a principal is not in quotation marks, so it must be one word.
    user = _quoted(principal or "-").replace(" ", "\\x20")
    return (
        f"{address or '-'} - {user}",
        f'"{_quoted(referer or "-")}" "{_quoted(agent or "-")}"',
        f'"{_quoted(outcome)}"',
        f"route={route or '-'} action={action or '-'} problem={problem or '-'}",
    )


@lru_cache(maxsize=512)
def _json_client(address: str | None, principal: str | None) -> str:
    return f',"client":{_json_or_null(address)},"principal":{_json_or_null(principal)}'


@lru_cache(maxsize=512)
def _json_agent(referer: str | None, agent: str | None) -> str:
    return f',"referer":{_json_or_null(referer)},"agent":{_json_or_null(agent)}'


@lru_cache(maxsize=512)
def _json_facts(route: str, action: str, problem: str) -> str:
    return (
        f',"route":{_json_or_null(route)},"action":{_json_or_null(action)}'
        f',"problem":{_json_or_null(problem)}'
    )


def _json_or_null(text: str | None) -> str:
    return _json(text) if text else "null"


@lru_cache(maxsize=2)
def _clf_time(second: int) -> str:
    return time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(second))


@lru_cache(maxsize=2)
def _rfc3339_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return without_secrets(text) if may_have_secrets(text) else text
    return _IN_QUOTES.sub(escaped, without_secrets(text))


def _json(text: str) -> str:
    return encode(without_secrets(text) if may_have_secrets(text) else text)
