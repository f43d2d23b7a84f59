"""The errors of requests: what `problems` answers, beside the errors of the other packages."""

from fileservice.protocols.errors import BodyError


class CrossSite(Exception):
    """The request comes from a page of another site."""

    def __init__(self) -> None:
        super().__init__(
            "the request comes from a page of another site; for pages that may upload and delete,"
            " name their origin in FILESERVICE_CORS_ORIGINS; where this is the service's own page,"
            " FILESERVICE_PUBLIC_URL must be the address that the browser shows"
        )


class WrongHost(Exception):
    """The request is for a host that this service does not answer for."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"this service does not answer for the host {host!r}; if it should, name it in"
            " FILESERVICE_ALLOWED_HOSTS or FILESERVICE_PUBLIC_URL"
        )
        self.host = host


class Overloaded(Exception):
    """More is asked than can be done."""

    def __init__(self) -> None:
        super().__init__("there is more to do than can be done at once; try again soon")


class BadAddress(ValueError):
    """Host, or an X-Forwarded field of a trusted proxy, is not what it should be."""


class NoSuchFile(Exception):
    """A name that no stored file can have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no file named {name!r}")
        self.name = name


class PreconditionFailed(Exception):
    def __init__(self) -> None:
        super().__init__("the file is not in the state that the request's conditions ask for")


class BadQuery(ValueError):
    """An argument in the query string makes no sense."""


class LengthRequired(BodyError):
    def __init__(self) -> None:
        super().__init__(
            "the request has no body: send Content-Length (0 for an empty file) or a chunked body"
        )


class TooSlow(BodyError):
    def __init__(self, seconds: float, minimum: int) -> None:
        super().__init__(
            f"fewer than {minimum} bytes came in {seconds:g} seconds; nothing is stored, try again"
        )


class WrongContentType(BodyError):
    def __init__(self, expected: str) -> None:
        super().__init__(f"bytes of an upload are sent with Content-Type: {expected}")
        self.expected = expected


class ShuttingDown(Exception):
    def __init__(self) -> None:
        super().__init__("the service is being stopped; what runs is finished")


class TooManySearches(Exception):
    def __init__(self) -> None:
        super().__init__(
            "other requests are searching or sorting the list just now; try again in a moment"
        )
