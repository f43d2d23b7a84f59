"""The code uses the terms of the field; private words that it once had do not come back.

In code the words are identifiers, which are found with `tokenize`, so English sentences may use
them. In Markdown they are identifiers where they are code spans. A few phrases are rejected in
sentences as well.
"""

import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

CLASSES = {
    "Away": "TransientError",
    "Bounds": "UploadLimits",
    "Census": "UnfinishedUploads",
    "Examination": "ContentScan",
    "Examinations": "ScanCache",
    "Facts": "MetadataStore",
    "Filling": "PartBuffer",
    "Flight": "PartUploads",
    "Heart": "Heartbeat",
    "InTheLoop": "GreenletExecutor",
    "Interruption": "BodyInterrupt",
    "Kept": "StoredUpload",
    "Ledger": "UploadRepository",
    "Means": "SessionContext",
    "Offer": "UploadRequest",
    "Places": "Layout",
    "Receipt": "UploadResult",
    "Refusal": "RequestRejected",
    "Resumption": "ResumableUploads",
    "Rules": "UploadPolicy",
    "Takeover": "UploadLocks",
    "ToThreads": "ThreadExecutor",
    "Turn": "UploadSession",
    "Undecided": "OutcomeUnknown",
}
"""Names of classes that are rejected → what to say instead."""

WORDS = {
    "assure": "renew_now",
    "awaits_word": "explicit_completion",
    "errors_named": "translate_errors",
    "lame": "faulty",
    "patience": "a time limit in seconds",
    "prove": "verify",
    "proved": "verified",
    "told": "reported",
}
"""Words that are rejected in every identifier that has them, in any case → what to say instead."""

NAMES = {
    "_decided": "_with_retries",
    "at_once": "preempt, or concurrent for what happens at the same time",
    "coming": "content_length",
    "confirm": "ensure_held",
    "in_full": "atomic",
    "labels": "protocol_metadata",
    "land": "wait_all",
    "landing": "wait_all",
    "sight": "descriptor",
}
"""Words that are rejected as a whole identifier only, since they have other uses in longer ones."""

PHRASES = (
    "what is told",
    "the one who",
    "of two minds",
    "watches it for a while",
    "as far as a process came",
    "in the place of the one",
)
"""Phrases that are rejected in sentences, too."""

SOURCES = sorted(
    path
    for folder in ("fileservice", "tests", "loadtest", "cluster", "website")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts and path != Path(__file__)
) + [ROOT / "gunicorn.conf.py"]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]

_CODE_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@functools.cache
def rejected(identifier: str) -> tuple[str, ...]:
    """Return why an identifier is rejected."""
    whole = CLASSES | NAMES
    terms = [whole[name] for name in {identifier, identifier.lstrip("_")} if name in whole]
    # A word counts between the underscores of an identifier, not inside another word.
    parts = f"_{identifier.lower()}_"
    terms += [term for word, term in WORDS.items() if f"_{word}_" in parts]
    return tuple(f"{identifier}: say {term}" for term in terms)


def identifiers_of_source(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


def identifiers_of_document(text: str) -> Iterator[tuple[int, str]]:
    spans = [*_CODE_BLOCK.finditer(text), *_CODE_SPAN.finditer(_CODE_BLOCK.sub(blank, text))]
    for span in spans:
        for match in _IDENTIFIER.finditer(span[0]):
            yield text.count("\n", 0, span.start() + match.start()) + 1, match[0]


def none_of_them(_text: str) -> Iterator[tuple[int, str]]:
    return iter(())


def blank(match: re.Match[str]) -> str:
    """Return as many characters and lines without code."""
    return re.sub(r"[^\n]", " ", match[0])


def problems(path: Path) -> list[str]:
    text = path.read_text()
    phrases = [phrase for phrase in PHRASES if phrase in text.lower()]
    identifiers = identifiers_of_source if path.suffix == ".py" else identifiers_of_document
    if not any(rejected(word) for word in set(_IDENTIFIER.findall(text))):
        identifiers = none_of_them  # to find them takes much longer
    return [
        *(
            f"{path.relative_to(ROOT)}:{line}: {reason}"
            for line, identifier in identifiers(text)
            for reason in rejected(identifier)
        ),
        *(
            f"{path.relative_to(ROOT)}:{number}: write plain English instead of {phrase!r}"
            for phrase in phrases
            for number, line in enumerate(text.splitlines(), 1)
            if phrase in line.lower()
        ),
    ]


@pytest.mark.parametrize("paths", [SOURCES, DOCUMENTS], ids=["sources", "documents"])
def test_files_use_the_terms_of_the_field(paths: list[Path]) -> None:
    assert len(paths) > 30
    assert [problem for path in paths for problem in problems(path)] == []


def test_no_module_of_the_package_is_named_faults() -> None:
    """Errors are defined in modules named errors."""
    assert not list((ROOT / "fileservice").rglob("faults.py"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class Ledger: pass", ["Ledger: say UploadRepository"]),
        ("class _Ledger: pass", ["_Ledger: say UploadRepository"]),
        ("x.told = 1", ["told: say reported"]),
        ("def test_client_is_told(): pass", ["test_client_is_told: say reported"]),
        (
            "coming = _PATIENCE",
            ["coming: say content_length", "_PATIENCE: say a time limit in seconds"],
        ),
        ("turn = means = offer = refused_at_once = 1  # the Ledger is told", []),
        ("'told'; landed = confirmed = insight = incoming = decided = 1", []),
    ],
)
def test_identifiers_in_code_are_rejected_and_sentences_are_not(
    text: str, expected: list[str]
) -> None:
    reasons = [reason for _, name in identifiers_of_source(text) for reason in rejected(name)]
    assert reasons == expected


def test_identifiers_in_documents_are_found_in_code_only() -> None:
    text = "told\n`told`\n```\nLedger\n```\nLedger `Turn`"
    names = [(line, name) for line, name in identifiers_of_document(text) if rejected(name)]
    assert sorted(names) == [(2, "told"), (4, "Ledger"), (6, "Turn")]
