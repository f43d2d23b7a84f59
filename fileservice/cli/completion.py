"""`fileservice completion`: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Write a script that completes the commands and options of `fileservice` in a shell.

    For bash, add this line to ~/.bashrc, for zsh with zsh in place of bash to ~/.zshrc:

        eval "$(fileservice completion bash)"

    For fish, save the script as ~/.config/fish/completions/fileservice.fish.
    """
    script = get_completion_class(shell)
    assert script is not None
    root = ctx.find_root()
    click.echo(script(root.command, {}, "fileservice", "_FILESERVICE_COMPLETE").source())
