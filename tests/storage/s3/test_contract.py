"""S3Store on a real SeaweedFS passes the suite of every store."""

from tests.storage.store_contract import StoreContract


class TestContract(StoreContract):
    KEEPS_WHAT_IS_OPEN = False
    LISTS_DIGESTS = False
