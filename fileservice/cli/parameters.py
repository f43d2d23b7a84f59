"""Values of parameters, by the parsers that settings and files are read with."""

from collections.abc import Callable

import click

AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Write a JSON object in a line for each file."
)


def parsed_by(
    parse: Callable[[str], object],
) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """Return a callback for a parameter that turns its text into a value.

    If `parse` raises ValueError, the command ends with its message and the status 2.
    """

    def convert(_ctx: click.Context, _param: click.Parameter, text: str | None) -> object:
        try:
            return None if text is None else parse(text)
        except ValueError as error:
            raise click.BadParameter(f"{text!r}: {error}") from None

    return convert
