"""The command `fileservice`, which has all others."""

from importlib import import_module

import click

from fileservice import __version__

_COMMANDS = (
    *("check", "completion", "copy", "link", "serve", "sweep", "token", "verify", "version"),
    *("get", "ls", "put", "rm", "share"),  # of clients
)
"""Each is a function of this name in a module of this name."""


class _Commands(click.Group):
    """Imports the module of a command when it is needed.

    Workers inherit what `serve` imports, so that must not be what the other commands need: gevent
    has to replace sockets before the SDK for S3 is imported.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = getattr(import_module(f"fileservice.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fileservice")
def main() -> None:
    """Run a file service and administer it, or use one anywhere."""
