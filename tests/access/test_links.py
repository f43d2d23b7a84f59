"""Links: what they allow depends on the rights of their makers now, and on the very file."""

import time
from dataclasses import replace

import pytest

from fileservice.access import (
    AccessRules,
    DownloadGrant,
    Link,
    LinkGone,
    Maker,
    MakerKind,
    Scope,
    UploadGrant,
)
from fileservice.access.link_records import from_bytes, to_bytes
from fileservice.names import FileName
from fileservice.storage import Content, StoredFile
from tests.access.rules import rules, token
from tests.support.rows import every_row

NAME = FileName.parse("ci-report.pdf")
FILE = StoredFile(NAME, 5, 1_700_000_000_123_456_789, Content("application/pdf"), "v1")
DOWNLOAD, UPLOAD = DownloadGrant.of(FILE, 3), UploadGrant("ci-from-", 5, 1 << 30)
MAKER_SCOPES = '["share", "read", "write"]'


def link(maker: Maker, grant: DownloadGrant | UploadGrant, **members: object) -> Link:
    download = grant if isinstance(grant, DownloadGrant) else None
    upload = grant if isinstance(grant, UploadGrant) else None
    return Link("0" * 32, b"x" * 32, maker, 1, download=download, upload=upload, **members)  # type: ignore[arg-type]


def by_token(text: str, grant: DownloadGrant | UploadGrant = DOWNLOAD) -> tuple[Link, AccessRules]:
    """A link of the token ci as the rules are in the text, and these rules."""
    known = rules(text)
    return link(Maker.of_token("ci", known), grant), known


def test_link_to_a_file_may_read_that_name_and_no_other() -> None:
    made, known = by_token(token(scopes=MAKER_SCOPES))
    principal = made.principal(known)
    assert principal.id == f"link:{'0' * 32}"
    assert principal.scopes == {Scope.READ}
    assert principal.covers(NAME)
    assert not principal.covers(FileName.parse("ci-report.pdf.txt"))
    assert not principal.covers(FileName.parse("other.pdf"))


def test_link_for_guests_may_write_under_its_prefix_and_nothing_else() -> None:
    made, known = by_token(token(scopes=MAKER_SCOPES), UPLOAD)
    principal = made.principal(known)
    assert principal.scopes == {Scope.WRITE}
    assert principal.covers(FileName.parse("ci-from-x.txt"))
    assert not principal.covers(FileName.parse("ci-x.txt"))


@every_row("grant", [DOWNLOAD, UPLOAD])
@every_row(
    "later",
    {
        "revoked": token("other"),
        "expired": token(scopes=MAKER_SCOPES, rest="expires = 2020-01-01T00:00:00Z"),
        "made anew": token(secret="fs_" + "t" * 43, scopes=MAKER_SCOPES),
        "without share": token(scopes='["read", "write", "list", "delete", "admin"]'),
        "without read and write": token(scopes='["share", "list", "delete", "admin"]'),
        "with another prefix": token(scopes=MAKER_SCOPES, rest='prefix = "cd-"'),
        "with a longer prefix": token(scopes=MAKER_SCOPES, rest='prefix = "ci-x-"'),
    }.items(),
)
def test_link_is_gone_when_its_makers_token_is(
    grant: DownloadGrant | UploadGrant, later: tuple[str, str]
) -> None:
    made, known = by_token(token(scopes=MAKER_SCOPES), grant)
    assert made.principal(known)
    with pytest.raises(LinkGone):
        made.principal(rules(later[1]))


def test_link_comes_back_when_its_makers_token_does_with_the_same_secret() -> None:
    made, known = by_token(token(scopes=MAKER_SCOPES))
    with pytest.raises(LinkGone):
        made.principal(rules(token("other")))
    assert made.principal(known)


def test_link_to_a_file_needs_no_right_to_write_and_one_for_guests_none_to_read() -> None:
    for scopes, grant in (('["share", "read"]', DOWNLOAD), ('["share", "write"]', UPLOAD)):
        made, known = by_token(token(scopes=scopes), grant)
        assert made.principal(known)


STAFF = '[groups.staff]\nscopes = ["share", "read"]\n'
ADA = '[users."ada"]\nscopes = ["share", "read"]\n'


def test_link_of_a_person_lasts_as_long_as_one_of_the_groups_it_was_in() -> None:
    known = rules(STAFF)
    made = link(Maker.of_person("ada", ("staff", "unknown"), known), DOWNLOAD)
    assert made.maker.groups == ("staff",)
    assert made.principal(known)
    with pytest.raises(LinkGone):
        made.principal(rules('[groups.staff]\nscopes = ["read"]\n'))
    with pytest.raises(LinkGone):
        made.principal(rules('[groups.unknown]\nscopes = ["share", "read"]\n'))
    assert made.principal(rules(ADA))


def test_link_of_the_operator_depends_on_no_rules() -> None:
    made = link(Maker(MakerKind.OPERATOR), DOWNLOAD)
    assert made.maker.id == "operator"
    assert made.principal(AccessRules.empty())


@every_row(
    "other",
    [
        replace(FILE, version="v2"),
        replace(FILE, modified_ns=FILE.modified_ns + 1),
        replace(FILE, name=FileName.parse("ci-report2.pdf")),
    ],
)
def test_link_is_for_the_file_as_it_was(other: StoredFile) -> None:
    assert DOWNLOAD.is_for(FILE)
    assert DOWNLOAD.is_for(replace(FILE, content=Content("text/plain")))
    assert not DOWNLOAD.is_for(other)


def test_link_that_was_revoked_or_has_expired_is_over() -> None:
    made = link(Maker(MakerKind.OPERATOR), DOWNLOAD, expires=1000)
    made.require_valid(999)
    for gone, now in ((made, 1000.0), (made.revoke(500), 500.0), (made.revoke(500), 501.0)):
        with pytest.raises(LinkGone):
            gone.require_valid(now)
    assert made.revoke(1001).revoked is None
    assert made.revoke(500).revoke(600).revoked == 500


@every_row("grant", [DOWNLOAD, UPLOAD])
def test_link_is_read_back_as_it_was_written(grant: DownloadGrant | UploadGrant) -> None:
    maker = Maker(MakerKind.PERSON, "Zoë", "f", ("a", "b"))
    rest = {"expires": 9, "note": "ü\n", "password": "scrypt:…", "revoked": 7}
    made = link(maker, grant, **rest)
    assert from_bytes(to_bytes(made)) == made
    for damaged in (b"", b"{}", b"null", to_bytes(made)[:-1], to_bytes(made).replace(b"id", b"di")):
        assert from_bytes(damaged) is None


def test_link_is_for_downloads_or_for_uploads() -> None:
    for download, upload in ((DOWNLOAD, UPLOAD), (None, None)):
        with pytest.raises(ValueError, match="downloads or for uploads"):
            Link(
                "0",
                b"",
                Maker(MakerKind.OPERATOR),
                int(time.time()),
                download=download,
                upload=upload,
            )
