"""The checks of complete files that the settings name: a virus scanner, and a command."""

import logging
import os
from collections.abc import Callable

from gevent import monkey

from fileservice.executor import RunCpu
from fileservice.gevent_executor import InlineExecutor, ThreadExecutor, native_sockets
from fileservice.setting_conflicts import PREFIX
from fileservice.settings import Settings, SettingsError
from fileservice.upload import (
    Antivirus,
    Clamd,
    ClamdError,
    StagedCheck,
    StagedChecks,
    StagedCommand,
    TooLargeForClamd,
)
from fileservice.web.routes.health import SharedCheck

_log = logging.getLogger(__name__)
_START_SECONDS = 10.0
"""How long the start waits for clamd."""


def clamd_of(settings: Settings) -> Clamd | None:
    """Return the client of the virus scanner, if there is one."""
    if not settings.clamd_url:
        return None
    return Clamd(settings.clamd_url, settings.clamd_timeout, native_sockets)


def verify_clamd(clamd: Clamd | None, settings: Settings) -> str | None:
    """Return a warning if clamd does not work; None if it does, or if there is none. Blocks.

    Raise SettingsError if it works, but does not take the largest files, unless files may be
    accepted without a scan.
    """
    if not clamd:
        return None
    is_open = settings.clamd_fail == "open"
    try:
        clamd.require_ready(settings.max_file_size, _START_SECONDS)
    except TooLargeForClamd as error:
        text = f"{PREFIX}CLAMD_URL: {error}, or lower {PREFIX}MAX_FILE_SIZE"
        if not is_open:
            raise SettingsError([text]) from None
        return f"{text}; larger files are accepted without a scan"
    except ClamdError as error:
        effect = "accepted without a scan" if is_open else "refused (503)"
        return f"uploads are {effect} until the virus scanner works: {error}"
    return None


def staged_checks_of(settings: Settings, clamd: Clamd | None) -> StagedChecks | None:
    """Return the checks of complete files: first the virus scanner, then the command."""
    checks: list[StagedCheck] = []
    if clamd:
        threads = _threads(settings.max_staged_checks)
        checks.append(Antivirus(clamd, threads, fails_open=settings.clamd_fail == "open"))
    if settings.on_staged:
        checks.append(StagedCommand(settings.on_staged, settings.on_staged_timeout, os.environ))
    return StagedChecks(checks, settings.max_staged_checks) if checks else None


def scanner_health(settings: Settings, clamd: Clamd | None) -> SharedCheck | None:
    """Return the check of the virus scanner for /readyz, if there is one."""
    if not clamd or settings.clamd_fail == "open":  # then files are accepted without it
        return None
    run = _threads(1)
    check = _logged(lambda: clamd.require_ready(settings.max_file_size))
    return SharedCheck(check, interval=1.0, what="the virus scanner", run=run)


def _threads(count: int) -> RunCpu:
    """Return what calls a function that blocks in one of `count` threads for nothing else."""
    if not monkey.is_module_patched("socket"):
        return InlineExecutor().run_io
    return ThreadExecutor(count).run_io


def _logged(check: Callable[[], None]) -> Callable[[], None]:
    """Return `check`, with a line in the log whenever it begins or ceases to fail."""
    last = ""

    def run() -> None:
        nonlocal last
        try:
            check()
        except ClamdError as error:
            if str(error) != last:
                last = str(error)
                _log.error("the virus scanner does not work: %s", error)
            raise
        if last:
            last = ""
            _log.warning("the virus scanner works again")

    return run
