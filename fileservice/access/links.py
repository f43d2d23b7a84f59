"""Links: what a URL lets a stranger do, and on whose behalf.

A link says who made it and not what the maker may do. That is looked up in the rules at each use,
so a link never outlives the rights of its maker.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from fileservice.access.errors import LinkGone
from fileservice.access.link_uses import Use, is_used_up
from fileservice.access.principals import Principal, PrincipalKind, Quota
from fileservice.access.rules import AccessRules
from fileservice.access.scopes import Scope
from fileservice.access.sessions import Session
from fileservice.names import FileName
from fileservice.quantities import MAX_SIZE
from fileservice.storage import StoredFile

KEPT_SECONDS = 30 * 86400
"""For so long it is known that a link is over; after that it is as if it had never been."""
_FOR_DOWNLOADS = frozenset({Scope.SHARE, Scope.READ})
_FOR_UPLOADS = frozenset({Scope.SHARE, Scope.WRITE})


class MakerKind(StrEnum):
    """How a maker is found in the rules."""

    TOKEN = "token"  # noqa: S105  # a word, not a secret
    PERSON = "person"
    OPERATOR = "operator"
    """Whoever runs commands on the machine of the service; the rules do not name it."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a link."""

    kind: MakerKind
    name: str = ""
    fingerprint: str = ""
    """Of the token; a new token of the same name is another one."""
    groups: tuple[str, ...] = ()
    """The groups of a person when it made the link, as far as the rules named them then."""

    @classmethod
    def of_token(cls, name: str, rules: AccessRules) -> Self:
        """Return the token of this name, which the rules name."""
        return cls(MakerKind.TOKEN, name, rules.fingerprint(name) or "")

    @classmethod
    def of_person(cls, name: str, groups: tuple[str, ...], rules: AccessRules) -> Self:
        """Return a person who is in these groups."""
        return cls(MakerKind.PERSON, name, groups=tuple(sorted(rules.groups.keys() & set(groups))))

    @classmethod
    def of_session(cls, session: Session) -> Self:
        """Return who has signed in."""
        kind = MakerKind.TOKEN if session.kind is PrincipalKind.TOKEN else MakerKind.PERSON
        return cls(kind, session.name, session.fingerprint, session.groups)

    @property
    def id(self) -> str:
        """The id of the maker's principal."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)

    def principal(self, rules: AccessRules) -> Principal | None:
        """Return the maker as the rules have it now; None if they do not name it."""
        if self.kind is MakerKind.OPERATOR:
            return Principal(PrincipalKind.OPERATOR, "", frozenset(Scope))
        if self.kind is MakerKind.TOKEN:
            return rules.token(self.name, self.fingerprint)
        return rules.person(self.name, self.groups)


@dataclass(frozen=True, slots=True)
class DownloadGrant:
    """One file, as it was when the link was made."""

    name: FileName
    version: str
    """Identifies the file: see `file_identity`."""
    uses: int | None = None
    """How many downloads; None for any number."""

    @classmethod
    def of(cls, file: StoredFile, uses: int | None = None) -> Self:
        """Return the grant of this file."""
        return cls(file.name, file_identity(file), uses)

    def is_for(self, file: StoredFile) -> bool:
        """Return whether this is the file for which the link was made."""
        return file.name == self.name and file_identity(file) == self.version


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """Names that begin with a prefix, for a guest who uploads files."""

    prefix: str
    files: int | None = None
    """How many files the guests may have stored by the link; None for any number."""
    bytes: int | None = None
    """How many bytes these may have together; None for any number."""

    @property
    def quota(self) -> Quota:
        """The quota of the guests. What they store is counted even if they have no limit."""
        return Quota(
            MAX_SIZE if self.bytes is None else self.bytes,
            MAX_SIZE if self.files is None else self.files,
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A link. Every change makes a new one; it has either a download or an upload."""

    id: str
    """32 hexadecimal digits, from which the secret cannot be derived."""
    digest: bytes
    """See `digest_of`."""
    maker: Maker
    created: int
    """This and all other times are in seconds since 1970, UTC."""
    expires: int | None = None
    """None for a link that lasts until it is revoked."""
    note: str = ""
    password: str = ""
    """What a password is verified with, and never the password; empty if there is none."""
    download: DownloadGrant | None = None
    upload: UploadGrant | None = None
    uses: tuple[Use, ...] = ()
    """The downloads that have begun, as far as they count."""
    revoked: int | None = None

    def __post_init__(self) -> None:
        if (self.download is None) == (self.upload is None):
            raise ValueError("a link is for downloads or for uploads")

    @property
    def principal_id(self) -> str:
        """The id of the principal that uses the link."""
        return principal_id(self.id)

    @property
    def over(self) -> int | None:
        """When the link was or will be over; None if it lasts until it is revoked."""
        return self.expires if self.revoked is None else self.revoked

    def require_valid(self, now: float) -> None:
        """Raise LinkGone if the link is over. Its uses play no part."""
        if self.over is not None and self.over <= now:
            raise LinkGone

    def is_used_up(self, now: float) -> bool:
        """Return whether nobody can fetch the file any more, since all uses are over."""
        limit = self.download.uses if self.download else None
        return limit is not None and is_used_up(self.uses, limit, int(now * 1e9))

    def revoke(self, now: float) -> "Link":
        """Return the link without any effect from now on; one that is over stays as it is."""
        if self.over is not None and self.over <= now:
            return self
        return replace(self, revoked=int(now))

    def principal(self, rules: AccessRules) -> Principal:
        """Return who uses the link, by the rights that its maker has now.

        Raise LinkGone if the maker could not make it any more.
        """
        maker = self.maker.principal(rules)
        if self.download:
            needed, name = _FOR_DOWNLOADS, str(self.download.name)
        else:
            assert self.upload is not None
            needed, name = _FOR_UPLOADS, self.upload.prefix
        if maker is None or needed - maker.scopes or not name.startswith(maker.prefix):
            raise LinkGone
        if self.download:
            scopes, only = frozenset({Scope.READ}), self.download.name
            return Principal(PrincipalKind.LINK, self.id, scopes, prefix=name, only=only)
        return Principal(PrincipalKind.LINK, self.id, frozenset({Scope.WRITE}), prefix=name)


def file_identity(file: StoredFile) -> str:
    """Return a text that another file of the same name does not have.

    The version may be the digest of the bytes. A file that was deleted and uploaded again with the
    same bytes has another modification time, in a bucket if that was another second.
    """
    return f"{file.version}-{file.modified_ns:x}"


def digest_of(secret: str) -> bytes:
    """Return what is kept of the secret of a link, which has 256 random bits: its SHA-256."""
    return hashlib.sha256(b"link:" + secret.encode("utf-8", "surrogatepass")).digest()


def id_of(digest: bytes) -> str:
    """Return the id of the link whose secret has this digest."""
    return digest.hex()[:32]


def principal_id(link_id: str) -> str:
    """Return the id of the principal that uses the link with this id."""
    return f"{PrincipalKind.LINK}:{link_id}"
