"""Which requests have spans: what OpenTelemetry's own samplers decide."""

import random
import re

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from fileservice.observability import Sampler
from fileservice.observability.sampling import is_sampled
from fileservice.request_record import RequestRecord

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
SAMPLERS = {
    "always_on": sampling.ALWAYS_ON,
    "always_off": sampling.ALWAYS_OFF,
    "traceidratio": sampling.TraceIdRatioBased(0.3),
    "parentbased_always_on": sampling.DEFAULT_ON,
    "parentbased_always_off": sampling.DEFAULT_OFF,
    "parentbased_traceidratio": sampling.ParentBasedTraceIdRatio(0.3),
}
IDS = [f"{random.Random(seed).getrandbits(128):032x}" for seed in range(100)]


def record(parent: str = "", request_id: str = "") -> RequestRecord:
    made = RequestRecord()
    made.parent = parent
    made.id = request_id or made.id
    return made


@pytest.mark.parametrize("name", SAMPLERS)
def test_decisions_are_those_of_the_sampler_of_opentelemetry(name: str) -> None:
    ours = Sampler.from_environ({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "0.3"})
    for trace_id in IDS:
        for flags in ("", "00", "01", "03"):
            parent = f"00-{trace_id}-b7ad6b7169203331-{flags}" if flags else ""
            context = Context()
            if flags:
                remote = SpanContext(int(trace_id, 16), 1, True, TraceFlags(int(flags, 16)))
                context = set_span_in_context(NonRecordingSpan(remote), Context())
            theirs = SAMPLERS[name].should_sample(context, int(trace_id, 16), "")
            made = ours.trace_context(record(parent, trace_id))
            assert is_sampled(made) == theirs.decision.is_sampled(), (trace_id, flags)


def test_span_of_a_request_with_a_parent_is_in_its_trace_with_an_id_of_its_own() -> None:
    sampler = Sampler.from_environ({})
    contexts = {sampler.trace_context(record(f"{PARENT}1")) for _ in range(2)}
    assert len(contexts) == 2
    for context in contexts:
        assert re.fullmatch("00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", context)
        assert context[36:52] != "b7ad6b7169203331"


def test_trace_without_a_parent_has_the_id_of_the_request_if_it_can() -> None:
    sampler = Sampler.from_environ({})
    own = record()
    assert sampler.trace_context(own)[3:35] == own.id
    for other in ("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "0" * 32, "01J8ZQ4P"):
        context = sampler.trace_context(record("", other))
        assert re.fullmatch("00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01", context)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "must be one of parentbased_always_on,"),
        ({"OTEL_TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG='2': must be a number"),
        ({"OTEL_TRACES_SAMPLER_ARG": "half"}, "OTEL_TRACES_SAMPLER_ARG='half': must be a"),
    ],
)
def test_sampler_that_there_is_not_is_an_error(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Sampler.from_environ({"OTEL_TRACES_SAMPLER": "traceidratio"} | environ)
