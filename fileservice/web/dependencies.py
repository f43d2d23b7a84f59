"""Dependencies: the objects and settings that the routes work with."""

from dataclasses import dataclass

from fileservice.access import LinkStore, QuotaAccounts
from fileservice.executor import Executor
from fileservice.integrity import DamageMarks
from fileservice.storage import Store
from fileservice.upload import ResumableUploads, UploadContext, UploadPolicy
from fileservice.web.door import Door
from fileservice.web.maintenance import Sweeper
from fileservice.web.search_limit import SearchLimit


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What `app` passes to the routes of every resource."""

    upload_context: UploadContext
    resumable_uploads: ResumableUploads
    sweeper: Sweeper
    search_limit: SearchLimit
    door: Door
    quota_accounts: QuotaAccounts
    links: LinkStore
    damage_marks: DamageMarks
    idle_timeout: float
    """Seconds for which a client may send nothing of a body."""
    public_url: str | None
    """Where clients reach the service; None to derive it from each request."""
    download_redirect: bool
    """Whether a download is redirected to where the store has the file, if it has such a place."""

    @property
    def store(self) -> Store:
        """The store."""
        return self.upload_context.store

    @property
    def policy(self) -> UploadPolicy:
        """What uploads are accepted."""
        return self.upload_context.policy

    @property
    def executor(self) -> Executor:
        """Where blocking work runs."""
        return self.upload_context.executor
