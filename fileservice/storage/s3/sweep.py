"""Sweeping: what dead processes left in the bucket, removed by its age on the store's clock."""

import json
import logging
from contextlib import suppress

from fileservice.names import BadName, FileName
from fileservice.storage.errors import StorageError
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.bucket import Bucket, Entry
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.lease import LEASES
from fileservice.storage.s3.metadata import FACTS, ID
from fileservice.storage.s3.verify import PROBES
from fileservice.storage.s3.writer import STAGING

_ABANDONED_SECONDS = 24 * 3600.0
"""No request adds nothing to its file for so long."""
_log = logging.getLogger(__name__)


def sweep(bucket: Bucket, abandoned: float = _ABANDONED_SECONDS) -> None:
    """Remove what nobody has touched for so many seconds and nobody can use any more."""
    for part in (_parts, _pieces, _metadata, _leases, _probes):
        try:
            part(bucket, abandoned)
        except (StorageError, ObjectMissing, PreconditionFailed) as error:
            _log.warning("something was not swept: %s", error)


def _parts(bucket: Bucket, abandoned: float) -> None:
    for key, upload, untouched in bucket.multipart_uploads():
        if untouched > abandoned and "/" not in key.removeprefix(PROBES):
            bucket.abort_multipart_upload(key, upload)


def _pieces(bucket: Bucket, abandoned: float) -> None:
    folders: dict[str, list[Entry]] = {}
    for entry in bucket.entries(STAGING):
        folders.setdefault(entry.key.rpartition("/")[0], []).append(entry)
    for entries in folders.values():
        if min(entry.age for entry in entries) > abandoned:
            bucket.delete_all([entry.key for entry in entries])


def _metadata(bucket: Bucket, abandoned: float) -> None:
    """Facts about files that never became visible: looked for on their second day only."""
    for page in bucket.pages(FACTS):
        for entry in page:
            if isinstance(entry, Entry) and abandoned < entry.age < 2 * abandoned:
                _drop_unless_used(bucket, entry)


def _leases(bucket: Bucket, abandoned: float) -> None:
    """Those of processes that died after their upload had ended."""
    for entry in bucket.entries(LEASES):
        if entry.age > abandoned:
            with suppress(PreconditionFailed, ObjectMissing):  # taken over just now
                bucket.delete(entry.key, entry.etag)


def _probes(bucket: Bucket, abandoned: float) -> None:
    """Of processes that died in the proof at their start."""
    bucket.delete_all([entry.key for entry in bucket.entries(PROBES) if entry.age > abandoned])


def _drop_unless_used(bucket: Bucket, entry: Entry) -> None:
    try:
        name = FileName.parse(json.loads(bucket.read(entry.key)).get("name", ""))
    except (ValueError, BadName, ObjectMissing):
        return
    head = reservation.file_at(bucket, name)
    if not head or head.metadata.get(ID) != entry.key.removeprefix(FACTS):
        bucket.delete(entry.key)
