"""Hooks of MkDocs: pages that are not files below docs/, and links that lead out of docs/.

MkDocs calls the functions by their names (https://www.mkdocs.org/user-guide/configuration/#hooks).
"""

import json
import os
import re
import subprocess
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
SERVICE_PYTHON = os.environ.get("SERVICE_PYTHON", str(ROOT / ".venv/bin/python"))
"""A Python that can import the service, which the environment of MkDocs cannot."""
PAGES_OF_THE_ROOT = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files beside docs/ → the addresses of their pages."""
STYLES = ROOT / "website/tables.css"
MERMAID = ROOT / "website/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"

_LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\((?!https?:|#)([^)\s#]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the decisions, and pages for which `nav` has no place, into the navigation."""
    assert config.nav is not None
    docs = Path(config.docs_dir)
    decisions = sorted(path.relative_to(docs).as_posix() for path in docs.glob("decisions/*.md"))
    named = set(re.findall(r"[\w/-]+\.md", json.dumps(config.nav))) | set(decisions)
    others = sorted({path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} - named)
    for section in config.nav:
        if "Decisions" in section:
            section["Decisions"] = decisions
        if "Reference" in section:
            section["Reference"] += others
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are generated, those beside docs/, and assets from website/."""
    done = subprocess.run(  # noqa: S603
        [SERVICE_PYTHON, "-m", "website.reference"], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    pages: dict[str, str] = json.loads(done.stdout)
    for source, address in PAGES_OF_THE_ROOT.items():
        if address != "index.md":
            pages[address] = (ROOT / source).read_text()
    for address, text in pages.items():
        files.append(File.generated(config, address, content=text))
    if not MERMAID.exists():
        raise PluginError(f"{MERMAID} is missing; `make docs` installs it")
    for asset in (MERMAID, STYLES):
        files.append(File.generated(config, f"assets/{asset.name}", abs_src_path=str(asset)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files beside docs/ lead to their pages; leave the text of those to sources."""
    root_page = {address: name for name, address in PAGES_OF_THE_ROOT.items()}
    address = page.file.src_uri
    folder = "" if root_page.get(address, "README.md") != "README.md" else "docs"

    def rewritten(match: re.Match[str]) -> str:
        picture, text, path, anchor = match.groups()
        target = normpath(join(folder, "" if not folder else dirname(address), path))
        inside = PAGES_OF_THE_ROOT.get(target) or target.removeprefix("docs/")
        if target.startswith("docs/") and (ROOT / target).is_dir():
            inside = (
                sorted(Path(ROOT / target).glob("*.md"))[0].relative_to(ROOT / "docs").as_posix()
            )
        elif not target.startswith("docs/") and target not in PAGES_OF_THE_ROOT:
            return text
        return f"{picture}[{text}]({relpath(inside, dirname(address) or '.')}{anchor or ''})"

    return _LINK.sub(rewritten, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Load the library for diagrams on the pages that have one, from the site itself.

    The theme loads it from another host if it is not there yet.
    """
    if 'class="mermaid"' not in output:
        return output
    source = relpath(f"assets/{MERMAID.name}", dirname(page.url) or ".")
    return output.replace("</head>", f'<script src="{source}"></script></head>', 1)
