"""Problem details: one row for each error, and what its problem contains (RFC 9457)."""

import importlib
import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    MethodNotAllowed,
    NotFound,
    RequestEntityTooLarge,
    RequestHeaderFieldsTooLarge,
)

from fileservice import filetypes, storage
from fileservice.access import Action
from fileservice.access import errors as access_errors
from fileservice.names import BadName, FileName
from fileservice.protocols import errors as protocol_errors
from fileservice.upload import errors as upload_errors
from fileservice.web import errors as web_errors
from fileservice.web import problems
from fileservice.web.door import requires
from fileservice.web.localization import LANGUAGES, Language
from fileservice.web.problem_texts import translate
from tests.support.rows import every_row
from tests.web.application import application

NAME = FileName("a.txt")
TEXT_TYPE = filetypes.select(["txt"])["txt"]

MEMBERS: dict[Exception, dict[str, object]] = {
    BadName("the name is empty"): {},
    protocol_errors.IncompleteBody("cut"): {},
    protocol_errors.PartialUpload(): {},
    protocol_errors.ChunkedUpload("Dropzone"): {"dialect": "Dropzone"},
    protocol_errors.BadDigestHeader("Repr-Digest"): {},
    protocol_errors.BadForm("no boundary"): {},
    protocol_errors.NoFile("no file"): {},
    protocol_errors.MultipleFiles(): {},
    protocol_errors.RangeNotSatisfiable(10): {"size": 10},
    protocol_errors.InconsistentUploadLength("lengths"): {},
    protocol_errors.CompletedUpload(): {},
    protocol_errors.MismatchingUploadOffset(5, 7): {"expected-offset": 5, "provided-offset": 7},
    protocol_errors.BadField("Upload-Offset"): {},
    protocol_errors.BadMetadata("Upload-Metadata"): {},
    protocol_errors.BadChecksum("Upload-Checksum"): {},
    protocol_errors.BadExpiry("expires"): {},
    protocol_errors.UnsupportedVersion("1.0.0"): {},
    protocol_errors.ChecksumMismatch(): {},
    storage.NotFound(NAME): {"filename": "a.txt"},
    storage.NameTaken(NAME): {"filename": "a.txt"},
    storage.NameReserved(NAME): {"filename": "a.txt"},
    storage.VersionChanged(NAME): {"filename": "a.txt"},
    storage.NoSuchUpload(): {},
    storage.Locked(): {},
    storage.StorageFull("full"): {},
    storage.ExpiryNotSupported(): {},
    storage.StorageUnavailable("gone"): {},
    storage.Busy("no descriptors"): {},
    upload_errors.ContentMismatch(TEXT_TYPE, "image/png"): {
        "expected": "text/plain",
        "found": "image/png",
    },
    upload_errors.TooComplex("members", 10, "members"): {"resource": "members", "limit": 10},
    upload_errors.ContentRefused("macros", "macros"): {"risk": "macros", "found": "macros"},
    upload_errors.NoExtension(FileName("README")): {},
    upload_errors.ExtensionNotAllowed("exe", {"txt": TEXT_TYPE, "csv": TEXT_TYPE}): {
        "extension": "exe",
        "allowed": ["csv", "txt"],
    },
    upload_errors.TooLarge(1024): {"limit": 1024},
    upload_errors.ExpiryTooLate(604_800.0): {"limit": 604_800},
    upload_errors.AlreadyExpired(): {},
    upload_errors.PreconditionNotMet("taken"): {},
    upload_errors.DigestMismatch("sha-256"): {"algorithm": "sha-256"},
    upload_errors.RefusedByScanner("Eicar"): {"signature": "Eicar"},
    upload_errors.RefusedByHook("too wide"): {"reason": "too wide"},
    upload_errors.ScannerUnavailable(): {},
    upload_errors.HookUnavailable(): {},
    upload_errors.TooManyChecks(): {},
    upload_errors.InvalidConcatenation("a part is missing"): {},
    upload_errors.TooManyUnfinished(3): {"limit": 3},
    upload_errors.TooManyUnfinishedOfClient(2): {"limit": 2},
    upload_errors.UploadInterrupted(): {},
    upload_errors.UploadGone("expired"): {},
    upload_errors.UploadIsFinal(): {},
    upload_errors.OffsetMismatch(5): {"offset": 5},
    upload_errors.LengthConflict(10): {"length": 10},
    web_errors.CrossSite(): {},
    web_errors.Unasked(): {},
    web_errors.ForeignForm(): {},
    web_errors.SignInRejected("/upload"): {},
    web_errors.SignInFailed("begin again"): {},
    web_errors.ProviderUnavailable("it does not answer"): {},
    web_errors.SignOutIncomplete(): {},
    web_errors.AuditUnavailable(): {},
    web_errors.UnknownPerson("ada@example.org"): {},
    web_errors.WrongHost("evil.example"): {"host": "evil.example"},
    web_errors.Overloaded(): {},
    web_errors.BadAddress("Host"): {},
    web_errors.NoSuchFile(".a"): {"filename": ".a"},
    web_errors.PreconditionFailed(): {},
    web_errors.BadQuery("limit"): {},
    web_errors.UnknownArgument("x", ("q",)): {"argument": "x", "known": ["q"]},
    web_errors.WrongMethod("PUT", ["GET"]): {"method": "PUT"},
    web_errors.MethodElsewhere("PUT", ["GET"], "/upload/a.txt"): {
        "method": "PUT",
        "address": "/upload/a.txt",
    },
    web_errors.BadJSON("not JSON"): {},
    web_errors.LengthRequired(): {},
    web_errors.TooSlow(1.0, 1024): {},
    web_errors.WrongContentType("text/plain"): {"expected": "text/plain"},
    web_errors.NotReady("because"): {},
    web_errors.ShuttingDown(): {},
    web_errors.TooManySearches(): {},
}
"""An example of each error, and the members that its problem has beyond those of RFC 9457."""

