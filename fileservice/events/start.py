"""Start to report what happens to the files of a store."""

from fileservice.events.delivery import EventDelivery
from fileservice.events.interface import Events
from fileservice.events.queue import EventQueue
from fileservice.events.receiver import EventReceiver
from fileservice.events.recorder import EventRecorder
from fileservice.executor import Executor
from fileservice.storage import Store

_SOURCE = "fileservice"
"""The source of events of a service that does not know its URL."""


def start_events(
    receiver: EventReceiver, public_url: str | None, store: Store, executor: Executor
) -> Events:
    """Return where events are reported, and begin to deliver them beside the requests."""
    EventDelivery(EventQueue(store.private_files), store, receiver, executor).start()
    return record_events(public_url, store)


def record_events(public_url: str | None, store: Store) -> Events:
    """Return where events are reported; only a running service delivers them."""
    return EventRecorder(EventQueue(store.private_files), public_url or _SOURCE)
