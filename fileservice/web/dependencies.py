"""Dependencies: the objects and settings that the routes work with."""

from dataclasses import dataclass

from fileservice.executor import Executor
from fileservice.storage import Store
from fileservice.upload import UploadPolicy
from fileservice.upload.resumable.service import ResumableUploads
from fileservice.web.maintenance import Sweeper
from fileservice.web.search_limit import SearchLimit


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What `app` passes to the routes of every resource."""

    store: Store
    policy: UploadPolicy
    executor: Executor
    resumable_uploads: ResumableUploads
    sweeper: Sweeper
    search_limit: SearchLimit
    idle_timeout: float
    """Seconds for which a client may send nothing of a body."""
    public_url: str | None
    """Where clients reach the service; None to derive it from each request."""
    download_redirect: bool
    """Whether a download is redirected to where the store has the file, if it has such a place."""
