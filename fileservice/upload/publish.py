"""Publish: the staged file, complete and inspected, becomes visible under its name."""

from dataclasses import dataclass

from fileservice.executor import RunCpu
from fileservice.storage import Content, NameTaken, Store, StoredFile, Writer
from fileservice.upload.errors import DigestMismatch
from fileservice.upload.inspection.scan import ContentScan
from fileservice.upload.policy import UploadPolicy, UploadRequest, earlier_upload, taken


@dataclass(frozen=True, slots=True)
class UploadResult:
    """The stored file, and whether this upload stored it (else an earlier one had)."""

    file: StoredFile
    created: bool


def publish(
    request: UploadRequest,
    policy: UploadPolicy,
    store: Store,
    writer: Writer,
    scan: ContentScan,
    run_cpu: RunCpu,
) -> UploadResult:
    """Judge the whole staged file, and publish it.

    Raises ContentMismatch, DigestMismatch, NameTaken or Unmet.
    """
    verdict = scan.verdict(writer, run_cpu)
    digests = scan.digests()
    for algorithm, declared in request.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    sha256 = digests["sha-256"] if policy.digest else None
    try:
        file = writer.publish(request.name, Content(verdict.media_type, verdict.charset, sha256))
    except NameTaken:
        earlier = earlier_upload(request, store)
        if not earlier:
            raise taken(request) from None
        return UploadResult(earlier, created=False)
    return UploadResult(file, created=True)
