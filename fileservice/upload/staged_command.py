"""StagedCommand: the check of a complete file by a command of the operator (ON_STAGED).

What waits, of `subprocess` and `select`, is what gevent replaces. It is looked up when it is used,
so that other greenlets go on.
"""

import json
import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress

from fileservice.upload.errors import HookUnavailable, RefusedByHook
from fileservice.upload.staged_checks import FileFacts

_log = logging.getLogger(__name__)

_ACCEPTED, _REFUSED = 0, 1
_MAX_OUTPUT = 4096
"""How many bytes are kept of what the command writes to each of its outputs."""
_READ_SIZE = 64 * 1024
_MAX_REASON = 300
_KILL_SECONDS = 2.0
"""How long a program is waited for that was killed, or that could not be killed."""
_MAX_LEFT = 8
"""How many programs that could not be killed may go on before no other is started."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ")
_FACTS = "STAGED_FILE"


class StagedCommand:
    """See `StagedCheck`. `command` has the path of a program, and its arguments.

    The program has the file as its standard input, for reading only, and the facts as JSON in the
    environment variable STAGED_FILE. It has nothing else of this process: no other variables but
    those that name paths and languages, and no other descriptors. It has `timeout` seconds. Then,
    and also when it has ended, all processes of its process group are killed. Those that have
    changed their user, as by sudo, cannot be: they are left alone, and bounded in number.
    """

    def __init__(
        self,
        command: Sequence[str],
        timeout: float,
        environ: Mapping[str, str],
    ) -> None:
        self._command = tuple(command)
        self._timeout = timeout
        self._environ = {name: environ[name] for name in _INHERITED if name in environ}
        self._left: list[subprocess.Popen[bytes]] = []
        """Programs that have not ended although they should have been killed."""

    def __call__(self, descriptor: int, facts: FileFacts, /) -> None:
        """Raise RefusedByHook, or HookUnavailable."""
        deadline = time.monotonic() + self._timeout
        self._require_few_left(facts)
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            with closing(_Pipe()) as output, closing(_Pipe()) as errors:
                process = self._start(descriptor, output, errors, facts)
                status = self._wait(process, (output, errors), deadline)
        except OSError as error:
            _log.exception("the file %r was not checked by ON_STAGED", facts.name)
            raise HookUnavailable from error
        written = errors.received.decode("utf-8", "backslashreplace").strip()
        if status == _ACCEPTED:
            return
        if status == _REFUSED:
            reason = _first_line(output.received)
            _log.warning("ON_STAGED has refused the file %r: %s %s", facts.name, reason, written)
            raise RefusedByHook(reason)
        ended = _describe(status, self._timeout)
        _log.error("the file %r was not checked: ON_STAGED %s %s", facts.name, ended, written)
        raise HookUnavailable

    def _start(
        self, descriptor: int, output: "_Pipe", errors: "_Pipe", facts: FileFacts
    ) -> subprocess.Popen[bytes]:
        """Start the program in a process group of its own."""
        return subprocess.Popen(  # noqa: S603  # the operator has named it
            self._command,
            stdin=descriptor,
            stdout=output.writing_end,
            stderr=errors.writing_end,
            env=self._environ | {_FACTS: _to_json(facts)},
            process_group=0,
        )

    def _wait(
        self, process: subprocess.Popen[bytes], outputs: Sequence["_Pipe"], deadline: float
    ) -> int | None:
        """Read the outputs until the program ends; return its status, negative for a signal.

        Return None if it does not end in time. Then it is killed, and in any case what it has left
        in its group is.
        """
        try:
            for output in outputs:
                output.close_writing_end()
            has_ended = self._read_until_end(process.pid, outputs, deadline)
        finally:
            # If nothing of the group is left, gevent has waited for the program already, and its id
            # is free. It is not given to another process before all other ids have been.
            with suppress(ProcessLookupError, PermissionError):  # it has changed its user
                os.killpg(process.pid, signal.SIGKILL)
            status = self._await_end(process)
        return status if has_ended else None

    def _await_end(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the status of a program that should have ended; None if it goes on."""
        try:
            return process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._left.append(process)
            _log.error(
                "ON_STAGED could not be killed, and goes on as process %d: if it changes its user,"
                " it has to limit its time itself",
                process.pid,
            )
            return None

    def _require_few_left(self, facts: FileFacts) -> None:
        """Raise HookUnavailable if too many programs that could not be killed have not ended."""
        self._left = [process for process in self._left if process.poll() is None]
        if len(self._left) >= _MAX_LEFT:
            _log.error(
                "the file %r was not checked: %d programs of ON_STAGED that could not be killed"
                " have not ended",
                facts.name,
                len(self._left),
            )
            raise HookUnavailable

    def _read_until_end(self, process: int, outputs: Sequence["_Pipe"], deadline: float) -> bool:
        """Return whether the program ends in time."""
        try:
            ending = os.pidfd_open(process)  # can be read when it has ended
        except ProcessLookupError:  # gevent has waited for it already
            for output in outputs:
                output.read()
            return True
        try:
            return _read_until(ending, outputs, deadline)
        finally:
            os.close(ending)


def _read_until(ending: int, outputs: Sequence["_Pipe"], deadline: float) -> bool:
    """Read the outputs until `ending` can be read; return False if it cannot in time."""
    poll = select.poll()
    for descriptor in (ending, *(output.reading_end for output in outputs)):
        poll.register(descriptor, select.POLLIN)
    while True:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            return False
        ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
        for output in outputs:
            if (output.reading_end in ready or ending in ready) and not output.read():
                with suppress(KeyError):
                    poll.unregister(output.reading_end)
        if ending in ready:
            return True


class _Pipe:
    """What the program writes to one of its outputs."""

    def __init__(self) -> None:
        self.reading_end, self.writing_end = os.pipe()
        os.set_blocking(self.reading_end, False)
        self._is_writing_end_open = True
        self.received = b""
        """The beginning of what was written."""

    def read(self) -> bool:
        """Receive what there is; return False at the end."""
        try:
            received = os.read(self.reading_end, _READ_SIZE)
        except BlockingIOError:
            return True
        self.received = (self.received + received)[:_MAX_OUTPUT]
        return bool(received)

    def close_writing_end(self) -> None:
        if self._is_writing_end_open:
            self._is_writing_end_open = False
            os.close(self.writing_end)

    def close(self) -> None:
        self.close_writing_end()
        os.close(self.reading_end)


def _to_json(facts: FileFacts) -> str:
    content = facts.content
    return json.dumps(
        {
            "name": facts.name,
            "size": facts.size,
            "type": content.media_type,
            "charset": content.charset,
            "sha-256": content.sha256.hex() if content.sha256 else None,
            "principal": facts.principal or None,
        }
    )


def _first_line(output: bytes) -> str:
    """Return the first line without control characters, no longer than clients should see."""
    line = output.partition(b"\n")[0].decode("utf-8", "replace")
    return "".join(filter(str.isprintable, line)).strip()[:_MAX_REASON]


def _describe(status: int | None, timeout: float) -> str:
    if status is None:
        return f"has not ended within {timeout:g} seconds."
    if status < 0:
        return f"was ended by the signal {-status}."
    return f"has ended with status {status}."
