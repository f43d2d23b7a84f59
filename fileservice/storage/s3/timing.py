"""The time limits of a store in a bucket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the store waits, in seconds.

    Ages of leases, reservations and release requests are differences of the bucket's own clock,
    which S3 gives in whole seconds.
    """

    connect: float = 5.0
    """For a connection to the endpoint."""
    read: float = 15.0
    """For the next bytes of an answer."""
    retry: float = 10.0
    """For how long a request that failed is repeated."""
    retry_with_body: float = 40.0
    """The same where a client has sent megabytes, which it would have to send again."""
    lease: float = 8.0
    """After so long without a renewal another writer may take a lease over."""
    lease_trusted: float = 5.0
    """For so long after a renewal began, nobody else can have taken the lease over."""
    lease_renewal: float = 3.0
    """How often a lease is renewed while no bytes arrive."""
    heartbeat_interval: float = 1.0
    """How often a lease is renewed while bytes arrive. Shorter than the 1.5 s for which
    upload.resumable.locks watches whether the writer still receives."""
    private_lease: float = 60.0
    """After so long another process may take over the lock of a key. It is held for hours, and each
    renewal costs money, so there are fewer of them than of the lease of an upload."""
    private_lease_renewal: float = 20.0
    """How often it is renewed."""
    flush_idle: float = 1.0
    """After so long without a byte, the bytes in memory are sent."""
    flush: float = 5.0
    """Bytes in memory are sent after so long, even if more arrive."""
    release_request: float = 10.0
    """A release request that is older is ignored: the process that made it is dead."""
    expired_file: float = 3600.0
    """After so long an expired file is removed. Downloads that began before may need it, since each
    of their requests for bytes would fail without the object."""
    reservation: float = 180.0
    """After so long another upload may replace a reservation. This is much longer than
    `retry_with_body`, after which no process completes an upload any more."""
