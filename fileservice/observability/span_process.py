"""SpanProcess: the process beside a worker that makes spans, encodes and sends them.

To encode spans takes a processor, and the SDK of OpenTelemetry waits in threads: in the worker,
either would hold up the requests (decision 35). The worker writes what it knows of its requests
into a pipe, which never waits, and the other process ends when the pipe does.
"""

import fcntl
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from fileservice.observability.request_spans import SpanFacts
from fileservice.observability.sampling import Sampler

_log = logging.getLogger(__name__)

_PIPE_SIZE = 1 << 20
"""Bytes that may wait in the pipe: what some 2,500 requests are described by."""
_RESTART_SECONDS = 30.0
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from fileservice.observability.span_exporter import main; main()"
)
"""It finds the same packages as this process, and none in the current directory."""
_PRIVATE = ("FILESERVICE_", "AWS_")
"""How the names of variables begin which have secrets, and which the process does not need."""


def check_spans(environ: Mapping[str, str]) -> None:
    """Raise ValueError, which says what to do, if spans can certainly not be made and sent.

    This loads the libraries for it, and so it is not for a process that serves requests.
    """
    Sampler.from_environ(environ)
    try:
        from fileservice.observability.span_exporter import check
    except ImportError as error:
        raise ValueError(
            f"OpenTelemetry is missing ({error}): pip install 'fileservice[otel]'"
        ) from None
    check(environ)


class SpanProcess:
    """A process that receives spans; a SpanSink.

    If it ends, another one is started after a moment. What it says is logged here.
    """

    def __init__(
        self, environ: Mapping[str, str], restart_seconds: float = _RESTART_SECONDS
    ) -> None:
        self._environ = {
            name: value for name, value in environ.items() if not name.startswith(_PRIVATE)
        }
        self._restart_seconds = restart_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._input = self._output = -1
        self._unsent = b""
        self._left_out = 0
        self._ended = 0.0  # when the process was last found to have ended
        self._is_closed = False
        self._start()

    @property
    def pid(self) -> int | None:
        """The id of the process; None if there is none at the moment."""
        return self._process.pid if self._process else None

    @property
    def waiting(self) -> int:
        """How many bytes wait for room in the pipe."""
        return len(self._unsent)

    def send(self, spans: Sequence[SpanFacts]) -> None:
        if self._is_closed:  # requests end until the worker does
            return
        if not self._process and time.monotonic() - self._ended >= self._restart_seconds:
            self._start()
        if self._unsent or not self._process:
            self._left_out += len(spans)
        elif spans:
            self._unsent = json.dumps(spans).encode() + b"\n"
        self._write()
        self._log_output()
        if self._left_out and self._process and not self._unsent:
            _log.warning("%d spans were left out", self._left_out)
            self._left_out = 0

    def close(self, seconds: float) -> None:
        self._is_closed = True
        if not self._process:
            return
        os.close(self._input)
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                _log.warning("the last spans were not received in time")
                self._process.kill()
                self._process.wait()
                break
            time.sleep(0.01)
        self._log_output()
        os.close(self._output)
        self._process = None

    def _start(self) -> None:
        opened: list[int] = []
        try:
            for _ in range(2):
                opened += os.pipe()
            its_input, self._input, self._output, its_output = opened
            for descriptor in (self._input, self._output):
                os.set_blocking(descriptor, False)
            with suppress(OSError):  # a user may have pipes of so many bytes, and no more
                fcntl.fcntl(self._input, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
            # What gevent may have replaced meanwhile is looked up when it is used.
            self._process = subprocess.Popen(  # noqa: S603  # this is a program of our own
                [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path)],
                stdin=its_input,
                stdout=its_output,
                env=self._environ,
                start_new_session=True,  # a terminal sends its signals to the worker alone
            )
        except OSError as error:
            _close(opened)
            self._give_up(f"cannot be started: {error.strerror}")
        else:
            _close((its_input, its_output))

    def _write(self) -> None:
        while self._process and self._unsent:
            try:
                count = os.write(self._input, self._unsent)
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._log_output()
                # Another greenlet may call close() while this waits.
                process, self._process = self._process, None
                _close((self._input, self._output))
                process.kill()  # it has ended, unless it has closed its standard input
                self._give_up(f"has ended ({process.wait()})")
                return
            self._unsent = self._unsent[count:]

    def _log_output(self) -> None:
        """Log what the process has written, a line each."""
        if not self._process:
            return
        with suppress(BlockingIOError):
            for line in os.read(self._output, 4096).decode(errors="replace").splitlines():
                _log.warning("%s", line)

    def _give_up(self, reason: str) -> None:
        _log.error(
            "the process that sends spans %s; another one is started in %g s",
            reason,
            self._restart_seconds,
        )
        self._process, self._unsent, self._ended = None, b"", time.monotonic()


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
