"""Sweep: remove what dead processes left in the bucket, by its age on the bucket's clock."""

import logging
from contextlib import suppress

from fileservice.names import BadName
from fileservice.storage.errors import StorageError
from fileservice.storage.s3 import reservation
from fileservice.storage.s3.client import S3Client
from fileservice.storage.s3.errors import ObjectMissing, PreconditionFailed
from fileservice.storage.s3.layout import LEASES, METADATA, NAME_LOCKS, STAGING, VERIFY
from fileservice.storage.s3.listing import (
    ListedObject,
    list_multipart_uploads,
    list_objects,
    list_pages,
)
from fileservice.storage.s3.metadata import ID, name_in

_DAY = 24 * 3600.0
_log = logging.getLogger(__name__)


def sweep(client: S3Client, abandoned: float = _DAY) -> None:
    """Remove what no request can use any more and nobody has changed for `abandoned` seconds.

    What cannot be removed now is logged, and tried again by the next sweep.
    """
    for part in (_multipart_uploads, _staged_pieces, _metadata, _locks, _verifications):
        try:
            part(client, abandoned)
        except (StorageError, ObjectMissing, PreconditionFailed) as error:
            _log.warning("the sweep of the bucket was incomplete: %s", error)


def _multipart_uploads(client: S3Client, abandoned: float) -> None:
    for upload in list_multipart_uploads(client):
        # An object of another program, in a folder, is not this service's to abort.
        if upload.age > abandoned and "/" not in upload.key.removeprefix(VERIFY):
            client.abort_multipart_upload(upload.key, upload.upload_id)


def _staged_pieces(client: S3Client, abandoned: float) -> None:
    folders: dict[str, list[ListedObject]] = {}
    for listed in list_objects(client, STAGING):
        folders.setdefault(listed.key.rpartition("/")[0], []).append(listed)
    for objects in folders.values():
        if min(listed.age for listed in objects) > abandoned:
            client.delete_objects([listed.key for listed in objects])


def _metadata(client: S3Client, abandoned: float) -> None:
    """Remove metadata of files that were never published.

    Each is looked at for one day only, as reading all of them in every sweep would cost a request
    for every large file.
    """
    for page in list_pages(client, METADATA):
        for listed in page:
            if isinstance(listed, ListedObject) and abandoned < listed.age < abandoned + _DAY:
                _remove_unless_used(client, listed)


def _remove_unless_used(client: S3Client, listed: ListedObject) -> None:
    try:
        name = name_in(client.read_object(listed.key)[1])
    except (ValueError, KeyError, TypeError, BadName, ObjectMissing):
        return
    head = reservation.find_file(client, name)
    if not head or head.metadata.get(ID) != listed.key.removeprefix(METADATA):
        client.delete_object(listed.key)


def _locks(client: S3Client, abandoned: float) -> None:
    """Remove the leases and the locks of names that dead processes had and nobody needs now."""
    for folder in (LEASES, NAME_LOCKS):
        for listed in list_objects(client, folder):
            if listed.age > abandoned:
                with suppress(PreconditionFailed, ObjectMissing):  # it was just taken over
                    client.delete_object(listed.key, listed.etag)


def _verifications(client: S3Client, abandoned: float) -> None:
    """Remove the objects of processes that died while they verified the bucket."""
    client.delete_objects([o.key for o in list_objects(client, VERIFY) if o.age > abandoned])
