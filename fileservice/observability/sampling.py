"""Sampler: which requests have a span, and the trace context of each of them.

The variables, the samplers and their arithmetic are those of OpenTelemetry. They are evaluated here
because the decision is passed on to others (`traceparent`) before a request has ended, and because
nothing is done for spans that nobody wants.
"""

import re
from collections.abc import Callable, Mapping

from fileservice.request_record import RequestRecord, new_id

_SAMPLER, _ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_PARENT_BASED = "parentbased_"
_DEFAULT = "parentbased_always_on"
_TRACE_ID = re.compile("(?!0{32})[0-9a-f]{32}")
_SAMPLED = 1
"""The only flag of a trace context of version 00 (W3C Trace Context, section 3.2.2.5)."""

IsSampled = Callable[[str], bool]
"""Returns whether a trace with this id, in hexadecimal, is sampled."""


class Sampler:
    """Makes the trace contexts of requests."""

    def __init__(self, of_roots: IsSampled, *, parent_based: bool) -> None:
        """`of_roots` decides about requests without a parent, and otherwise about all."""
        self._of_roots = of_roots
        self._parent_based = parent_based

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Sampler":
        """Return the sampler that OTEL_TRACES_SAMPLER names. Raise ValueError."""
        name = (environ.get(_SAMPLER) or _DEFAULT).lower()
        samplers: dict[str, Callable[[], IsSampled]] = {
            "always_on": lambda: lambda _trace_id: True,
            "always_off": lambda: lambda _trace_id: False,
            "traceidratio": lambda: _ratio(environ.get(_ARGUMENT) or "1"),
        }
        known = samplers.get(name.removeprefix(_PARENT_BASED))
        if known is None:
            names = [f"{prefix}{each}" for prefix in (_PARENT_BASED, "") for each in samplers]
            raise ValueError(f"{_SAMPLER}={name!r}: must be one of {', '.join(names)}")
        return cls(known(), parent_based=name.startswith(_PARENT_BASED))

    def trace_context(self, record: RequestRecord) -> str:
        """Return the `traceparent` of a new span for this request.

        Without a parent, the id of the trace is that of the request, if it can be.
        """
        parent = record.parent
        if parent:
            trace_id, is_sampled = parent[3:35], bool(int(parent[53:], 16) & _SAMPLED)
        else:
            trace_id = record.id if _TRACE_ID.fullmatch(record.id) else new_id()
        if not parent or not self._parent_based:
            is_sampled = self._of_roots(trace_id)
        return f"00-{trace_id}-{new_id()[:16]}-{is_sampled:02x}"


def is_sampled(trace_context: str) -> bool:
    """Return whether spans of this `traceparent`, which `trace_context` has made, are wanted."""
    return trace_context.endswith("1")


def _ratio(text: str) -> IsSampled:
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"{_ARGUMENT}={text!r}: must be a number from 0 to 1")
    bound = round(ratio * (1 << 64))
    return lambda trace_id: int(trace_id[16:], 16) < bound
