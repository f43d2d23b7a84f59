"""The way in: every upload, whatever its form, is received here in the same five steps.

What may be raised, besides the errors of the store:

    Refused                  see admission
    ContentMismatch          the bytes are not what the name says
    DigestMismatch           the bytes are not those that the client declared
    and whatever the blocks raise when the client stops short
"""

from collections.abc import Iterable

from fileservice.filetypes import Family
from fileservice.storage import Store
from fileservice.upload.admission import (
    ExtensionNotAllowed,
    NoExtension,
    Offer,
    Refused,
    Rules,
    TooLarge,
    Unmet,
    admit,
)
from fileservice.upload.examination import Block, examine
from fileservice.upload.inspection import ContentMismatch
from fileservice.upload.offloading import Offload
from fileservice.upload.publish import DigestMismatch, Receipt, publish
from fileservice.upload.stream import Stream

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


def receive(
    offer: Offer, blocks: Iterable[Block], *, rules: Rules, store: Store, offload: Offload
) -> Receipt:
    """Take in one file and publish it, or raise and leave nothing behind.

    `blocks` is not touched before the offer is admitted, and each block must stay as it is until
    the next but one is asked for; what it raises when the body is cut short passes through.
    `offload` runs what blocks away from the event loop.
    """
    file_type, stored = admit(offer, rules, store, offload)
    if stored:
        return Receipt(stored, created=False)
    judged_whole = file_type.family in (Family.OLE, Family.ZIP)
    writer = offload(
        store.writer,
        offer.length,
        meant_for=None if judged_whole else offer.name,
        leave=rules.min_free,
    )
    try:
        examination = examine(offer, rules, file_type)
        stream = Stream(rules, store, writer, examination, offload, length=offer.length)
        stream.pump(blocks)
        stream.check_room()
        return offload(publish, offer, rules, store, writer, examination, offload.compute)
    finally:
        offload(writer.close)
