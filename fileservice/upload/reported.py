"""Publish a file, and report that it was stored: no failure of the process loses one of the two."""

from fileservice.storage import (
    Content,
    NameReserved,
    NameTaken,
    NotFound,
    Owner,
    StoredFile,
    VersionChanged,
    Writer,
)
from fileservice.upload.context import UploadContext
from fileservice.upload.policy import UploadRequest


def publish_and_report(
    request: UploadRequest,
    context: UploadContext,
    writer: Writer,
    content: Content,
    owner: Owner | None,
    *,
    current: StoredFile | None = None,
    replaces: str | None = None,
) -> StoredFile:
    """Publish the file as `Writer.publish` does; `current` is the file that it may replace.

    Raise what that raises, and StorageError if it cannot be reported.
    """
    event = context.events.begin_storing(
        request.name,
        writer.size,
        content,
        request.caller.owner,
        owner,
        expires=request.expires,
        replaces=current,
        upload=request.upload,
        ids=request.caller.ids,
    )
    try:
        file = writer.publish(
            request.name,
            content,
            owner,
            replaces=replaces,
            expires=request.expires,
            event=event.id,
        )
    except (NameReserved, NameTaken, VersionChanged, NotFound):
        event.withdraw()
        raise
    # After any other error the file may be visible. Then the event has happened.
    event.complete()
    return file
