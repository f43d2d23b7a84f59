"""Downloader: fetches a file beside its place, in as many requests as it takes, and verifies it."""

import hashlib
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import requests

from fileservice.client.connection import Connection, read_blocks
from fileservice.client.errors import (
    ClientError,
    DigestMismatch,
    FileExists,
    LocalFileError,
    Refused,
    Unavailable,
)
from fileservice.client.output_stream import OutputStream
from fileservice.client.part_file import PartFile
from fileservice.client.progress import Progress
from fileservice.client.retries import Retries
from fileservice.protocols.digests import digest_of
from fileservice.protocols.errors import BadDigestHeader

_ATTEMPTS = 3
"""How often a file may be replaced while it is fetched, or have another digest than it should."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is complete."""

    path: Path
    size: int
    sha256: bytes
    verified: bool
    """Whether the service has said which digest it must have."""
    is_new: bool
    """False if the file was there already, with this content."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the service says about the file."""

    size: int
    etag: str
    sha256: bytes | None

    @classmethod
    def of(cls, response: requests.Response) -> "_Wanted":
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise ClientError(f"{response.url} does not say how long the file is")
        try:
            sha256 = digest_of(response.headers)
        except BadDigestHeader as error:
            raise ClientError(str(error)) from None
        return cls(int(length), response.headers.get("ETag", ""), sha256)

    @property
    def can_be_resumed(self) -> bool:
        return self.etag.startswith('"')


class _VersionChanged(Exception):
    """The file was replaced since it was asked about."""


class Downloader:
    """Fetches files from one service."""

    def __init__(self, connection: Connection, retry_seconds: float) -> None:
        """`retry_seconds` is for how long to go on without any progress."""
        self._connection = connection
        self._retry_seconds = retry_seconds

    def download_to(self, url: str, stream: BinaryIO, progress: Progress) -> Downloaded:
        """Fetch the file at `url`, and write it to a stream while it arrives. Raise ClientError.

        What has been written stays: DigestMismatch is raised after the last byte.
        """
        retries = Retries(self._retry_seconds, progress)
        wanted = retries.call(lambda: self._ask(url))
        output = OutputStream(stream)
        try:
            self._fetch(url, wanted, output, retries, progress)
        except _VersionChanged:
            raise ClientError(f"{url} was replaced while it was fetched") from None
        if wanted.sha256 and output.sha256 != wanted.sha256:
            raise _mismatch(url, wanted.sha256, output.sha256)
        verified = wanted.sha256 is not None
        return Downloaded(Path("-"), output.size, output.sha256, verified, is_new=True)

    def download(self, url: str, target: Path, progress: Progress, *, force: bool) -> Downloaded:
        """Fetch the file at `url`, and have it appear as `target` once it is complete.

        With `force`, it replaces what is there. Raise ClientError.
        """
        problem = ClientError(f"{url} is replaced again and again")
        for _ in range(_ATTEMPTS):
            retries = Retries(self._retry_seconds, progress)
            wanted = retries.call(lambda: self._ask(url))
            if target.exists() and not target.is_dir():
                if _is_same(target, wanted):
                    assert wanted.sha256
                    return Downloaded(
                        target, wanted.size, wanted.sha256, verified=True, is_new=False
                    )
                if not force:
                    raise FileExists(target)
            with closing(PartFile.open(target, url, wanted.etag)) as part:
                try:
                    self._fetch(url, wanted, part, retries, progress)
                except _VersionChanged:
                    part.clear()
                    progress.say("the file was replaced meanwhile; beginning anew")
                    continue
                if wanted.sha256 and part.sha256 != wanted.sha256:
                    problem = _mismatch(url, wanted.sha256, part.sha256)
                    part.clear()
                    progress.say(f"{problem}; beginning anew")
                    continue
                part.publish(force=force)
                return Downloaded(
                    target,
                    part.size,
                    part.sha256,
                    verified=wanted.sha256 is not None,
                    is_new=True,
                )
        raise problem

    def _ask(self, url: str) -> _Wanted:
        try:
            response = self._connection.request("HEAD", url)
        except (Refused, Unavailable):
            # An answer to HEAD has no body that gives the reason.
            self._connection.request("GET", url, {"Range": "bytes=0-0"}).close()
            raise
        response.close()
        return _Wanted.of(response)

    def _fetch(
        self,
        url: str,
        wanted: _Wanted,
        part: PartFile | OutputStream,
        retries: Retries,
        progress: Progress,
    ) -> None:
        if part.size > wanted.size or not wanted.can_be_resumed:
            part.clear()
        if part.size:
            progress.say(f"going on at byte {part.size}")
        while part.size < wanted.size:
            progress.move(part.size, wanted.size)
            before = part.size
            try:
                self._fetch_rest(url, wanted, part, progress)
                if part.size == before:
                    raise Unavailable("the service sent nothing")
            except Unavailable as error:
                if part.size > before:
                    retries.start_again()
                retries.wait(error)
                if not wanted.can_be_resumed:
                    part.clear()
        progress.move(part.size, wanted.size)

    def _fetch_rest(
        self, url: str, wanted: _Wanted, part: PartFile | OutputStream, progress: Progress
    ) -> None:
        """Append what arrives in one response. Raise Unavailable if the connection breaks."""
        fields = {}
        if part.size:
            fields = {"Range": f"bytes={part.size}-", "If-Range": wanted.etag}
        response = self._connection.request("GET", url, fields)
        # A service that redirects to a bucket has no entity tag in common with it; then the digest
        # alone decides.
        is_same_source = not response.history
        is_whole = response.status_code != HTTPStatus.PARTIAL_CONTENT
        if fields and is_whole and wanted.sha256 and not is_same_source:
            response.close()
            response = self._connection.request("GET", url, {"Range": fields["Range"]})
        etag = response.headers.get("ETag", "")
        if is_same_source and wanted.can_be_resumed and etag != wanted.etag:
            response.close()
            raise _VersionChanged
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            expected = f"bytes {part.size}-{wanted.size - 1}/{wanted.size}"
            if response.headers.get("Content-Range") != expected:
                response.close()
                raise _VersionChanged
        else:
            part.clear()
        for block in read_blocks(response):
            if part.size + len(block) > wanted.size:
                raise _VersionChanged
            part.write(block)
            progress.move(part.size, wanted.size)


def _mismatch(url: str, wanted: bytes, arrived: bytes) -> DigestMismatch:
    return DigestMismatch(
        f"{url} should have the SHA-256 {wanted.hex()}, and {arrived.hex()} has arrived"
    )


def _is_same(path: Path, wanted: _Wanted) -> bool:
    """Return whether a local file has the content that is wanted, as far as that is known."""
    if wanted.sha256 is None:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest() == wanted.sha256
    except OSError as error:
        raise LocalFileError(path, error) from None
