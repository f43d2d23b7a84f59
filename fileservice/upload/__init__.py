"""The way in: every upload, whatever its form, is received here in the same five steps.

What may be raised, besides the errors of the store:

    Refused                  see admission
    ContentMismatch          the bytes are not what the name says
    DigestMismatch           the bytes are not those that the client declared
    and whatever the blocks raise when the client stops short
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fileservice.storage import NameTaken, Store, StoredFile, Writer
from fileservice.upload.admission import (
    ExtensionNotAllowed,
    NoExtension,
    Offer,
    Refused,
    Rules,
    TooLarge,
    Unmet,
    admit,
    earlier_upload,
    taken,
)
from fileservice.upload.inspection import ContentMismatch, Inspector
from fileservice.upload.offloading import Offload
from fileservice.upload.publish import DigestMismatch, publish
from fileservice.upload.stream import Block, Stream

__all__ = [
    "ContentMismatch",
    "DigestMismatch",
    "ExtensionNotAllowed",
    "NoExtension",
    "Offer",
    "Offload",
    "Receipt",
    "Refused",
    "Rules",
    "TooLarge",
    "Unmet",
    "receive",
]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stored file, and whether this upload stored it (else an earlier one had)."""

    file: StoredFile
    created: bool


def receive(
    offer: Offer, blocks: Iterable[Block], *, rules: Rules, store: Store, offload: Offload
) -> Receipt:
    """Take in one file and publish it, or raise and leave nothing behind.

    `blocks` is not touched before the offer is admitted, and each block must stay as it is until
    the next but one is asked for; what it raises when the body is cut short passes through.
    `offload` runs what blocks away from the event loop.
    """
    file_type, stored = admit(offer, rules, store)
    if stored:
        return Receipt(stored, created=False)
    writer = offload(store.writer, offer.length)
    try:
        inspector = Inspector(file_type)
        stream = Stream(offer, rules, store, writer, inspector)
        stream.pump(blocks, offload)
        return offload(_conclude, offer, rules, store, writer, stream, inspector)
    finally:
        offload(writer.close)


def _conclude(
    offer: Offer, rules: Rules, store: Store, writer: Writer, stream: Stream, inspector: Inspector
) -> Receipt:
    verdict = inspector.conclude(writer.fileno(), stream.size)
    try:
        file = publish(offer, rules, writer, verdict, stream.digests())
    except NameTaken:
        earlier = earlier_upload(offer, store)
        if not earlier:
            raise taken(offer) from None
        return Receipt(earlier, created=False)
    return Receipt(file, created=True)
