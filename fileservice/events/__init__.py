"""Events: what happens to files is reported to a receiver, from a queue that survives a crash.

`EventRecorder` writes an event before the change that it reports is acknowledged, and
`EventDelivery` sends what is written to the `EventReceiver`. What other packages may use is
exported here.
"""

from fileservice.events.delivery import EventDelivery
from fileservice.events.event import Event, EventKind
from fileservice.events.interface import NO_EVENTS, Events
from fileservice.events.limits import DeliveryLimits
from fileservice.events.queue import EventQueue
from fileservice.events.receiver import EventReceiver, ReceiverUnavailable, Response
from fileservice.events.recorder import EventRecorder
from fileservice.events.signature import signature_fields
from fileservice.events.start import record_events, start_events

__all__ = [
    "NO_EVENTS",
    "DeliveryLimits",
    "Event",
    "EventDelivery",
    "EventKind",
    "EventQueue",
    "EventReceiver",
    "EventRecorder",
    "Events",
    "ReceiverUnavailable",
    "Response",
    "record_events",
    "signature_fields",
    "start_events",
]
