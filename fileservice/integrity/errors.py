"""The errors of the integrity of files.

IntegrityError
└── FileDamaged    the file does not have the bytes any more that were stored
"""

from fileservice.names import FileName


class IntegrityError(Exception):
    """The base class of these errors."""


class FileDamaged(IntegrityError):
    def __init__(self, name: FileName) -> None:
        super().__init__(
            f"the file named {name!r} is damaged in the storage: its bytes are not those that were"
            " stored, so it is not sent; the operator can restore it, and another upload can"
            " replace it"
        )
        self.name = name
