"""Publish: a staged file that is complete and inspected becomes visible under its name."""

import time
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from fileservice.storage import (
    Content,
    NameReserved,
    NameTaken,
    NotFound,
    Owner,
    StoredFile,
    VersionChanged,
    Writer,
)
from fileservice.upload.admit import condition_error, find_repeated_file, find_replaceable
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import AlreadyExpired, DigestMismatch
from fileservice.upload.expired_files import free_name
from fileservice.upload.inspection.scan import ContentScan
from fileservice.upload.policy import ANY_VERSION, UploadRequest
from fileservice.upload.quota import QuotaReservation
from fileservice.upload.reported import publish_and_report
from fileservice.upload.staged_checks import FileFacts

_NO_VERSION = ""


@dataclass(frozen=True, slots=True)
class UploadResult:
    """The stored file, and whether this upload stored it or repeated an earlier one."""

    file: StoredFile
    created: bool
    """Whether the name was free before."""
    replaced: bool = False
    """Whether another file had the name before, and this upload took its place."""

    @property
    def is_new(self) -> bool:
        """Whether the bytes of this upload are those of the file."""
        return self.created or self.replaced


def publish(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    scan: ContentScan,
    reservation: QuotaReservation,
) -> UploadResult:
    """Verify the complete staged file, have it checked, and publish it.

    This must not be called in a thread of the executor, as the checks may take minutes.

    `scan` has seen all bytes. A file that is new is yet to be counted (`reservation.commit`); one
    that was replaced is not counted any more. Raise UnacceptableContent, DigestMismatch,
    AlreadyExpired, NameTaken, PreconditionNotMet, or what the checks, the caller's `authorize` and
    the reservation raise.
    """
    executor, checks = context.executor, context.staged_checks
    if not checks:
        return executor.run_io(publish_unchecked, request, context, writer, scan, reservation)
    content = executor.run_io(_verify, request, context, writer, scan)
    facts = FileFacts(request.name, writer.size, content, request.caller.owner)
    checks.require(writer, facts, executor)
    return executor.run_io(_publish, request, context, writer, content, reservation)


def publish_unchecked(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    scan: ContentScan,
    reservation: QuotaReservation,
) -> UploadResult:
    """Do the same in the thread of the caller, where there are no checks. Blocks."""
    if context.staged_checks:
        raise RuntimeError("every file must be checked before it is published")
    content = _verify(request, context, writer, scan)
    return _publish(request, context, writer, content, reservation)


def _verify(
    request: UploadRequest, context: UploadContext, writer: Writer, scan: ContentScan
) -> Content:
    """Return what the staged file is. Blocks. Raise UnacceptableContent or DigestMismatch."""
    verdict = scan.verdict(writer, context.executor.run_cpu)
    digests = scan.digests()
    for algorithm, declared in request.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    sha256 = digests["sha-256"] if context.policy.digest else None
    return Content(verdict.media_type, verdict.charset, sha256)


def _publish(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    content: Content,
    reservation: QuotaReservation,
) -> UploadResult:
    """Publish a verified file if its client still may, and say how long that took. Blocks."""
    began = perf_counter()
    try:
        return _publish_if_allowed(request, context, writer, content, reservation)
    finally:
        stages = request.caller.stages
        stages.add("publish", perf_counter() - began)
        if writer.sync_seconds:
            stages.add("sync", writer.sync_seconds)


def _publish_if_allowed(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    content: Content,
    reservation: QuotaReservation,
) -> UploadResult:
    now = time.time()
    if request.expires is not None and request.expires <= now:
        raise AlreadyExpired
    expires = context.policy.expiry_of(request, now)
    if expires != request.expires:
        request = replace(request, expires=expires)
    request.authorize()  # rights may have changed since the upload was admitted
    if request.replaces is None:
        reservation.recheck(writer.size)
    try:
        if request.replaces is None:
            file = _publish_new(request, context, writer, content, reservation.owner)
        else:
            file = _replace(request, context, writer, content, reservation)
    except NameReserved:  # nothing was published, so the reservation is released as usual
        raise
    except (NameTaken, VersionChanged, NotFound):
        stored = find_repeated_file(request, context)
        if not stored:
            raise condition_error(request) from None
        return UploadResult(stored, created=False)
    except BaseException:
        reservation.abandon()  # the file may become visible nevertheless
        raise
    is_replacement = request.replaces is not None
    request.caller.report_stored(file, is_replacement)
    return UploadResult(file, created=not is_replacement, replaced=is_replacement)


def _publish_new(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    content: Content,
    owner: Owner | None,
) -> StoredFile:
    """Publish the file; one that has the name and has expired is removed before."""
    while True:
        try:
            return publish_and_report(request, context, writer, content, owner)
        except NameTaken:
            if not free_name(request.name, context):
                raise


def _replace(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    content: Content,
    reservation: QuotaReservation,
) -> StoredFile:
    """Publish the file in the place of one that the request may replace.

    Raise VersionChanged or NotFound if there is none.
    """
    store = context.store
    publish = partial(publish_and_report, request, context, writer, content, reservation.owner)
    while True:
        current = find_replaceable(request, store)
        if current is None:
            # The writer finds out whether an earlier process has published this very file.
            return publish(replaces=_NO_VERSION)
        give_back = context.begin_removal(current)
        is_own = bool(reservation.name) and current.owner == reservation.owner
        if not is_own:  # otherwise an earlier process has published this very file
            reservation.recheck(writer.size, current)
            if reservation.name and find_replaceable(request, store) != current:
                continue  # its bytes may have been given back before the reservation counted on it
        try:
            file = publish(current=current, replaces=current.version)
        except VersionChanged:
            if request.replaces == ANY_VERSION:
                continue  # it was replaced by another, which this one may replace as well
            raise
        if writer.replaced:
            give_back(writer.replaced)
        return file
