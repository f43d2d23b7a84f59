"""A client of the service: uploads and downloads that go on where they broke off.

It knows the service by docs/http.md alone. Nothing in it writes to a terminal: commands say what
they want to know of the progress by a `Progress`.
"""

from fileservice.client.address import Address, file_name_in, is_url
from fileservice.client.connection import Connection
from fileservice.client.download import Downloaded, Downloader
from fileservice.client.errors import (
    ClientError,
    DigestMismatch,
    FileChanged,
    FileExists,
    InUse,
    LocalFileError,
    Refused,
    Unavailable,
)
from fileservice.client.files import delete_file, file_of_link, list_files, make_link
from fileservice.client.folder import FolderEntry, entries_of
from fileservice.client.progress import Progress
from fileservice.client.retries import Retries
from fileservice.client.upload import upload_file, upload_stream
from fileservice.client.upload_calls import Uploaded, UploadTarget

__all__ = [
    "Address",
    "ClientError",
    "Connection",
    "DigestMismatch",
    "Downloaded",
    "Downloader",
    "FileChanged",
    "FileExists",
    "FolderEntry",
    "InUse",
    "LocalFileError",
    "Progress",
    "Refused",
    "Retries",
    "Unavailable",
    "UploadTarget",
    "Uploaded",
    "delete_file",
    "entries_of",
    "file_name_in",
    "file_of_link",
    "is_url",
    "list_files",
    "make_link",
    "upload_file",
    "upload_stream",
]
