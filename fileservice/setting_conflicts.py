"""Which settings do not go together, or need others, and the sentences that say so."""

import os
from collections.abc import Mapping
from pathlib import Path

from fileservice.quantities import format_duration
from fileservice.storage import directory_of, has_presigned_urls

PREFIX = "FILESERVICE_"
"""With what the names of all variables begin."""


def conflicts(values: Mapping[str, object]) -> list[str]:
    """Return a sentence for each conflict; `values` are the settings that are valid by themselves.

    A setting that is not among them has been reported, and is not said to be missing.
    """
    return [
        *_store_conflicts(values),
        *_expiry_conflicts(values),
        *_identity_conflicts(values),
        *_provider_conflicts(values),
        *_event_conflicts(values),
    ]


def _store_conflicts(values: Mapping[str, object]) -> list[str]:
    """Say which settings do not go with STORE_URL."""
    store_url, problems = values.get("store_url"), []
    if not store_url:
        return []
    if values.get("download_redirect") and not has_presigned_urls(str(store_url)):
        problems.append(
            f"{PREFIX}DOWNLOAD_REDIRECT='true': downloads can only be redirected to a bucket,"
            f" and {PREFIX}STORE_URL={store_url!r} names none"
        )
    access_file, directory = values.get("access_file"), directory_of(str(store_url))
    if not isinstance(access_file, Path) or not directory:
        return problems
    if _real(access_file).is_relative_to(_real(directory)):
        problems.append(
            f"{PREFIX}ACCESS_FILE={str(access_file)!r}: must be outside of"
            f" {PREFIX}STORE_URL={store_url!r}, whose files are served and can be replaced"
        )
    return problems


def _expiry_conflicts(values: Mapping[str, object]) -> list[str]:
    """Say that files may not be kept for as long as they are if they name no time."""
    kept, limit = values.get("file_expiry"), values.get("file_expiry_max")
    if not isinstance(kept, float) or not isinstance(limit, float) or kept <= limit:
        return []
    return [
        f"{PREFIX}FILE_EXPIRY='{format_duration(kept)}': must not be longer than"
        f" {PREFIX}FILE_EXPIRY_MAX='{format_duration(limit)}'"
    ]


def _identity_conflicts(values: Mapping[str, object]) -> list[str]:
    """Say what is missing for the identity headers; a setting that is invalid is not missing."""
    name, groups = values.get("identity_header"), values.get("identity_groups_header")
    problems = []
    header = f"{PREFIX}IDENTITY_HEADER={name!r}"
    if name and values.get("trusted_proxies") == ():
        problems.append(
            f"{header}: every client could send this field and be whoever it names;"
            f" list the proxies that set it in {PREFIX}TRUSTED_PROXIES"
        )
    if name and values.get("access_file", "") is None:
        problems.append(
            f"{header}: nobody whom it names could do anything;"
            f" say in {PREFIX}ACCESS_FILE what people and groups may do"
        )
    header = f"{PREFIX}IDENTITY_GROUPS_HEADER={groups!r}"
    if groups and values.get("identity_header", "") is None:
        problems.append(
            f"{header}: there are no groups without a person;"
            f" name the field that names people in {PREFIX}IDENTITY_HEADER"
        )
    if groups and name and str(groups).lower() == str(name).lower():
        problems.append(f"{header}: is the field of {PREFIX}IDENTITY_HEADER")
    return problems


def _provider_conflicts(values: Mapping[str, object]) -> list[str]:
    """Say what is missing to sign in with OpenID Connect, if any of it is set."""
    issuer, client_id = values.get("oidc_issuer"), values.get("oidc_client_id")
    if "oidc_issuer" not in values or "oidc_client_id" not in values:
        return []
    problems = []
    if issuer and not client_id:
        problems.append(f"{PREFIX}OIDC_ISSUER={issuer!r}: {PREFIX}OIDC_CLIENT_ID must be set, too")
    if issuer and values.get("access_file", "") is None:
        problems.append(
            f"{PREFIX}OIDC_ISSUER={issuer!r}: {PREFIX}ACCESS_FILE must be set, too: it says what"
            " people may do who sign in"
        )
    if not issuer and (client_id or values.get("oidc_client_secret")):
        problems.append(f"{PREFIX}OIDC_CLIENT_ID and the secret need {PREFIX}OIDC_ISSUER")
    return problems


def _event_conflicts(values: Mapping[str, object]) -> list[str]:
    """Say what is missing to send events."""
    if "on_stored" not in values or "on_stored_secret" not in values:
        return []
    receiver, secret = values["on_stored"], values["on_stored_secret"]
    if receiver and not secret:
        return [f"{PREFIX}ON_STORED={receiver!r}: {PREFIX}ON_STORED_SECRET must be set, too"]
    if not receiver and (secret or values.get("on_stored_private")):
        return [f"{PREFIX}ON_STORED_SECRET and {PREFIX}ON_STORED_PRIVATE need {PREFIX}ON_STORED"]
    return []


def _real(path: Path) -> Path:
    """Return the path without symbolic links; unlike Path.resolve, also of a loop of them."""
    return Path(os.path.realpath(path))