ACCESS_ERRORS = [
    access_errors.Unauthenticated(),
    access_errors.PasswordNeeded(),
    access_errors.InvalidIdentity("is empty"),
    access_errors.Forbidden(prefix="a"),
    access_errors.UnusableClaims(),
    access_errors.TooManyRequests(5),
    access_errors.TooManyFailures(5),
    access_errors.TooManyUploads(5),
    access_errors.NoSuchLink(),
    access_errors.LinkGone(),
    access_errors.InvalidTerms("note", "is too long"),
    access_errors.TooManyLinks(1000),
    access_errors.QuotaExceeded("bytes", limit=2048, used=1024),
    access_errors.QuotaExceeded("files", limit=2, used=2),
    access_errors.OwnerQuotaExceeded(),
    access_errors.UsageUnknown(),
]

WERKZEUG_ERRORS = [NotFound(), BadRequest(), MethodNotAllowed(["GET"]), RequestEntityTooLarge()]
OTHER_LANGUAGES = [language for tag, language in sorted(LANGUAGES.items()) if tag != "en"]

BASES = {
    protocol_errors.BodyError,
    protocol_errors.ProtocolError,
    storage.StorageError,
    upload_errors.NotChecked,
    upload_errors.RefusedByCheck,
    upload_errors.ResumableUploadError,
    upload_errors.UploadError,
    upload_errors.UnacceptableContent,
    upload_errors.UploadRejected,
    web_errors.RequestError,
}
"""Classes that group errors and are never raised themselves."""


def class_name(value: object) -> str:
    if isinstance(value, Exception):
        return type(value).__name__
    return value.__name__ if inspect.isclass(value) else ""


