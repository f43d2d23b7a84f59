"""CounterTable: counters with a time of expiry, in memory that the workers share.

The memory storage of the `limits` package counts for one process, keeps every key until it
expires, and goes through all of them again and again. This table has a fixed size, however many
addresses there are: if a bucket of it is full, the counter that has counted least is dropped.
"""

import hashlib
import os
import struct
import time

from limits.storage import Storage

from fileservice.access.shared_memory import SharedMemory

_ENTRY = struct.Struct("<QQd")
"""The hash of the key, the count, and the expiry on the monotonic clock; all zero if it is free."""
_ENTRIES_PER_BUCKET = 8
_BUCKET = struct.Struct("<" + "QQd" * _ENTRIES_PER_BUCKET)
_BUCKETS = 1 << 15
_SECRET_SIZE = 16
_MAX_COUNT = (1 << 64) - 1
SIZE = _SECRET_SIZE + _BUCKETS * _BUCKET.size
"""Bytes of shared memory: 6 MiB for 262,144 counters."""


class CounterTable(Storage):
    """A storage of the `limits` package. It never blocks, and raises nothing.

    Keys are hashed with a random secret, so that nobody can choose addresses which share a bucket,
    and a key may contain credentials.
    """

    STORAGE_SCHEME = None
    base_exceptions = ()

    def __init__(self, memory: SharedMemory, offset: int) -> None:
        """Use the `SIZE` bytes of the memory from `offset` on."""
        super().__init__()
        self._memory = memory
        self._start = offset + _SECRET_SIZE
        with memory.locked(offset):
            self._secret = memory.bytes[offset : self._start]
            if not any(self._secret):  # this is the first process
                self._secret = memory.bytes[offset : self._start] = os.urandom(_SECRET_SIZE)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter and return its value; a new one expires after `expiry` seconds."""
        hashed, bucket = self._locate(key)
        now = time.monotonic()
        with self._memory.locked(bucket):
            position, (found, count, expires) = self._entry(hashed, bucket, now)
            if found != hashed or expires <= now:
                count, expires = 0, now + expiry
            count = min(count + amount, _MAX_COUNT)
            self._write(bucket, position, (hashed, count, expires))
        return count

    def put(self, key: str, expiry: float, count: int = 1) -> None:
        """Set a counter, which expires `expiry` seconds from now."""
        hashed, bucket = self._locate(key)
        now = time.monotonic()
        with self._memory.locked(bucket):
            position, _ = self._entry(hashed, bucket, now)
            self._write(bucket, position, (hashed, count, now + expiry))

    def get(self, key: str) -> int:
        return self._find(key)[0]

    def get_expiry(self, key: str) -> float:
        """Return when a counter expires, in seconds since the epoch; now if there is none."""
        return time.time() + max(0.0, self._find(key)[1] - time.monotonic())

    def clear(self, key: str) -> None:
        hashed, bucket = self._locate(key)
        with self._memory.locked(bucket):
            position, (found, _, _) = self._entry(hashed, bucket, time.monotonic())
            if found == hashed:
                self._write(bucket, position, (0, 0, 0.0))

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        """Delete nothing: other processes use the counters, too."""
        return None

    def _find(self, key: str) -> tuple[int, float]:
        hashed, bucket = self._locate(key)
        data = _BUCKET.unpack_from(self._memory.bytes, bucket)
        if hashed not in data[::3]:
            return 0, 0.0
        # Without a lock: what two reads find is not half written.
        while (again := _BUCKET.unpack_from(self._memory.bytes, bucket)) != data:
            data = again
        for position in range(0, len(data), 3):
            if data[position] == hashed and data[position + 2] > time.monotonic():
                return data[position + 1], data[position + 2]
        return 0, 0.0

    def _locate(self, key: str) -> tuple[int, int]:
        """Return the hash of a key and the position of its bucket."""
        digest = hashlib.blake2b(key.encode(), key=self._secret, digest_size=8).digest()
        hashed = int.from_bytes(digest) or 1
        return hashed, self._start + hashed % _BUCKETS * _BUCKET.size

    def _entry(self, hashed: int, bucket: int, now: float) -> tuple[int, tuple[int, int, float]]:
        """Return where the counter is or belongs, and what is there."""
        entries = _ENTRY.iter_unpack(self._memory.bytes[bucket : bucket + _BUCKET.size])
        return min(enumerate(entries), key=lambda each: _order(each[1], hashed, now))

    def _write(self, bucket: int, position: int, entry: tuple[int, int, float]) -> None:
        _ENTRY.pack_into(self._memory.bytes, bucket + position * _ENTRY.size, *entry)


def _order(entry: tuple[int, int, float], hashed: int, now: float) -> tuple[bool, bool, int]:
    """Order the entries of a bucket: the one of the key, one that has expired, the least one."""
    found, count, expires = entry
    return found != hashed, expires > now, count
