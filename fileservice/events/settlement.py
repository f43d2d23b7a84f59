"""PendingSettlement: finds out whether pending events of processes that died have happened."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from fileservice.events.event import Event, EventKind, FileIdentity
from fileservice.events.limits import DeliveryLimits
from fileservice.events.queue import EventQueue
from fileservice.executor import Executor
from fileservice.storage import NotFound, Store


class PendingSettlement:
    """Looks at the pending events of a queue from time to time."""

    def __init__(
        self, queue: EventQueue, store: Store, executor: Executor, limits: DeliveryLimits
    ) -> None:
        self._queue = queue
        self._store = store
        self._run_io = executor.run_io
        self._limits = limits
        self._known: dict[str, _Known] = {}

    def look_at(self, keys: Sequence[str]) -> None:
        """Settle what has happened, and remove what has not for too long. Raise StorageError.

        `keys` are those of all events that are pending. A process that is alive says itself what
        has become of its event, so those that were listed only now are left alone.
        """
        now = time.monotonic()
        self._known = {key: self._known.get(key) or _Known(now) for key in keys}
        for key, known in self._known.items():
            age = now - known.seen
            if age < self._limits.pending or now < known.next_look:
                continue
            known.next_look = now + self._limits.pending
            self._run_io(self._settle, key, is_abandoned=age > self._limits.abandoned)

    def _settle(self, key: str, *, is_abandoned: bool) -> None:
        event = self._queue.read(key)
        if event and has_happened(event, self._store):
            self._queue.settle(event)
        elif is_abandoned:
            self._queue.remove(key)


@dataclass(slots=True)
class _Known:
    """A pending event that was listed."""

    seen: float
    next_look: float = 0.0


def has_happened(event: Event, store: Store) -> bool:
    """Return whether the store shows that a pending event has happened. Blocks.

    Raise StorageError.
    """
    try:
        current = store.stat(event.name)
    except NotFound:
        return event.removes is not None
    if event.kind is EventKind.STORED:
        return current.event == event.id
    return event.removes is not None and FileIdentity.of(current) != event.removes
