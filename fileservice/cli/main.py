"""The command `fileservice`, which has all others."""

import click

from fileservice import __version__
from fileservice.cli.link import link
from fileservice.cli.token import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fileservice")
def main() -> None:
    """Administer a file service on this machine."""


main.add_command(link)
main.add_command(token)