STANDARD_MEMBERS = {"type", "title", "status", "code", "detail"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application, with a route that raises what a test put into its configuration."""
    app = application(tmp_path_factory.mktemp("problems"))

    @app.get("/raise")
    @requires(Action.PUBLIC)
    def fail() -> str:
        raise app.config["ERROR"]

    return app


def answer_to(app: Flask, error: Exception, accept: str = "*/*", language: str = "en") -> Any:
    app.config["ERROR"] = error
    headers = {"Accept": accept, "Accept-Language": language}
    return app.test_client().get("/raise", headers=headers)


def error_classes() -> Iterator[type[Exception]]:
    """The error classes that the packages define for requests and for callers of a store."""
    for package in ("names", "protocols.errors", "storage.errors", "upload.errors", "web.errors"):
        module = importlib.import_module(f"fileservice.{package}")
        for value in vars(module).values():
            is_error = inspect.isclass(value) and issubclass(value, Exception)
            if is_error and value.__module__ == module.__name__ and value not in BASES:
                yield value


@every_row("error_class", list(error_classes()))
def test_every_error_class_has_an_example_and_a_row_of_its_own(
    error_class: type[Exception],
) -> None:
    assert error_class in {type(example) for example in MEMBERS}
    listed = {raised for row in problems.TABLE for raised in row.raised} - {Exception}
    assert any(issubclass(error_class, raised) for raised in listed)


@every_row(("error", "members"), MEMBERS.items())
def test_an_error_has_exactly_these_members(
    app: Flask, error: Exception, members: Mapping[str, object]
) -> None:
    response = answer_to(app, error)
    problem = response.get_json(force=True)
    assert response.content_type == "application/problem+json"
    assert problem["status"] == response.status_code
    assert problem["detail"] == str(error)
    assert problem.pop("request-id") == response.headers["X-Request-Id"]
    assert {key: problem[key] for key in problem.keys() - STANDARD_MEMBERS} == members


HEADER_FIELDS: dict[Exception, dict[str, str]] = {
    protocol_errors.RangeNotSatisfiable(10): {"Content-Range": "bytes */10"},
    protocol_errors.MismatchingUploadOffset(5, 7): {"Upload-Offset": "5"},
    upload_errors.TooLarge(1024): {"Upload-Limit": "max-size=1024"},
    protocol_errors.UnsupportedVersion("1.0.0"): {"Tus-Version": "1.0.0"},
    MethodNotAllowed(["PUT", "GET"]): {"Allow": "GET, PUT"},
    storage.Locked(): {"Retry-After": "1"},
    storage.Busy("no descriptors"): {"Retry-After": "2"},
    storage.StorageUnavailable("gone"): {"Retry-After": "10"},
    upload_errors.TooManyUnfinishedOfClient(2): {"Retry-After": "60"},
    web_errors.AuditUnavailable(): {"Retry-After": "10"},
    web_errors.NotReady("because"): {"Retry-After": "10"},
    web_errors.ShuttingDown(): {"Retry-After": "10"},
    NotFound(): {},
    upload_errors.LengthConflict(10): {},
    RequestEntityTooLarge(): {},
}


@every_row(("error", "fields"), HEADER_FIELDS.items())
def test_an_error_has_exactly_these_header_fields(
    app: Flask, error: Exception, fields: Mapping[str, str]
) -> None:
    response = answer_to(app, error)
    every_problem_has = {
        *("Content-Type", "Content-Length", "X-Content-Type-Options", "Cache-Control", "Vary"),
        *("Content-Language", "Cross-Origin-Resource-Policy", "X-Request-Id"),
    }
    assert {
        name: value for name, value in response.headers.items() if name not in every_problem_has
    } == fields
    assert response.headers["Vary"] == "Accept, Accept-Language, Accept-Encoding"
    assert response.headers["Cache-Control"] == "no-store"


def test_codes_are_unique() -> None:
    codes = [row.code for row in problems.TABLE]
    assert len(set(codes)) == len(codes)


@every_row(
    ("error", "status", "code"),
    [
        (BadRequest(), 400, "bad-request"),
        (RequestEntityTooLarge(), 413, "too-large"),
        (RequestHeaderFieldsTooLarge(), 500, "internal"),
    ],
)
def test_an_error_of_werkzeug_is_answered_by_the_row_of_its_status(
    app: Flask, error: HTTPException, status: int, code: str
) -> None:
    response = answer_to(app, error)
    assert response.status_code == status
    assert response.get_json(force=True)["code"] == code
    assert response.get_json(force=True)["detail"] == error.description


def test_types_of_registered_problems_are_those_of_the_registry(app: Flask) -> None:
    problem = answer_to(app, protocol_errors.CompletedUpload()).get_json(force=True)
    assert problem["type"] == ("https://iana.org/assignments/http-problem-types#completed-upload")


def test_a_status_that_http_does_not_name_has_the_title_as_its_reason(app: Flask) -> None:
    assert answer_to(app, protocol_errors.ChecksumMismatch()).status == "460 Checksum Mismatch"


def test_an_unexpected_error_is_logged_under_an_id_and_reveals_nothing(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    error = ArithmeticError("/secret/path")
    error.path = "/secret/path"  # type: ignore[attr-defined]
    response = answer_to(app, error)
    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (500, "internal")
    assert problem.keys() == STANDARD_MEMBERS | {"id", "request-id"}
    assert "/secret/path" not in response.text
    assert problem["id"] in problem["detail"]
    (record,) = caplog.records
    assert problem["id"] in record.getMessage()
    assert record.exc_info


def test_attributes_of_a_known_error_that_no_row_names_are_not_sent(app: Flask) -> None:
    error = storage.StorageUnavailable("gone")
    error.add_note("/secret/path")
    error.path = "/secret/path"  # type: ignore[attr-defined]
    assert "/secret/path" not in answer_to(app, error).text


def test_a_failure_of_the_store_is_logged_and_a_refusal_is_not(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fileservice.web.problems")
    answer_to(app, storage.NameTaken(NAME))
    answer_to(app, web_errors.Overloaded())
    assert caplog.records == []
    error = storage.StorageUnavailable("the storage does not answer")
    error.__cause__ = OSError(5, "Input/output error", "/data/a.txt")
    answer_to(app, error)
    (record,) = caplog.records
    assert "/data/a.txt" in record.getMessage()


def test_a_client_that_prefers_html_gets_a_page_with_the_same_content(app: Flask) -> None:
    error = upload_errors.ExtensionNotAllowed("exe<b>", {"txt": TEXT_TYPE})
    response = answer_to(app, error, accept="text/html,*/*;q=0.8")
    assert response.status_code == 415
    assert response.mimetype == "text/html"
    assert response.headers["Vary"] == "Accept, Accept-Language, Accept-Encoding"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" in response.headers
    assert "exe&lt;b&gt;" in response.text
    assert "extension-not-allowed" in response.text
    assert 'href="/upload"' in response.text


def test_a_problem_in_json_ends_with_a_line_feed(app: Flask) -> None:
    response = answer_to(app, storage.Locked())
    assert response.text.endswith("}\n")
    assert json.loads(response.text)["code"] == "locked"


@every_row("language", OTHER_LANGUAGES)
@every_row("error", [*MEMBERS, *ACCESS_ERRORS, *WERKZEUG_ERRORS, ArithmeticError()])
def test_every_error_has_a_sentence_in_every_language(
    app: Flask, error: Exception, language: Language
) -> None:
    english = answer_to(app, error).get_json(force=True)
    problem = answer_to(app, error, language=language.tag).get_json(force=True)
    assert problem["code"] == english["code"]
    assert problem["detail"] != english["detail"]
    assert problem["detail"].endswith(".")
    assert "{" not in problem["detail"]


def test_examples_of_the_errors_of_access_are_complete() -> None:
    defined = {
        value
        for value in vars(access_errors).values()
        if inspect.isclass(value) and issubclass(value, access_errors.AccessError)
    }
    assert {type(error) for error in ACCESS_ERRORS} == defined - {access_errors.AccessError}


@every_row("language", OTHER_LANGUAGES)
def test_a_sentence_for_one_class_of_errors_belongs_to_a_class_of_that_code(
    language: Language,
) -> None:
    code_of = {}
    for error in [*MEMBERS, *ACCESS_ERRORS]:
        row = next(row for row in problems.TABLE if set(row.raised) & set(type(error).__mro__[:-3]))
        code_of[type(error).__name__] = row.code
    for code, texts in language.problem.items():
        for name in texts.keys() - {"title", "detail"}:
            assert code_of.get(name) == code


@every_row(
    ("error", "sentence"),
    [
        (access_errors.QuotaExceeded("bytes", limit=5 << 30, used=1 << 20),
         "Das Kontingent ist 5,0 GiB groß; 1,0 MiB davon sind durch Dateien und laufende Uploads"
         " belegt, und 5,0 GiB sind frei."),
        (access_errors.QuotaExceeded("files", limit=1000, used=1000),
         "Das Kontingent umfasst 1.000 Dateien; 1.000 davon sind durch Dateien und laufende Uploads"
         " belegt, und 0 sind frei."),
        (upload_errors.ExpiryTooLate(604_800.0), "Eine Datei wird höchstens 7 Tage lang behalten."),
        (upload_errors.TooLarge(1024),
         "Die Datei ist größer als 1,0 KiB. Mehr ist hier nicht erlaubt."),
        (RequestEntityTooLarge(), "Die Datei oder die Anfrage ist größer, als der Dienst erlaubt."),
        (NotFound(), "Unter dieser Adresse gibt es nichts."),
        (storage.NotFound(FileName("{id}.txt")), "Es gibt keine Datei namens „{id}.txt“."),
        (access_errors.TooManyFailures(5),
         "Von dieser Adresse kamen zu viele falsche Passwörter oder Token. Versuchen Sie es später"
         " noch einmal."),
    ],
)  # fmt: skip
def test_members_of_a_problem_are_written_into_its_sentence(
    app: Flask, error: Exception, sentence: str
) -> None:
    assert answer_to(app, error, language="de").get_json(force=True)["detail"] == sentence


def test_a_problem_in_english_is_what_the_error_says() -> None:
    problem = {"code": "locked", "title": "t", "detail": "d"}
    assert translate(problem, storage.Locked(), LANGUAGES["en"]) is problem
