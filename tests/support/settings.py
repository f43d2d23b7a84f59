"""Settings that are read from variables without their prefix."""

import pytest

from fileservice.settings import VARIABLES, Settings, SettingsError

SECRETS = {name for name, variable in VARIABLES.items() if variable.is_secret}


def read(**variables: str) -> Settings:
    return Settings.from_environ({f"FILESERVICE_{name}": text for name, text in variables.items()})


def problems_of(**variables: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read(**variables)
    return raised.value.problems


def outcome(**variables: str) -> str:
    """Return the text of the settings, or of the error that reports what is wrong with them."""
    try:
        return repr(read(**variables))
    except SettingsError as error:
        return str(error)
