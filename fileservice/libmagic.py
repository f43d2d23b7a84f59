"""Whether libmagic, which recognises the types of files, can be used."""

from typing import Any


class LibmagicMissing(Exception):
    """libmagic cannot be loaded; the message is a sentence that says what to do."""


def load() -> Any:
    """Import python-magic, which loads libmagic, and return it. Raise LibmagicMissing."""
    try:
        import pylibmagic  # noqa: F401  # first: it puts its libmagic where python-magic looks

        import magic  # isort: skip
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise LibmagicMissing(
            f"libmagic cannot be loaded ({reason}): install the packages pylibmagic and"
            " python-magic again, or libmagic1 of the system"
        ) from error
    return magic


def version() -> str:
    """Return the version of libmagic, such as 5.46. Raise LibmagicMissing."""
    number = load().version()
    return f"{number // 100}.{number % 100:02}"
