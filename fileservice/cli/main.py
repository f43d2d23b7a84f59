"""The command `fileservice`, which has all others."""

import click

from fileservice import __version__
from fileservice.cli.copy import copy
from fileservice.cli.get import get
from fileservice.cli.link import link
from fileservice.cli.ls import ls
from fileservice.cli.put import put
from fileservice.cli.rm import rm
from fileservice.cli.share import share
from fileservice.cli.token import token
from fileservice.cli.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fileservice")
def main() -> None:
    """Administer a file service on this machine, or use one anywhere."""


main.add_command(copy)
main.add_command(get)
main.add_command(link)
main.add_command(ls)
main.add_command(put)
main.add_command(rm)
main.add_command(share)
main.add_command(token)
main.add_command(verify)
