"""UploadStatus: the state of a resumable upload at one moment."""

from dataclasses import dataclass, replace
from typing import Self

from fileservice.storage import StoredFile
from fileservice.upload.resumable.record import UploadKind, UploadRecord
from fileservice.upload.resumable.state import UploadEvent, UploadState, next_state


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """An upload, the number of bytes that it has, and when it expires (Unix seconds)."""

    upload: str
    record: UploadRecord
    offset: int
    expires: float

    @property
    def state(self) -> UploadState:
        """The state of the upload: that of the record, or COMPLETE if all bytes are there."""
        record = self.record
        if (
            record.state is UploadState.RECEIVING
            and record.length == self.offset
            and not record.explicit_completion
        ):
            return next_state(record.state, UploadEvent.RECEIVE_ALL)
        return record.state

    @property
    def is_publishable(self) -> bool:
        """Whether the file is complete and only has to be published."""
        return self.state is UploadState.COMPLETE and self.record.kind is UploadKind.REGULAR

    @property
    def has_ended(self) -> bool:
        """Whether the upload was published; of those that failed or expired there is no status."""
        return self.state.has_ended

    @property
    def file(self) -> StoredFile | None:
        """The published file; None for an upload that has not ended."""
        return self.record.file

    def publish(self, file: StoredFile) -> Self:
        """Return the status after `file` was published. Raise InvalidTransition."""
        state = next_state(self.state, UploadEvent.PUBLISH)
        record = replace(self.record, state=state, file=file)
        return replace(self, record=record, offset=file.size)

    def reject(self, reason: str) -> Self:
        """Return the status after the file was refused. Raise InvalidTransition."""
        state = next_state(self.state, UploadEvent.REJECT)
        return replace(self, record=replace(self.record, state=state, failure=reason))

    def expire(self) -> Self:
        """Return the status after the time of the upload was over. Raise InvalidTransition."""
        state = next_state(self.state, UploadEvent.EXPIRE)
        return replace(self, record=replace(self.record, state=state))
