"""When a file is to expire, as clients write it: a duration, or a time of RFC 3339."""

import math
import re
from datetime import datetime

from fileservice.protocols.errors import BadExpiry
from fileservice.quantities import parse_duration
from fileservice.storage import END_OF_9999

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(?:([Zz])|([+ -])([0-9]{2}:[0-9]{2}))"
)
"""`date-time` of RFC 3339 section 5.6. An offset may have a space for its plus sign, since that is
what a plus sign means in a query string."""


def parse_expiry(text: str, now: float) -> int:
    """Return the time of expiry in whole seconds since the Unix epoch, rounded up.

    A duration begins `now`, in the same unit. Raise BadExpiry, also for a time that has passed.
    """
    text = text.strip()
    time = _TIME.fullmatch(text)
    try:
        seconds = _seconds(time) if time else now + parse_duration(text)
    except ValueError:
        raise BadExpiry(
            "expires must be a duration such as 30m, 24h or 7d, or a time such as"
            " 2027-01-31T18:00:00Z (RFC 3339)"
        ) from None
    if seconds > END_OF_9999:
        raise BadExpiry("expires must be before the year 10000")
    if seconds <= now:
        raise BadExpiry("expires must be in the future")
    return math.ceil(seconds)


def _seconds(time: re.Match[str]) -> float:
    """Return a time in seconds since the Unix epoch. Raise ValueError."""
    date, clock, fraction, _, sign, offset = time.groups()
    offset = f"{sign.replace(' ', '+')}{offset}" if sign else "+00:00"
    seconds = datetime.fromisoformat(f"{date}T{clock}{offset}").timestamp()
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)
