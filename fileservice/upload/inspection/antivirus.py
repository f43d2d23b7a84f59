"""Antivirus: the check of a complete file by clamd."""

import logging

from fileservice.executor import RunCpu
from fileservice.upload.errors import RefusedByScanner, ScannerUnavailable
from fileservice.upload.inspection.clamd import Clamd, ClamdError
from fileservice.upload.staged_checks import FileFacts

_log = logging.getLogger(__name__)


class Antivirus:
    """See `StagedCheck`. If clamd does not work, files are accepted if it `fails_open`.

    `run` calls a function that blocks in a thread that no other work waits for.
    """

    def __init__(self, clamd: Clamd, run: RunCpu, *, fails_open: bool) -> None:
        self._clamd = clamd
        self._run = run
        self._fails_open = fails_open

    def __call__(self, descriptor: int, facts: FileFacts, /) -> None:
        """Raise RefusedByScanner, or ScannerUnavailable."""
        try:
            signature = self._run(self._clamd.scan, descriptor, facts.size)
        except (ClamdError, OSError) as error:
            if not self._fails_open:
                _log.error(
                    "the file %r was not accepted, since it was not scanned: %s", facts.name, error
                )
                raise ScannerUnavailable from error
            _log.warning("the file %r was accepted without a scan: %s", facts.name, error)
            return
        if signature is not None:
            _log.warning("the file %r of %s has %s", facts.name, facts.principal or "-", signature)
            raise RefusedByScanner(signature)
