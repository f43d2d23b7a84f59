"""Publish: the staged file, complete and inspected, becomes visible under its name."""

from collections.abc import Mapping

from fileservice.storage import Content, StoredFile, Writer
from fileservice.upload.admission import Offer, Rules
from fileservice.upload.inspection import Verdict


class DigestMismatch(Exception):
    """The bytes that arrived are not the ones the client said it would send."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"the {algorithm} of the bytes that arrived is not the one that the request declares;"
            " they were damaged on the way, or the digest is of something else: send them again"
        )
        self.algorithm = algorithm


def publish(
    offer: Offer, rules: Rules, writer: Writer, verdict: Verdict, digests: Mapping[str, bytes]
) -> StoredFile:
    """Check the declared digests and publish. Raises DigestMismatch, NameTaken."""
    for algorithm, declared in offer.digests.items():
        if digests[algorithm] != declared:
            raise DigestMismatch(algorithm)
    sha256 = digests["sha-256"] if rules.digest else None
    return writer.publish(offer.name, Content(verdict.media_type, verdict.charset, sha256))
