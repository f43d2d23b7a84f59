"""The checks of `fileservice check`: one function for each subject, which yields findings."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from limits.storage import MemoryStorage

from fileservice import libmagic
from fileservice.access import AccessFileError, RedisCounters, read_rules
from fileservice.cli.existing_store import NotUsable, check_owner, is_store
from fileservice.observability import check_spans
from fileservice.operator_checks import clamd_of, verify_clamd
from fileservice.quantities import format_size
from fileservice.setting_conflicts import PREFIX
from fileservice.settings import Settings, SettingsError
from fileservice.storage import (
    StorageError,
    StoreVerification,
    describe_error,
    directory_of,
    open_store,
    verify_store,
)

_SKEW_WARNING = 5.0
_MAX_SKEW = 60.0
"""Seconds. Reservations, leases and times of expiry rely on clocks that agree to within this."""
_MIB = 1 << 20
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\2\0\0\0"


class CheckResult(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """The service works, and the operator should know this."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """There is nothing to check, or another check has failed that comes before."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about a subject; `detail` is for people, and has no secret."""

    check: str
    verdict: CheckResult
    detail: str


def run_checks(environ: Mapping[str, str]) -> list[Finding]:
    """Check the settings in `environ` and what they name. Blocks; for a bucket up to a minute."""
    findings = list(_check_libmagic())
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        failed = [Finding("settings", CheckResult.FAILED, problem) for problem in error.problems]
        skipped = [Finding(name, CheckResult.SKIPPED, "see the settings") for name in _CHECKS]
        return failed + findings + skipped
    number = sum(name.startswith(PREFIX) for name in environ)
    findings.insert(0, Finding("settings", CheckResult.OK, f"{number} are set"))
    for check in _CHECKS.values():
        findings += check(settings)
    return findings


def _check_libmagic() -> Iterator[Finding]:
    name = "libmagic"
    try:
        found = libmagic.load().Magic(mime=True).from_buffer(_PNG)
        version = libmagic.version()
    except libmagic.LibmagicMissing as error:
        yield Finding(name, CheckResult.FAILED, str(error))
        return
    if found == "image/png":
        yield Finding(name, CheckResult.OK, f"version {version}")
    else:
        yield Finding(
            name, CheckResult.FAILED, f"version {version} takes a PNG picture for {found}"
        )


def _check_access_file(settings: Settings) -> Iterator[Finding]:
    name, path = "access file", settings.access_file
    if path is None:
        yield Finding(name, CheckResult.SKIPPED, f"{PREFIX}ACCESS_FILE is not set")
        return
    try:
        rules = read_rules(path)
        is_changed_by_all = bool(path.stat().st_mode & stat.S_IWOTH)
    except AccessFileError as error:
        for problem in error.problems:
            yield Finding(name, CheckResult.FAILED, f"{path}: {problem}")
        return
    if is_changed_by_all:
        yield Finding(
            name, CheckResult.WARNING, f"{path}: every user of this machine may change it"
        )
    counts = {"tokens": rules.tokens, "users": rules.users, "groups": rules.groups}
    yield Finding(
        name, CheckResult.OK, ", ".join(f"{kind}: {len(of)}" for kind, of in counts.items())
    )


def _check_virus_scanner(settings: Settings) -> Iterator[Finding]:
    name, clamd = "virus scanner", clamd_of(settings)
    if clamd is None:
        yield Finding(name, CheckResult.SKIPPED, f"{PREFIX}CLAMD_URL is not set")
        return
    try:
        warning = verify_clamd(clamd, settings)
    except SettingsError as error:
        for problem in error.problems:
            yield Finding(name, CheckResult.FAILED, problem)
        return
    if warning:
        yield Finding(name, CheckResult.WARNING, warning)
    else:
        size = format_size(settings.max_file_size)
        yield Finding(name, CheckResult.OK, f"it works, and takes files of {size}")


def _check_limits(settings: Settings) -> Iterator[Finding]:
    name = "limits"
    if not settings.limits_url:
        detail = f"{PREFIX}LIMITS_URL is not set: each service counts by itself"
        yield Finding(name, CheckResult.SKIPPED, detail)
        return
    counters = RedisCounters(settings.limits_url, MemoryStorage())
    reason = counters.verify()
    counters.close()
    if reason:
        detail = f"limits are counted by each service alone until this works: {reason}"
        yield Finding(name, CheckResult.WARNING, detail)
    else:
        yield Finding(name, CheckResult.OK, f"{counters.server} counts")


