"""A clock that a test sets."""


class Clock:
    """Replaces the module `time` in a module under test; `now` changes only if the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now
