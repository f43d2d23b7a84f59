"""Recounts: the files of owners are listed and counted, while uploads and deletions go on."""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fileservice.access.amounts import Amount, Recount, key_of_file
from fileservice.access.counter_records import counter_of, from_bytes, to_bytes
from fileservice.access.quotas import UsageCounter
from fileservice.executor import Executor
from fileservice.storage import OwnedFile, Owner, StorageError, UsageRecords, describe_error

_log = logging.getLogger(__name__)
_RENEWAL_SECONDS = 10.0

UnfinishedUploads = Callable[[], Iterable[tuple[str, str, int, int]]]
"""Lists the unfinished uploads that have a reservation: to whom each belongs, the name of the
reservation (see `storage.Owner.of_upload`), bytes and files."""


@dataclass(frozen=True, slots=True)
class RecountIntervals:
    """How old a count may be, in seconds."""

    regular: float
    """One that is older is renewed beside the next upload of the owner."""
    before_refusal: float
    """Before an upload is refused, one that is older is renewed."""
    shortest: float = 10.0
    """One that is younger is not renewed for a refusal, whatever is known about it."""


LOCAL_INTERVALS = RecountIntervals(regular=3600.0, before_refusal=60.0)
REMOTE_INTERVALS = RecountIntervals(regular=86400.0, before_refusal=3600.0)
"""In a bucket, a recount costs a request for each object."""


class _Count:
    """What a recount has found of one owner so far."""

    def __init__(self, recount: Recount) -> None:
        self.recount = recount
        self.counted = Amount()
        self.found: set[str] = set()
        """The keys of those of its files that are to be replaced."""

    def add(self, file: OwnedFile, reservation: str, *, is_reserved: bool) -> None:
        """Count a file, unless its bytes are reserved still."""
        if not (is_reserved or self.recount.leaves_out(reservation)):
            self.counted += Amount(file.size, 1)
        key = key_of_file(reservation, file.name)
        if key in self.recount.replaced:
            self.found.add(key)


class Recounter:
    """Recounts what owners have stored, one recount at a time in this process."""

    def __init__(
        self,
        records: UsageRecords,
        executor: Executor,
        unfinished_uploads: UnfinishedUploads,
        intervals: RecountIntervals,
    ) -> None:
        self._records = records
        self._executor = executor
        self._unfinished_uploads = unfinished_uploads
        self._intervals = intervals
        self._is_running = False

    def is_due(self, counter: UsageCounter) -> bool:
        """Return whether the files are to be counted beside the next upload."""
        return _age(counter) > self._intervals.regular

    def may_help(self, counter: UsageCounter, since: float) -> bool:
        """Return whether a recount may allow what the counter does not allow.

        It may not if one has begun and ended `since` that time (Unix seconds).
        """
        if counter.counted is not None and counter.counted >= since:
            return False
        age = _age(counter)
        too_high = not counter.exact or counter.has_lapsed_reservations(time.time())
        shortest = self._intervals.shortest if too_high else self._intervals.before_refusal
        return counter.recount is not None or age > shortest

    def begin(self, owner: str, prefix: str = "") -> None:
        """Begin a recount for this owner in the background; see `recount`."""
        if not self._is_running:
            self._is_running = True
            self._executor.submit(self._run, owner, prefix)

    def _run(self, owner: str, prefix: str) -> None:
        try:
            self.recount(owner, prefix)
        except StorageError as error:
            _log.warning("the files of owners could not be counted: %s", describe_error(error))
        except Exception:  # noqa: BLE001  # no request waits for the result
            _log.exception("counting the files of owners failed")
        finally:
            self._is_running = False

    def recount(self, owner: str, prefix: str = "") -> None:
        """Count the files of this owner, and of all others for whom that is due. Blocks.

        If all names of this owner's files begin with a `prefix`, no others are counted.
        """
        recounts = {}
        for each in {owner} if prefix else {owner, *self._owners_due()}:
            if recount := self._begin(each):
                recounts[each] = recount
        if not recounts:
            return
        # A file that is published from now on is counted, or its upload was seen unfinished.
        unfinished: defaultdict[str, dict[str, Amount]] = defaultdict(dict)
        for uploader, reservation_name, size, files in self._unfinished_uploads():
            for each, reservation in Owner.of_upload(uploader, reservation_name).accounts:
                if reservation:
                    unfinished[each][reservation] = Amount(size, files)
        counts = {each: _Count(recount) for each, recount in recounts.items()}
        self._count(counts, unfinished, prefix)
        for each, count in counts.items():
            self._finish(each, count, unfinished[each])

    def _owners_due(self) -> list[str]:
        counters = filter(None, map(from_bytes, self._records.records()))
        return [c.owner for c in counters if _age(c) > self._intervals.regular / 2]

    def _begin(self, owner: str) -> Recount | None:
        begun: list[Recount] = []

        def begin(counter: UsageCounter) -> UsageCounter | None:
            changed = counter.begin_recount(time.time())
            begun[:] = [changed.recount] if changed and changed.recount else []
            return changed

        self._change(owner, begin)
        return begun[0] if begun else None

    def _count(
        self,
        counts: dict[str, _Count],
        unfinished: defaultdict[str, dict[str, Amount]],
        prefix: str,
    ) -> None:
        renewed = time.monotonic()
        for file in self._records.owned_files(prefix):
            for owner, reservation in file.owner.accounts:
                if count := counts.get(owner):
                    # The file of an upload that has not ended yet is counted by its reservation.
                    count.add(file, reservation, is_reserved=reservation in unfinished[owner])
            if time.monotonic() - renewed > _RENEWAL_SECONDS:
                for owner, count in counts.items():
                    self._renew(owner, count.recount)
                renewed = time.monotonic()

    def _renew(self, owner: str, recount: Recount) -> None:
        self._change(owner, lambda c: c.renew_recount(recount.generation, time.time()))

    def _finish(self, owner: str, count: "_Count", unfinished: dict[str, Amount]) -> None:
        generation, counted, found = count.recount.generation, count.counted, count.found
        self._change(
            owner,
            lambda c: c.finish_recount(generation, counted, unfinished, time.time(), found=found),
        )

    def _change(self, owner: str, function: Callable[[UsageCounter], UsageCounter | None]) -> None:
        """Change the counter of an owner, unless `function` returns None. Blocks."""

        def change(record: bytes | None) -> bytes | None:
            counter = function(counter_of(owner, record))
            return None if counter is None else to_bytes(counter)

        self._records.update(owner, change)


def _age(counter: UsageCounter) -> float:
    return float("inf") if counter.counted is None else time.time() - counter.counted
