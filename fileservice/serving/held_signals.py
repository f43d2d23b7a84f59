"""Signals that reach a new worker before it handles them.

gunicorn's master has handlers that put a signal into a queue. A worker has them as well until it
has its own, and nobody reads its queue: a signal that came then was lost, and a service that was
stopped at that moment waited for the worker until the end of the grace period. So these signals
wait while a worker is forked, until it handles them.
"""

import os
import signal

_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1)


def hold() -> None:
    """Have the signals wait in this process, until it has forked, and in the process that it forks.

    That one has to call `release`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def release() -> None:
    """Handle the signals, also those that have come since `hold`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


os.register_at_fork(after_in_parent=release)
