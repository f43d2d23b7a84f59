"""UploadState: the states of a resumable upload, and the events that lead from one to another.

              APPEND       RECEIVE_ALL  PUBLISH     REJECT   EXPIRE
RECEIVING     RECEIVING    COMPLETE     -           FAILED   EXPIRED
COMPLETE      COMPLETE     -            PUBLISHED   FAILED   EXPIRED
CONCATENATING -            -            PUBLISHED   -        EXPIRED
PUBLISHED     -            -            -           -        -
FAILED        -            -            -           -        -
EXPIRED       -            -            -           -        -

An upload begins as RECEIVING. A final upload (tus 1.0.0, Concatenation) begins as CONCATENATING,
and one that repeats a stored file begins as PUBLISHED. A final upload whose file is rejected is
removed, and so is every upload that has ended once its record expires.
"""

from enum import Enum, StrEnum, auto


class UploadState(StrEnum):
    """How far an upload has come; the values are those in its record."""

    RECEIVING = "receiving"
    """Bytes are missing, or the client has not said yet that there are no more."""
    COMPLETE = "complete"
    """All bytes are stored. A record never says so, because the bytes do."""
    CONCATENATING = "concatenating"
    """The bytes of other uploads are being copied."""
    PUBLISHED = "published"
    """The file is stored under its name."""
    FAILED = "failed"
    """The file was rejected, and its bytes were removed."""
    EXPIRED = "expired"
    """No request came in time, and the bytes were removed."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing leads to another state."""
        return not _TRANSITIONS[self]


class UploadEvent(Enum):
    """What happens to an upload."""

    APPEND = auto()
    """A request adds bytes, which may be none, or declares the length."""
    RECEIVE_ALL = auto()
    """The last byte is stored."""
    PUBLISH = auto()
    """The file gets its name."""
    REJECT = auto()
    """The file is refused."""
    EXPIRE = auto()
    """Its time is over."""


_S, _E = UploadState, UploadEvent
_TRANSITIONS: dict[UploadState, dict[UploadEvent, UploadState]] = {
    _S.RECEIVING: {
        _E.APPEND: _S.RECEIVING,
        _E.RECEIVE_ALL: _S.COMPLETE,
        _E.REJECT: _S.FAILED,
        _E.EXPIRE: _S.EXPIRED,
    },
    _S.COMPLETE: {
        _E.APPEND: _S.COMPLETE,
        _E.PUBLISH: _S.PUBLISHED,
        _E.REJECT: _S.FAILED,
        _E.EXPIRE: _S.EXPIRED,
    },
    _S.CONCATENATING: {
        _E.PUBLISH: _S.PUBLISHED,
        _E.EXPIRE: _S.EXPIRED,
    },
    _S.PUBLISHED: {},
    _S.FAILED: {},
    _S.EXPIRED: {},
}


class InvalidTransition(Exception):
    """The event cannot happen in this state; raising it is always a defect of this package."""

    def __init__(self, state: UploadState, event: UploadEvent) -> None:
        super().__init__(f"{event.name} cannot happen to an upload that is {state.name}")


def next_state(state: UploadState, event: UploadEvent) -> UploadState:
    """Return the state that `event` leads to. Raise InvalidTransition."""
    try:
        return _TRANSITIONS[state][event]
    except KeyError:
        raise InvalidTransition(state, event) from None
