"""What is read from the answers of S3, each function reading one to its end unless it says more."""

from collections.abc import Callable
from datetime import datetime

from fileservice.storage.s3.connections import Answer
from fileservice.storage.s3.documents import Document
from fileservice.storage.s3.errors import TransientError
from fileservice.storage.s3.objects import ObjectHead, date_of, etag_of


def end(answer: Answer) -> None:
    """Read an answer that says nothing more than that the request succeeded."""
    answer.read()


def etag(answer: Answer) -> str:
    """Return the ETag of the object or part that was written."""
    answer.read()
    return etag_of(answer.fields)


def etag_and_date(answer: Answer) -> tuple[str, str]:
    """Return the ETag of the object that was written, and the Date of the answer."""
    answer.read()
    return etag_of(answer.fields), answer.fields.get("date", "")


def head(answer: Answer) -> ObjectHead:
    """Return the description of an object."""
    answer.read()
    return ObjectHead.of(answer.fields)


def head_and_bytes(answer: Answer) -> tuple[ObjectHead, bytes]:
    """Return the description of an object and its bytes."""
    return ObjectHead.of(answer.fields), answer.read()


def head_and_stream(answer: Answer) -> tuple[ObjectHead, Answer]:
    """Return the description of an object; its bytes are yet to be read."""
    return ObjectHead.of(answer.fields), answer


def text_in(root: str, name: str) -> Callable[[Answer], str]:
    """Return a function that returns the text of an element in a document with this root."""
    return lambda answer: Document(answer.read(), root).text(name)


def page(root: str) -> Callable[[Answer], tuple[Document, datetime]]:
    """Return a function that returns a document with this root, and the time of the bucket."""
    return lambda answer: (Document(answer.read(), root), date_of(answer.fields))


def deleted(answer: Answer) -> None:
    """Read the answer to DeleteObjects. Raises TransientError for objects that are left."""
    document = Document(answer.read(), "DeleteResult")
    for error in document.all("Error"):  # the answer is a 200 nevertheless
        code = document.find("Code", error)
        if code != "NoSuchKey":
            raise TransientError(f"the storage answered with an error: {code}")
