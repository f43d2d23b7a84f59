"""A queue of events over a directory, and a receiver that a test controls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fileservice.events import (
    DeliveryLimits,
    EventDelivery,
    EventQueue,
    EventRecorder,
    Response,
)
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage import StoredFile
from fileservice.storage.local import LocalStore
from tests.storage.contract.files import content_of

AT_ONCE = DeliveryLimits(first_delay=0.0, longest_delay=0.0, pending=0.0, abandoned=3600.0)
"""Whatever is due is due now."""


@dataclass
class KnownReceiver:
    """Remembers what it was sent; `answer` returns the status, or raises."""

    answer: Callable[[str], int] = lambda _body: 200
    sent: list[str] = field(default_factory=list)
    """The bodies of all requests."""
    label: str = "http://receiver.test"

    def post(self, event_id: str, body: bytes, _trace_parent: str = "") -> Response:
        text = body.decode()
        assert event_id in text
        self.sent.append(text)
        return Response(self.answer(text), None)

    def count(self, name: str) -> int:
        return sum(f'"{name}"' in body for body in self.sent)


class Queue:
    """The queue of a store, as one process sees it."""

    def __init__(
        self, root: Path, limits: DeliveryLimits = AT_ONCE, *, fsync: bool = False
    ) -> None:
        self.root = root
        self.store = LocalStore(root, fsync=fsync)
        self.queue = EventQueue(self.store.private_files)
        self.recorder = EventRecorder(self.queue, "fileservice")
        self.receiver = KnownReceiver()
        self.limits = limits
        self.delivery = self.new_delivery()

    def new_delivery(self) -> EventDelivery:
        return EventDelivery(self.queue, self.store, self.receiver, InlineExecutor(), self.limits)

    def begin(self, name: str, data: bytes = b"data"):
        """Write that a file is about to be stored."""
        content = content_of(data)
        return self.recorder.begin_storing(
            FileName.parse(name), len(data), content, "token:ci", None
        )

    def publish(self, name: str, event: str, data: bytes = b"data") -> StoredFile:
        writer = self.store.writer(len(data))
        try:
            writer.write(data)
            return writer.publish(FileName.parse(name), content_of(data), event=event)
        finally:
            writer.close()

    def put(self, name: str) -> StoredFile:
        """Store a file as an upload does."""
        pending = self.begin(name)
        file = self.publish(name, pending.id)
        pending.complete()
        return file

    def keys(self) -> list[str]:
        return self.store.private_files.list("events")
