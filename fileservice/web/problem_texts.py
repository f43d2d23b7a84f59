"""What problems say in the languages that are not English.

The errors explain themselves in English. Another language has a sentence for each code, and for the
errors whose sentence is another one. Placeholders are members of the problem, which may be shown as
a size or a duration: `{limit:size}`, `{limit:duration}`.
"""

from collections.abc import Mapping
from string import Formatter

from fileservice.web.localization import Language, Text


def translate(
    problem: Mapping[str, object], error: Exception, language: Language
) -> Mapping[str, object]:
    """Return a problem with its title and detail in a language (RFC 9457 section 3.1)."""
    texts = language.problem.get(str(problem["code"]))
    if not texts:
        return problem
    sentence = _sentence(texts, error)
    if not isinstance(sentence, str):
        sentence = sentence[str(problem["resource"])]
    detail = _Members(language).vformat(sentence, (), problem)
    return {**problem, "title": texts["title"], "detail": detail}


def _sentence(texts: Mapping[str, Text], error: Exception) -> Text:
    """Return the sentence for the class of an error, for the nearest of its bases, or for all."""
    names = (kind.__name__ for kind in type(error).__mro__ if _is_own(kind))
    return next((texts[name] for name in names if name in texts), texts["detail"])


def _is_own(kind: type) -> bool:
    """Return whether a class is the service's: Werkzeug has some of the same names."""
    return kind.__module__.startswith("fileservice.")


class _Members(Formatter):
    """Writes members of a problem into a sentence."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def format_field(self, value: object, format_spec: str) -> str:
        if not isinstance(value, int):
            return str(value)
        if format_spec == "size":
            return self._language.size(value)
        if format_spec == "duration":
            return self._language.duration(value, exact=True)
        return self._language.number(value)
