"""EventDelivery: sends the events of the queue, in one process at a time.

Each event is sent until the receiver has accepted it (2xx), so it may be sent more than once. An
event waits for the earlier ones about the same file; events about other files do not wait for it.

    2xx                    delivered
    410                    dropped: the receiver wants no such event
    429, 502, 503, 504,    sent again later; all events wait, longer after each failure
    no answer
    any other status       sent again later; the events about the same file wait
"""

import logging
import threading
import time
from collections import deque
from typing import Protocol

from fileservice.events.event import Event
from fileservice.events.limits import REMOTE, DeliveryLimits, Retry
from fileservice.events.queue import EventQueue, QueuedEvent
from fileservice.events.receiver import ReceiverUnavailable, Response
from fileservice.events.settlement import PendingSettlement
from fileservice.executor import Executor
from fileservice.storage import PrivateLock, StorageError, Store, describe_error

_log = logging.getLogger(__name__)
_UNAVAILABLE = (429, 502, 503, 504)
_GONE = 410


class Receiver(Protocol):
    """Where events are sent to."""

    @property
    def label(self) -> str:
        """What the log calls it."""

    def post(self, event_id: str, body: bytes, trace_parent: str) -> Response:
        """Report an event. Raise ReceiverUnavailable."""


class EventDelivery:
    """Delivers the events of the queue of a store, while this process has the lock for that."""

    def __init__(
        self,
        queue: EventQueue,
        store: Store,
        receiver: Receiver,
        executor: Executor,
        limits: DeliveryLimits | None = None,
    ) -> None:
        self._queue = queue
        self._store = store
        self._receiver = receiver
        self._run_io = executor.run_io
        self._run_cpu = executor.run_cpu
        self._limits = limits or (REMOTE if store.remote else DeliveryLimits())
        self._settlement = PendingSettlement(queue, store, executor, self._limits)
        self._lock: PrivateLock | None = None
        self._outage = Retry()
        """Of the receiver, whatever the event."""
        self._retries: dict[str, Retry] = {}
        """Of the first events of files, by the hashes of their names."""

    def start(self) -> None:
        """Deliver events beside the requests, as long as the process lives."""
        threading.Thread(target=self._run, name="event delivery", daemon=True).start()

    def _run(self) -> None:
        trouble = Retry()
        while True:
            try:
                has_lock = self.run_once()
            except StorageError as error:
                _log.warning("events could not be delivered: %s", describe_error(error))
                trouble.postpone(self._limits)
            except Exception:  # noqa: BLE001  # no request waits for the result
                _log.exception("delivering events failed")
                trouble.postpone(self._limits)
            else:
                trouble = Retry()
                time.sleep(self._limits.poll if has_lock else self._limits.take_over)
            time.sleep(trouble.seconds_left())

    def run_once(self) -> bool:
        """Send what is due, once; return whether this process has the lock. Raise StorageError."""
        if not self._keep_lock():
            return False
        if not self._outage.is_due():
            return True
        ready, pending = self._run_io(self._queue.list)
        ready = self._drop_excess(self._drop_old(ready))
        files = self._run_io(self._run_cpu, _by_file, ready)
        waiting = self._settlement.look_at(pending, files.keys())
        self._retries = {name: self._retries[name] for name in self._retries.keys() & files.keys()}
        due = [name for name in files if name not in waiting and self._is_due(name)]
        due.sort(key=self._failures)  # one that makes the receiver fail does not come first again
        self._deliver_files([files[name] for name in due])
        return True

    def close(self) -> None:
        """Let another process deliver the events."""
        if self._lock:
            self._lock.release()
            self._lock = None

    def _keep_lock(self) -> bool:
        if self._lock and self._run_io(self._lock.keep):
            return True
        self.close()
        self._lock = self._run_io(self._queue.try_lock_delivery)
        return self._lock is not None

    def _is_due(self, name_hash: str) -> bool:
        return self._retries.get(name_hash, self._outage).is_due()

    def _failures(self, name_hash: str) -> int:
        retry = self._retries.get(name_hash)
        return retry.failures if retry else 0

    def _deliver_files(self, files: list[list[QueuedEvent]]) -> None:
        """Send the events of files, those of several files at the same time."""
        if not files:
            return
        waiting = deque(files)
        stopped = threading.Event()
        errors: list[Exception] = []

        def deliver() -> None:
            try:
                while not stopped.is_set():
                    if not self._deliver_file(waiting.popleft()):
                        stopped.set()
            except IndexError:
                pass  # no file is left
            except Exception as error:  # noqa: BLE001  # raised again below
                errors.append(error)
                stopped.set()

        if self._outage.failures:  # one request shows whether the receiver is back
            self._deliver_file(waiting.popleft())
            if self._outage.failures:
                return
        threads = [
            threading.Thread(target=deliver, name="event delivery", daemon=True)
            for _ in range(min(self._limits.concurrency, len(waiting)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _deliver_file(self, events: list[QueuedEvent]) -> bool:
        """Send the events of one file until one fails; return False if no other may be sent now."""
        for queued in events:
            if not (self._lock and self._run_io(self._lock.keep)):
                return False
            event = self._run_io(self._queue.read, queued.key)
            if event and not self._send(queued, event):
                return not self._outage.failures
            self._run_io(self._queue.remove, queued.key)
        return True

    def _send(self, queued: QueuedEvent, event: Event) -> bool:
        """Send an event; return whether it can be removed."""
        try:
            response = self._receiver.post(event.id, event.to_cloud_event(), event.ids.trace_parent)
        except ReceiverUnavailable as error:
            self._note_outage(queued, str(error))
            return False
        if response.status in _UNAVAILABLE:
            self._note_outage(queued, f"it answers {response.status}", response.retry_after)
            return False
        if self._outage.failures:
            _log.info("%s receives events again", self._receiver.label)
        if self._outage.failures > 1:  # it was not only about one event
            self._retries = {}
        self._outage = Retry()
        if response.status == _GONE:
            self._log_dropped(event, "the receiver has answered 410")
        elif not 200 <= response.status < 300:
            retry = self._retries.setdefault(queued.name_hash, Retry())
            if not retry.failures:
                reason = f"the receiver has answered {response.status}"
                _log.warning("the %s waits: %s", _describe(event), reason)
            retry.postpone(self._limits)
            return False
        self._retries.pop(queued.name_hash, None)
        return True

    def _note_outage(
        self, queued: QueuedEvent, reason: str, retry_after: float | None = None
    ) -> None:
        """Have all events wait, and this one longer if others are accepted meanwhile."""
        self._retries.setdefault(queued.name_hash, Retry()).postpone(self._limits)
        if not self._outage.failures:
            _log.warning(
                "%s does not receive events: %s; they are kept and sent later",
                self._receiver.label,
                reason,
            )
        if self._outage.is_due():  # other requests of this round have failed as well
            self._outage.postpone(self._limits, retry_after)

    def _drop_old(self, ready: list[QueuedEvent]) -> list[QueuedEvent]:
        oldest = time.time_ns() - int(self._limits.max_age * 1e9)
        for queued in ready:
            if queued.time_ns >= oldest:
                break
            if event := self._run_io(self._queue.read, queued.key):
                self._log_dropped(event, "the receiver has not accepted it for too long")
            self._run_io(self._queue.remove, queued.key)
        return [queued for queued in ready if queued.time_ns >= oldest]

    def _drop_excess(self, ready: list[QueuedEvent]) -> list[QueuedEvent]:
        """Drop the oldest tenth if there are too many events."""
        limit = self._limits.max_queue
        if len(ready) <= limit:
            return ready
        excess = len(ready) - limit + limit // 10
        for queued in ready[:excess]:
            self._run_io(self._queue.remove, queued.key)
        _log.error(
            "there are more than %d events that were not received; the oldest %d were dropped",
            limit,
            excess,
        )
        return ready[excess:]

    def _log_dropped(self, event: Event, reason: str) -> None:
        _log.error("the %s is dropped: %s", _describe(event), reason)


def _by_file(ready: list[QueuedEvent]) -> dict[str, list[QueuedEvent]]:
    """Return the events of each file, by the hash of its name. There may be very many."""
    files: dict[str, list[QueuedEvent]] = {}
    for event in ready:
        files.setdefault(event.name_hash, []).append(event)
    return files


def _describe(event: Event) -> str:
    return f"event {event.id} ({event.kind}, {event.name!r})"
