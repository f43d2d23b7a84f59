"""What a transfer says about its progress."""

from typing import Protocol


class Progress(Protocol):
    """Is told how far a transfer is."""

    def move(self, position: int, size: int | None) -> None:
        """Note that `position` bytes of `size` are done; it may go back, too.

        `size` is None if it is not known.
        """

    def say(self, text: str) -> None:
        """Note something that happened, such as that the connection broke."""


class NoProgress:
    """A Progress that nobody looks at."""

    def move(self, position: int, size: int | None) -> None:
        pass

    def say(self, text: str) -> None:
        pass
