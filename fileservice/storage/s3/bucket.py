"""Bucket: the calls of S3 that objects are written, read, listed and removed with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fileservice.storage.s3.calls import RETRY_SECONDS, RETRY_SECONDS_WITH_BODY, Calls, date_of
from fileservice.storage.s3.errors import RequestRejected, TransientError, translate_errors

_DELETED_AT_ONCE = 1000
_MUCH = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """What the store says of an object; `age` in seconds, by the store's own clock."""

    size: int
    etag: str
    modified: datetime
    media_type: str
    metadata: Mapping[str, str]
    age: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing."""

    key: str
    size: int
    etag: str
    modified: datetime
    age: float


class Bucket(Calls):
    """See Calls; objects in one place of one bucket."""

    def check(self, patience: float = RETRY_SECONDS) -> None:
        """Raise StorageUnavailable if the store does not answer, and Missing without the bucket."""
        self._with_retries(
            lambda: self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self.prefix, MaxKeys=1
            ),
            patience,
        )

    def put(
        self,
        key: str,
        data: bytes | bytearray,
        *,
        media_type: str = "application/octet-stream",
        metadata: Mapping[str, str] = {},  # never changed
        only: str | None = None,
        patience: float | None = None,
    ) -> str:
        """Write an object, its ETag. `only` is an ETag to replace, or * to write where none is."""
        condition = (
            {} if only is None else {"IfNoneMatch": only} if only == "*" else {"IfMatch": only}
        )
        answer = self._with_retries(
            lambda: self._client.put_object(
                **self._at(key),
                Body=data,
                ContentType=media_type,
                Metadata=dict(metadata),
                **condition,
            ),
            patience or (RETRY_SECONDS_WITH_BODY if len(data) > _MUCH else RETRY_SECONDS),
        )
        return str(answer["ETag"])

    def head(self, key: str) -> Head:
        """Describe an object. Raises Missing."""
        return self._with_retries(lambda: _head(self._client.head_object(**self._at(key))))

    def get(
        self, key: str, first: int | None = None, end: int | None = None, etag: str | None = None
    ) -> tuple[Head, Any]:
        """Begin to read an object, or its bytes from `first` to before `end`, and describe it.

        Raises Missing, Unmet if it has another ETag. The second is a stream that must be closed.
        """
        wanted = (
            {} if first is None else {"Range": f"bytes={first}-{'' if end is None else end - 1}"}
        )
        condition = {} if etag is None else {"IfMatch": etag}
        answer = self._with_retries(
            lambda: self._client.get_object(**self._at(key), **wanted, **condition)
        )
        return _head(answer), answer["Body"]

    def read(self, key: str, first: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a small object, or some of a large one. Raises Missing."""
        return self.load(key, first, end)[1]

    def load(
        self, key: str, first: int | None = None, end: int | None = None
    ) -> tuple[Head, bytes]:
        """The same, and the description of the object."""
        for attempt in range(3):
            head, body = self.get(key, first, end)
            try:
                with translate_errors():
                    return head, bytes(body.read())
            except Exception:
                if attempt == 2:
                    raise
            finally:
                body.close()
        raise AssertionError

    def delete(self, key: str, etag: str | None = None) -> None:
        """Remove an object; with `etag`, only if it has that one, else Unmet or Missing."""
        condition = {} if etag is None else {"IfMatch": etag}
        try:
            self._with_retries(lambda: self._client.delete_object(**self._at(key), **condition))
        except RequestRejected as refusal:
            if not refusal.repeated:  # else it is gone, as it should be
                raise

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects, whether they are there or not."""
        for begin in range(0, len(keys), _DELETED_AT_ONCE):
            objects = [{"Key": self.prefix + key} for key in keys[begin : begin + _DELETED_AT_ONCE]]
            self._with_retries(lambda objects=objects: self._delete(objects))  # type: ignore[misc]

    def _delete(self, objects: list[dict[str, str]]) -> None:
        answer = self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True}
        )
        for error in answer.get("Errors", ()):  # the answer as a whole is 200 all the same
            if error.get("Code") != "NoSuchKey":
                raise TransientError(f"the storage does not do its work: {error.get('Code')}")

    def pages(
        self, under: str = "", after: str = "", *, folders: bool = False, first_page: int = 1000
    ) -> Iterator[list[Entry | str]]:
        """Pages of what is under a key, in the order of its UTF-8 bytes, from past `after`.

        With `folders`, what lies under a further slash comes once, as the text up to that slash.
        """
        asked: dict[str, Any] = {"StartAfter": self.prefix + after} if after else {}
        if folders:
            asked["Delimiter"] = "/"
        count = first_page
        while True:
            page = self._with_retries(
                lambda count=count: self._client.list_objects_v2(  # type: ignore[misc]
                    Bucket=self._bucket, Prefix=self.prefix + under, MaxKeys=count, **asked
                )
            )
            now, cut = date_of(page), len(self.prefix)
            found: list[Entry | str] = [
                Entry(o["Key"][cut:], o["Size"], o["ETag"], o["LastModified"],
                      (now - o["LastModified"]).total_seconds())
                for o in page.get("Contents", ())
            ]  # fmt: skip
            found += [folder["Prefix"][cut:] for folder in page.get("CommonPrefixes", ())]
            yield found
            if not page.get("IsTruncated"):
                return
            asked.pop("StartAfter", None)
            asked["ContinuationToken"] = page["NextContinuationToken"]
            count = 1000

    def entries(self, under: str) -> list[Entry]:
        """All objects under a key."""
        return [entry for page in self.pages(under) for entry in page if isinstance(entry, Entry)]

    def signed_url(self, key: str, seconds: int, fields: Mapping[str, str]) -> str:
        """Where an object can be fetched for so long, with these fields in the answer."""
        answered = {f"Response{name.replace('-', '')}": value for name, value in fields.items()}
        with translate_errors():
            return str(
                self._client.generate_presigned_url(
                    "get_object", Params=self._at(key) | answered, ExpiresIn=seconds
                )
            )


def _head(answer: Mapping[str, Any]) -> Head:
    size = answer["ContentLength"]
    if "ContentRange" in answer:
        size = int(answer["ContentRange"].rpartition("/")[2])
    modified = answer["LastModified"]
    return Head(
        size,
        answer["ETag"],
        modified,
        answer.get("ContentType", ""),
        answer.get("Metadata", {}),
        (date_of(answer) - modified).total_seconds(),
    )
