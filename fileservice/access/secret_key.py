"""The secret key of a store, from which the key of each purpose is derived."""

import re
import secrets

from fileservice.storage import PrivateFiles, StorageUnavailable

_FILE = "secret-key"
_LENGTH = 32
"""Random bytes; the file has two hexadecimal digits for each of them."""
_FORMAT = re.compile(rb"[0-9a-f]{64}\n")


class SecretKey:
    """The secret key: that of the settings, or else one that is made once and kept in the store.

    It is made when it is first needed, so that a service on a disk that is read-only or full starts
    all the same.
    """

    def __init__(self, files: PrivateFiles, configured: bytes | None) -> None:
        self._files = files
        self._secret = configured

    def find(self) -> bytes | None:
        """Return the secret key; None if none has been made. Raises StorageUnavailable."""
        if self._secret is None:
            stored = self._files.read(_FILE)
            if stored is None:
                return None
            self._secret = _parsed(stored)
        return self._secret

    def make(self) -> bytes:
        """Return the secret key, and make it if there is none. Raises StorageError. Blocks."""
        found = self.find()
        if found is None:
            made = secrets.token_hex(_LENGTH).encode() + b"\n"
            found = self._secret = _parsed(self._files.create(_FILE, made))
        return found


def _parsed(stored: bytes) -> bytes:
    """Return the key in the file. What is not one must not be used: anybody could know it."""
    if not _FORMAT.fullmatch(stored):
        raise StorageUnavailable(
            "the secret key in the storage is damaged; remove .fileservice/secret-key, and another"
            " one is made"
        )
    return stored.strip()
