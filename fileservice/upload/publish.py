"""Publish: a staged file that is complete and inspected becomes visible under its name."""

import time
from dataclasses import dataclass, replace
from functools import partial

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
    """Verify the complete staged file and publish it. Blocks.

    `scan` has seen all bytes. A file that is new is yet to be counted (`reservation.commit`); one
    that was replaced is not counted any more. Raise ContentMismatch, DigestMismatch,
    AlreadyExpired, NameTaken, PreconditionNotMet, or what the caller's `authorize` and the
    reservation raise.
    """
    began = time.perf_counter()
    try:
        return _publish(request, context, writer, scan, reservation)
    finally:
        stages = request.caller.stages
        stages.add("publish", time.perf_counter() - began)
        if writer.sync_seconds:
            stages.add("sync", writer.sync_seconds)


def _publish(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    scan: ContentScan,
    reservation: QuotaReservation,
) -> UploadResult:
    verdict = scan.verdict(writer, context.executor.run_cpu)
    digests = scan.digests()
    for algorithm, declared in request.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    now = time.time()
    if request.expires is not None and request.expires <= now:
        raise AlreadyExpired
    expires = context.policy.expiry_of(request, now)
    if expires != request.expires:
        request = replace(request, expires=expires)
    request.authorize()  # rights may have changed since the upload was admitted
    if request.replaces is None:
        reservation.recheck(writer.size)
    sha256 = digests["sha-256"] if context.policy.digest else None
    content = Content(verdict.media_type, verdict.charset, sha256)
    try:
        if request.replaces is None:
            file = _publish_new(request, context, writer, content, reservation.owner)
        else:
            file = _replace(request, context, writer, content, reservation)
    except NameReserved:  # nothing was published, so the reservation is released as usual
        raise
    except (NameTaken, VersionChanged, NotFound):
        stored = find_repeated_file(request, context.store)
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
            return writer.publish(request.name, content, owner, expires=request.expires)
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
    publish = partial(writer.publish, request.name, content, expires=request.expires)
    while True:
        current = find_replaceable(request, store)
        if current is None:
            # The writer finds out whether an earlier process has published this very file.
            return publish(reservation.owner, replaces=_NO_VERSION)
        give_back = context.begin_removal(current)
        is_own = bool(reservation.name) and current.owner == reservation.owner
        if not is_own:  # otherwise an earlier process has published this very file
            reservation.recheck(writer.size, current)
            if reservation.name and find_replaceable(request, store) != current:
                continue  # its bytes may have been given back before the reservation counted on it
        try:
            file = publish(reservation.owner, replaces=current.version)
        except VersionChanged:
            if request.replaces == ANY_VERSION:
                continue  # it was replaced by another, which this one may replace as well
            raise
        if writer.replaced:
            give_back(writer.replaced)
        return file
