"""Processes that are killed at a line of the store in a directory."""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

_STORE = "/fileservice/storage/local/"


def killed_at(line: int, act: Callable[[], object], *traced: str) -> bool:
    """Run `act` in a process that kills itself before a line of the store; return if it did.

    Lines are counted as they are executed, also those of files whose paths have one of `traced`.
    """
    child = os.fork()
    if not child:
        executed = count()

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            if not any(part in frame.f_code.co_filename for part in (_STORE, *traced)):
                return None
            if event == "line" and next(executed) == line:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        status = 1
        try:
            sys.settrace(trace)
            act()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
