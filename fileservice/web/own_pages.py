"""Whether a request comes from a page of this service."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_OWN_SITE = ("same-origin", "none")
"""Values of Sec-Fetch-Site: a page of the service sent the request, or the user began it."""
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_from_own_page(
    environ: Mapping[str, Any], public_url: str | None, *, is_form: bool = False
) -> bool | None:
    """Return whether a page of this service sent a request; None if the request does not say.

    Browsers say where a request comes from in Sec-Fetch-Site (Fetch Metadata, section 2.3). Those
    that do not know the field, or whose connection is not encrypted, say it in Origin (Fetch
    standard, section 3.2). With `is_form`, Referer counts if both are missing: browsers that are
    older still send it with forms of the service, whose pages have a policy that makes them do so.
    """
    site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
    if site is not None:
        return site.strip().lower() in _OWN_SITE
    if origin is None and is_form:
        origin = environ.get("HTTP_REFERER")
    return None if origin is None else _is_own(origin, environ.get("HTTP_HOST", ""), public_url)


def _is_own(origin: str, host: str, public_url: str | None) -> bool:
    authority = _authority(origin)
    if not authority:
        return False  # `null`, the origin of pages that conceal theirs
    # The schemes are not compared: a proxy may have ended the encryption.
    default = _DEFAULT_PORTS.get(origin.partition(":")[0], "")
    return authority in (host.lower().removesuffix(default), _authority(public_url or ""))


def _authority(url: str) -> str:
    """Return the host and port of a URL, without the port if it is the default of the scheme."""
    try:
        parts = urlsplit(url.lower())
    except ValueError:
        return ""
    return parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