def _check_logs(settings: Settings) -> Iterator[Finding]:
    for name, variable, destination in (
        ("request log", "REQUEST_LOG", settings.request_log),
        ("audit log", "AUDIT_LOG", settings.audit_log),
    ):
        if destination is None:
            yield Finding(name, CheckResult.SKIPPED, f"{PREFIX}{variable} is none")
        elif destination == "-":
            yield Finding(name, CheckResult.OK, "standard output")
        else:
            yield _log_file(name, Path(destination).absolute())


def _log_file(name: str, path: Path) -> Finding:
    """Say whether the service can append to a file, which need not exist."""
    if path.is_dir():
        return Finding(name, CheckResult.FAILED, f"{path} is a directory")
    is_there = path.exists()
    needed, mode = (path, os.W_OK) if is_there else (path.parent, os.W_OK | os.X_OK)
    if not os.access(needed, mode):
        what = "write to" if is_there else "create anything in"
        return Finding(name, CheckResult.FAILED, f"this user may not {what} {needed}")
    return Finding(name, CheckResult.OK, f"{path} can be written to")


def _check_store(settings: Settings) -> Iterator[Finding]:
    name, directory = "store", directory_of(settings.store_url)
    if directory and not is_store(directory):
        yield _new_store(directory.absolute())
        yield Finding("clock", CheckResult.SKIPPED, "there is no store yet")
        return
    try:
        if directory:
            check_owner(directory)
        verification = verify_store(
            settings.store_url, fsync=settings.fsync, identity=settings.store_id
        )
        for _, message in verification.messages:
            yield Finding(name, CheckResult.WARNING, message)
        yield _free_space(settings)
    except (NotUsable, OSError) as error:
        reason = str(error)
    except StorageError as error:
        reason = describe_error(error)
    else:
        yield clock_finding(verification)
        return
    yield Finding(name, CheckResult.FAILED, reason)
    yield Finding("clock", CheckResult.SKIPPED, "see the store")


def _new_store(directory: Path) -> Finding:
    """Say whether the service can make the store when it starts."""
    existing = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    if not existing.is_dir():
        return Finding("store", CheckResult.FAILED, f"{existing} is not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        detail = f"this user may not create anything in {existing}"
        return Finding("store", CheckResult.FAILED, f"{detail}: change its permissions")
    return Finding("store", CheckResult.OK, f"the first start will make {directory} a store")


def _free_space(settings: Settings) -> Finding:
    store = open_store(settings.store_url, fsync=settings.fsync, verified=True)
    free = store.free_space()
    if free is None:
        return Finding("store", CheckResult.OK, "it takes uploads")
    size = format_size(free // _MIB * _MIB)
    if free < settings.min_free_space:
        least = format_size(settings.min_free_space)
        detail = f"{size} are free, and {PREFIX}MIN_FREE_SPACE is {least}"
        return Finding("store", CheckResult.FAILED, f"{detail}: no uploads are accepted")
    return Finding("store", CheckResult.OK, f"it takes uploads, and {size} are free")


def clock_finding(verification: StoreVerification) -> Finding:
    """Say whether the clock of the store agrees with that of this machine."""
    skew = verification.clock_skew
    if skew is None:
        return Finding("clock", CheckResult.SKIPPED, "the store cannot be written to at present")
    if abs(skew) < _SKEW_WARNING:
        return Finding(
            "clock", CheckResult.OK, f"agrees with that of the store to {abs(skew):.1f} s"
        )
    verdict = CheckResult.WARNING if abs(skew) <= _MAX_SKEW else CheckResult.FAILED
    direction = "behind" if skew > 0 else "ahead of"
    detail = f"is {abs(skew):.0f} s {direction} that of the store: let NTP set both"
    return Finding("clock", verdict, detail)


def _check_traces(settings: Settings) -> Iterator[Finding]:
    name = "traces"
    if not settings.traces:
        yield Finding(name, CheckResult.SKIPPED, f"{PREFIX}TRACES is none")
        return
    try:
        check_spans(os.environ)
    except ValueError as error:
        yield Finding(name, CheckResult.FAILED, str(error))
    else:
        yield Finding(name, CheckResult.OK, "spans can be made; the collector was not asked")


_CHECKS: Mapping[str, Callable[[Settings], Iterator[Finding]]] = {
    "access file": _check_access_file,
    "virus scanner": _check_virus_scanner,
    "limits": _check_limits,
    "logs": _check_logs,
    "store": _check_store,
    "traces": _check_traces,
}
"""Those that need valid settings, by their subjects."""
