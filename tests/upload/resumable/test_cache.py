"""ScanCache: the scan of an upload is lent to one request, and given to the next."""

from fileservice.upload.resumable.cache import ScanCache
from fileservice.upload.resumable.record import UploadRecord
from tests.upload.resumable.process import NAME, POLICY

RECORD = UploadRecord(NAME, 100, {})


def test_scan_is_taken_once() -> None:
    cache = ScanCache(POLICY)
    scan = cache.take("a", RECORD, 0)
    cache.put("a", scan)

    assert cache.take("a", RECORD, 0) is scan
    assert cache.take("a", RECORD, 0) is not scan


def test_scan_of_more_bytes_than_are_stored_is_replaced_by_a_new_one() -> None:
    cache = ScanCache(POLICY)
    scan = cache.take("a", RECORD, 0)
    scan.size = 10
    cache.put("a", scan)

    assert cache.take("a", RECORD, 9).size == 0


def test_scan_is_dropped_with_its_upload() -> None:
    cache = ScanCache(POLICY)
    scan = cache.take("a", RECORD, 0)
    cache.put("a", scan)
    cache.drop("a")

    assert cache.take("a", RECORD, 0) is not scan


def test_oldest_scan_is_dropped_if_there_are_too_many() -> None:
    cache = ScanCache(POLICY)
    scans = {str(number): cache.take(str(number), RECORD, 0) for number in range(257)}
    for upload, scan in scans.items():
        cache.put(upload, scan)

    assert cache.take("0", RECORD, 0) is not scans["0"]
    assert cache.take("1", RECORD, 0) is scans["1"]
    assert cache.take("256", RECORD, 0) is scans["256"]
