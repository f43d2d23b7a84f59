"""An append reads its upload twice: once to refuse it without the lock, and once under the lock."""

from typing import Any

import pytest

from fileservice.storage import StoredUpload
from tests.upload.resumable.process import TEXT, Process


@pytest.mark.parametrize(
    ("blocks", "options"),
    [
        ([TEXT[:100]], {}),
        ([TEXT[:100]], {"atomic": True}),
        ([TEXT[:100]], {"length": len(TEXT)}),
        ([], {}),
        ([], {"length": len(TEXT)}),
        ([TEXT], {"length": len(TEXT)}),
        ([TEXT], {"final": True}),
    ],
    ids=[
        "bytes",
        "atomic",
        "declared length",
        "nothing",
        "only declared length",
        "last byte",
        "final",
    ],
)
def test_append_reads_its_upload_twice(
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    blocks: list[bytes],
    options: dict[str, Any],
) -> None:
    upload = process.create(None)
    read = process.store.uploads.read
    reads = []

    def count(upload: str, *options: Any) -> StoredUpload:
        reads.append(upload)
        return read(upload, *options)

    monkeypatch.setattr(process.store.uploads, "read", count)
    process.append(upload, 0, *blocks, **options)

    assert reads == [upload] * 2
