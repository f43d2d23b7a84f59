"""Publish: a staged file that is complete and inspected becomes visible under its name."""

import time
from dataclasses import dataclass

from fileservice.storage import Content, NameReserved, NameTaken, Owner, StoredFile, Writer
from fileservice.upload.admit import find_repeated_file, name_taken_error
from fileservice.upload.context import UploadContext
from fileservice.upload.errors import AlreadyExpired, DigestMismatch
from fileservice.upload.expired_files import free_name
from fileservice.upload.inspection.scan import ContentScan
from fileservice.upload.policy import UploadRequest
from fileservice.upload.quota import QuotaReservation


@dataclass(frozen=True, slots=True)
class UploadResult:
    """The stored file, and whether this upload created it or repeated an earlier one."""

    file: StoredFile
    created: bool


def publish(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    scan: ContentScan,
    reservation: QuotaReservation,
) -> UploadResult:
    """Verify the complete staged file and publish it. Blocks.

    `scan` has seen all bytes. A file that was created is yet to be counted (`reservation.commit`).
    Raise ContentMismatch, DigestMismatch, AlreadyExpired, NameTaken, PreconditionNotMet,
    or what the caller's `authorize` and the reservation raise.
    """
    verdict = scan.verdict(writer, context.executor.run_cpu)
    digests = scan.digests()
    for algorithm, declared in request.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    if request.expires is not None and request.expires <= time.time():
        raise AlreadyExpired
    request.caller.authorize(request.name)  # rights may have changed since the upload was admitted
    reservation.recheck(writer.size)
    sha256 = digests["sha-256"] if context.policy.digest else None
    content = Content(verdict.media_type, verdict.charset, sha256)
    try:
        file = _publish(request, context, writer, content, reservation.owner)
    except NameReserved:  # nothing was published, so the reservation is released as usual
        raise
    except NameTaken:
        stored = find_repeated_file(request, context.store)
        if not stored:
            raise name_taken_error(request) from None
        return UploadResult(stored, created=False)
    except BaseException:
        reservation.abandon()  # the file may become visible nevertheless
        raise
    return UploadResult(file, created=True)


def _publish(
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
