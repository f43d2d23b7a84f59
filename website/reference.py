"""Write the pages that are generated from the service to standard output, as JSON.

The members of the object are the addresses of the pages below docs/, the values their Markdown.
"""

import json
import sys
from collections.abc import Iterator

import click

from fileservice.cli.main import main as command_line
from fileservice.web.problems import TABLE


def problems() -> str:
    """Return the page of the problem types, from the table by which errors are answered."""
    lines = [
        "# Problems",
        "",
        "Every error is a problem (RFC 9457) with one of these codes. "
        "[The HTTP contract](../http.md#errors) says when each of them occurs.",
        "",
        "| status | code | title | further members | `Retry-After` |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in sorted(TABLE, key=lambda row: (row.status, row.code)):
        members = sorted({member for names in row.raised.values() for member in names})
        cells = (
            f"{row.status}",
            f"`{row.code}`",
            row.title,
            ", ".join(f"`{member}`" for member in members),
            f"{row.retry_after} s" if row.retry_after else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "`type` is `urn:fileservice:problem:` and the code, or the registered URI of problems that "
        "IANA has registered. `Retry-After` is the default; where the service knows the time, it "
        "gives that. A member is there if the error that was found has it.",
    ]
    return "\n".join(lines) + "\n"


def commands(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield a section for a command, and then those for the commands below it."""
    level = "#" * (context.command_path.count(" ") + 2)
    yield f"{level} {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from commands(
                    below, click.Context(below, context, name, **below.context_settings)
                )


def command_reference() -> str:
    """Return the page of the command line: what `--help` says for each command."""
    root = click.Context(command_line, info_name="fileservice", **command_line.context_settings)
    start = (
        "# The command line\n\nWhat `--help` says for each command. "
        "`python -m fileservice` is the same as `fileservice`.\n"
    )
    return "\n".join([start, *commands(command_line, root)])


if __name__ == "__main__":
    pages = {
        "reference/problems.md": problems(),
        "reference/command-line.md": command_reference(),
    }
    json.dump(pages, sys.stdout)
