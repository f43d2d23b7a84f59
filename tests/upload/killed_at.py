"""Processes that are killed at a line of what quotas depend on."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = Path(__file__).parents[2] / "fileservice"
TRACED = tuple(str(PACKAGE / part) for part in ("access", "storage", "upload"))
UNTRACED = str(PACKAGE / "upload/inspection")
KILLED = -signal.SIGKILL


def killed_at(line: int, act: Callable[[], object]) -> bool:
    """Run `act` in a child that is killed at so many lines of the package; was it killed?"""
    child = os.fork()
    if child == 0:
        left = line

        def trace(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal left
            file = frame.f_code.co_filename
            if not file.startswith(TRACED) or file.startswith(UNTRACED):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), code
    return code == KILLED
