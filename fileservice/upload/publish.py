"""Publish: the staged file, complete and inspected, becomes visible under its name."""

from dataclasses import dataclass

from fileservice.storage import Content, NameTaken, Store, StoredFile, Writer
from fileservice.upload.admission import Offer, Rules, earlier_upload, taken
from fileservice.upload.examination import Examination
from fileservice.upload.offloading import Compute


class DigestMismatch(Exception):
    """The bytes that arrived are not the ones the client said it would send."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"the {algorithm} of the bytes that arrived is not the one that the request declares;"
            " they were damaged on the way, or the digest is of something else: send them again"
        )
        self.algorithm = algorithm


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stored file, and whether this upload stored it (else an earlier one had)."""

    file: StoredFile
    created: bool


def publish(
    offer: Offer,
    rules: Rules,
    store: Store,
    writer: Writer,
    examination: Examination,
    compute: Compute,
) -> Receipt:
    """Judge the whole staged file, and publish it.

    Raises ContentMismatch, DigestMismatch, NameTaken or Unmet.
    """
    verdict = examination.verdict(writer, compute)
    digests = examination.digests()
    for algorithm, declared in offer.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    sha256 = digests["sha-256"] if rules.digest else None
    try:
        file = writer.publish(offer.name, Content(verdict.media_type, verdict.charset, sha256))
    except NameTaken:
        earlier = earlier_upload(offer, store)
        if not earlier:
            raise taken(offer) from None
        return Receipt(earlier, created=False)
    return Receipt(file, created=True)
