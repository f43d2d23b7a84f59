"""gunicorn's command with the configuration of the service, for `fileservice serve`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fileservice.serving.gunicorn_api import BaseCommand


class _Command(BaseCommand):
    """gunicorn, which imports nothing from the directory in which it is started.

    gunicorn prefers modules there to those that are installed. But `fileservice serve` may be
    started in any directory, such as one with files of others.
    """

    def chdir(self) -> None:
        os.chdir(self.cfg.chdir)


def run(configuration: Path, options: Sequence[str]) -> None:
    """Run gunicorn, with further `options` of its command line. Does not return."""
    sys.argv[1:] = ["--config", str(configuration), *options]
    _Command("fileservice serve -- [GUNICORN_OPTIONS]", prog="fileservice serve").run()
