"""Write what loadtest/peers.py has measured into docs/performance.md and docs/performance.svg.

    python loadtest/report.py FILE          FILE is what `peers.py --json` has written

The document is kept but for the parts between its comments `<!-- NAME -->` and `<!-- end -->`.
"""

import argparse
import json
import re
from pathlib import Path

from picture import draw
from verdicts import figures, table

_IMAGE = "![Bars of the service, of other servers and of the limit](performance.svg)"
DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Renew the document and its picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("json", type=Path, help="what peers.py has written")
    arguments = parser.parse_args()
    result = json.loads(arguments.json.read_text())
    runs = result["runs"]
    parts = {
        "machine": f"{_IMAGE}\n\nMeasured with {result['method']}, on {result['machine']}.",
        "set-up": "| | version | set-up |\n| --- | --- | --- |\n"
        + "\n".join(
            f"| {name} | {peer['version']} | {peer['setup']} |"
            for name, peer in result["peers"].items()
        ),
        "bounds": "\n\n".join(f"### {_workers(run)}\n\n{table(run)}" for run in runs),
        "figures": "\n\n".join(f"### Figures: {_workers(run)}\n\n{figures(run)}" for run in runs),
    }
    document = DOCS / "performance.md"
    document.write_text(filled(document.read_text(), parts))
    (DOCS / "performance.svg").write_text(draw(runs[0]))


def filled(text: str, parts: dict[str, str]) -> str:
    """Return the document with other parts. Raises ValueError for one that it has no place for."""
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda match, part=part: f"{match[1]}{part}\n{match[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"the document has {count} places for {name}")
    return text


def _workers(run: dict[str, int]) -> str:
    return f"{run['workers']} worker{'s' if run['workers'] > 1 else ''}"


if __name__ == "__main__":
    main()
