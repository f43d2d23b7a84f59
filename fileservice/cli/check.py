"""`fileservice check`: whether the service can start and do its work, before it is started."""

import json
import os

import click

from fileservice.cli.checks import CheckResult, run_checks
from fileservice.cli.output import write_table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array of objects.")
def check(as_json: bool) -> None:
    """Check the settings and what they name, each with a verdict.

    Run it as the user of the service and with its environment. It starts nothing and makes no
    store; in one that exists, it writes a file, or some objects, and removes them. The exit status
    is 1 if a check has failed; warnings are no failures.
    """
    findings = run_checks(os.environ)
    if as_json:
        members = [
            {"check": one.check, "verdict": one.verdict, "detail": one.detail} for one in findings
        ]
        click.echo(json.dumps(members, indent=2, ensure_ascii=False))
    else:
        rows = [(one.check, one.verdict, one.detail) for one in findings]
        write_table([("CHECK", "VERDICT", "DETAIL"), *rows])
    if any(one.verdict is CheckResult.FAILED for one in findings):
        click.get_current_context().exit(1)
