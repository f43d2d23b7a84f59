"""The records in which usage counters are kept, as JSON."""

import json
from typing import Any

from fileservice.access.amounts import Amount, Recount, ReplacedFile, Reserved
from fileservice.access.quotas import UsageCounter


def counter_of(owner: str, record: bytes | None) -> UsageCounter:
    """Return the counter of an owner in a record; a new one if there is none in it."""
    return (record and from_bytes(record)) or UsageCounter(owner)


def to_bytes(counter: UsageCounter) -> bytes:
    """Return the counter as JSON."""
    recount = counter.recount and {
        "generation": counter.recount.generation,
        "began": counter.recount.began,
        "renewed": counter.recount.renewed,
        "spared": sorted(counter.recount.spared),
        "changed": _to_list(counter.recount.changed),
        "exact": counter.recount.exact,
        "replaced": sorted(counter.recount.replaced),
    }
    fields = {
        "owner": counter.owner,
        "stored": _to_list(counter.stored),
        "reservations": {
            name: [*_to_list(held.amount), held.expires, *_replaced_to_list(held.replaces)]
            for name, held in counter.reservations.items()
        },
        "generation": counter.generation,
        "counted": counter.counted,
        "exact": counter.exact,
        "recount": recount,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def from_bytes(data: bytes) -> UsageCounter | None:
    """Return the counter that `to_bytes` turned into `data`; None if it is not one."""
    try:
        fields: dict[str, Any] = json.loads(data)
        fields["stored"] = Amount(*fields["stored"])
        fields["reservations"] = {
            name: Reserved(
                Amount(size, files), expires, ReplacedFile(*replaced) if replaced else None
            )
            for name, (size, files, expires, *replaced) in fields["reservations"].items()
        }
        if recount := fields["recount"]:
            recount["changed"] = Amount(*recount["changed"])
            recount["spared"] = frozenset(recount["spared"])
            recount["replaced"] = frozenset(recount.get("replaced", ()))
            fields["recount"] = Recount(**recount)
        return UsageCounter(**fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _replaced_to_list(replaced: ReplacedFile | None) -> list[str | int]:
    return [replaced.key, replaced.size] if replaced else []


def _to_list(amount: Amount) -> list[int]:
    return [amount.bytes, amount.files]
