"""PendingSettlement: finds out whether pending events of processes that died have happened."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fileservice.events.event import Event, EventKind, FileIdentity
from fileservice.events.limits import DeliveryLimits
from fileservice.events.queue import EventQueue, name_hash_of, pending_key
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

    def look_at(self, keys: Sequence[str], names: Collection[str]) -> set[str]:
        """Settle what has happened, and remove what has not for too long. Raise StorageError.

        `keys` are those of all events that are pending. A process that is alive says itself what
        has become of its event, so those that were listed only now are left alone.

        `names` are the hashes of the names of files that have other events. Return those whose
        events have to wait: a removal is pending that may come before them.
        """
        now = time.monotonic()
        self._known = {key: self._known.get(key) or _Known(now) for key in keys}
        waiting = set()
        for key, known in self._known.items():
            age, name = now - known.seen, name_hash_of(key)
            may_come_before = name in names and self._run_io(self._may_be_removal, key, known)
            if age < self._limits.pending:
                is_waited_for = True
            elif now >= known.next_look or may_come_before:
                known.next_look = now + self._limits.pending
                is_abandoned = age > self._limits.abandoned
                is_waited_for = self._run_io(self._settle, key, is_abandoned=is_abandoned)
            else:
                is_waited_for = False
            if may_come_before and is_waited_for:
                waiting.add(name)
        return waiting

    def _may_be_removal(self, key: str, known: "_Known") -> bool:
        """Return False if it is another event; True also if it has just been settled."""
        if known.is_removal is None:
            event = self._queue.read(key)
            if event is None:
                return True
            known.is_removal = event.removes is not None
        return known.is_removal

    def _settle(self, key: str, *, is_abandoned: bool) -> bool:
        """Settle the event if it has happened, and return whether it has."""
        event = self._queue.read(key)
        has_happened = self._has_happened(event) if event else False
        if event and has_happened:
            self._queue.settle(event)
        elif is_abandoned and has_happened is not None:
            self._queue.remove(key)
        return bool(has_happened)

    def _has_happened(self, event: Event) -> bool | None:
        """Return whether the store shows that a pending event has happened; None if not yet."""
        try:
            current = self._store.stat(event.name)
        except NotFound:
            return event.removes is not None
        if event.kind is EventKind.STORED:
            return current.event == event.id
        if event.removes is None or FileIdentity.of(current) == event.removes:
            return False
        # The event of the file that is there now comes first: it tells whether the file of this
        # event was replaced, and then withdraws it.
        return None if pending_key(current.name, current.event) in self._known else True


@dataclass(slots=True)
class _Known:
    """A pending event that was listed."""

    seen: float
    next_look: float = 0.0
    is_removal: bool | None = None
    """None if it has not been read."""
