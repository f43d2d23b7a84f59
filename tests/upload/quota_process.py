"""A worker process in which one principal with a quota uploads."""

import os
from functools import partial
from pathlib import Path

from fileservice import filetypes
from fileservice.access import Quota, QuotaAccounts, RecountIntervals
from fileservice.access.amounts import Amount
from fileservice.access.counter_records import counter_of
from fileservice.gevent_executor import InlineExecutor
from fileservice.names import FileName
from fileservice.storage.local import LocalStore
from fileservice.upload import (
    ANY_VERSION,
    AppendRequest,
    Caller,
    ResumableUploads,
    UploadContext,
    UploadPolicy,
    UploadRequest,
    held_reservations,
    receive,
)
from tests.upload.resumable.process import DAY

CI = "token:ci"
QUOTA = Quota(bytes=100_000, files=10)
POLICY = UploadPolicy(types=filetypes.TABLE, max_size=1 << 20, min_free=0, digest=True)
NEVER = RecountIntervals(regular=1e9, before_refusal=1e9, shortest=1e9)
ALWAYS = RecountIntervals(regular=1e9, before_refusal=-1.0, shortest=-1.0)
NAME = FileName.parse("a.txt")


class Process:
    """A worker process, in which one principal with a quota uploads."""

    def __init__(self, root: Path, intervals: RecountIntervals = NEVER) -> None:
        self.root = root
        self.store = LocalStore(root, fsync=False)
        executor = InlineExecutor()
        accounts = QuotaAccounts(
            self.store, executor, partial(held_reservations, self.store), intervals
        )
        self.accounts = accounts
        self.context = UploadContext(
            self.store, POLICY, executor, accounts.release, begin_removal=accounts.begin_removal
        )
        self.uploads = ResumableUploads(self.context, expiry=DAY)
        self.caller = Caller(
            CI,
            CI,
            authorize_replacement=lambda _name: None,
            account=accounts.account(CI, lambda: QUOTA),
        )

    def put(self, name: str, size: int, *, declared: bool = True) -> None:
        length = size if declared else None
        request = UploadRequest(FileName.parse(name), length, caller=self.caller)
        blocks = [b"x" * (size // 2), b"x" * (size - size // 2)]
        receive(request, blocks, self.context)

    def replace(self, name: str, size: int) -> None:
        request = UploadRequest(
            FileName.parse(name), size, replaces=ANY_VERSION, caller=self.caller
        )
        receive(request, [b"y" * size], self.context)

    def create(
        self, name: str | None, length: int | None, replaces: tuple[str, ...] | None = None
    ) -> str:
        request = name and UploadRequest(
            FileName.parse(name), length, replaces=replaces, caller=self.caller
        )
        return self.uploads.create(request or None, length, {}, caller=self.caller).upload

    def append(self, upload: str, offset: int, size: int, length: int | None = None) -> None:
        request = AppendRequest(
            offset, [b"x" * size], size, lambda: None, length=length, caller=self.caller
        )
        self.uploads.append(upload, request)

    def concatenate(self, name: str, *parts: str) -> None:
        request = UploadRequest(FileName.parse(name), None, caller=self.caller)
        self.uploads.concatenate(request, parts, {})

    def delete(self, name: str) -> None:
        file = self.store.stat(FileName.parse(name))
        self.accounts.delete(file, partial(self.store.delete, file.name))

    def used(self) -> Amount:
        return counter_of(CI, self.store.usage.read(CI)).total

    def in_store(self, *, parts: bool) -> Amount:
        """What the principal's files and unfinished uploads have, from the store itself.

        Without `parts`, partial uploads do not count: they may have become a file already. Of an
        upload that is to replace a file which exists, the difference counts.
        """
        reservations = counter_of(CI, self.store.usage.read(CI)).reservations
        found, published = Amount(), set()
        for file in self.store.usage.owned_files():
            found += Amount(file.size, 1)
            published.add(file.owner.reservation)
        for held in held_reservations(self.store):
            if held.name not in published and (parts or held.files):
                found += Amount(held.size, held.files)
                replaces = held.name in reservations and reservations[held.name].replaces
                if replaces and replaces.key in published:
                    found -= Amount(min(held.size, replaces.size), 1)
        return found


def expire(process: Process, name: str) -> None:
    """Let the time of a stored file be over."""
    os.setxattr(process.root / name, "user.fileservice.expires", b"1")
    assert name not in [file.name for file in process.store.list()]  # and it is in the index now
