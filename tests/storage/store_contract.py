"""The contract of `storage.interface`: every store passes this suite.

A test module subclasses StoreContract and defines three fixtures: `store`, which is empty,
`another_store`, which has the same files through another object, as another process does, and
`store_at`, which returns such an object with a clock of its own. No test
here depends on how a store keeps its files.
"""

from tests.storage.contract.delete import DeleteContract
from tests.storage.contract.expiry import ExpiryContract
from tests.storage.contract.files import (
    COMPETITORS,
    NAME,
    compete,
    content_of,
    names,
    publish,
    read,
    replace,
)
from tests.storage.contract.housekeeping import HousekeepingContract
from tests.storage.contract.list import ListContract
from tests.storage.contract.private_files import PrivateFilesContract
from tests.storage.contract.publish import PublishContract
from tests.storage.contract.read import ReadContract
from tests.storage.contract.replace import ReplaceContract
from tests.storage.contract.uploads import LockerContract, UploadsContract
from tests.storage.contract.usage import UsageContract

__all__ = [
    "COMPETITORS",
    "NAME",
    "StoreContract",
    "compete",
    "content_of",
    "names",
    "publish",
    "read",
    "replace",
]


class StoreContract(
    PublishContract,
    ReadContract,
    DeleteContract,
    ReplaceContract,
    ListContract,
    ExpiryContract,
    UploadsContract,
    LockerContract,
    UsageContract,
    HousekeepingContract,
    PrivateFilesContract,
):
    """All tests of the contract."""
