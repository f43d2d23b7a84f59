"""Settings that need others, or exclude them."""

from pathlib import Path

import pytest

from tests.support.settings import problems_of, read


def test_redirecting_downloads_without_a_bucket_is_reported() -> None:
    [without_url] = problems_of(DOWNLOAD_REDIRECT="true")
    [with_directory] = problems_of(DOWNLOAD_REDIRECT="true", STORE_URL="/srv/files")
    [with_invalid_url] = problems_of(DOWNLOAD_REDIRECT="true", STORE_URL="ftp://a/b")

    assert without_url.startswith("FILESERVICE_DOWNLOAD_REDIRECT='true': ")
    assert "FILESERVICE_STORE_URL='./data'" in without_url
    assert "FILESERVICE_STORE_URL='/srv/files'" in with_directory
    assert with_invalid_url.startswith("FILESERVICE_STORE_URL=")
    assert read(DOWNLOAD_REDIRECT="true", STORE_URL="s3://bucket/a").download_redirect is True


def test_default_expiry_past_the_longest_one_is_reported() -> None:
    [problem] = problems_of(FILE_EXPIRY="8d", FILE_EXPIRY_MAX="7d")

    assert problem == (
        "FILESERVICE_FILE_EXPIRY='8d': must not be longer than FILESERVICE_FILE_EXPIRY_MAX='7d'"
    )
    assert len(problems_of(FILE_EXPIRY="8d", FILE_EXPIRY_MAX="7")) == 1
    assert read(FILE_EXPIRY="7d", FILE_EXPIRY_MAX="7d").file_expiry == 7 * 86400
    assert read(FILE_EXPIRY="7d").file_expiry_max is None


def test_access_file_inside_the_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link.toml").symlink_to("store/access.toml")
    for name in ("store/access.toml", "store/.fileservice/a", "store/../store/a", "link.toml"):
        [problem] = problems_of(STORE_URL=str(tmp_path / "store"), ACCESS_FILE=str(tmp_path / name))
        assert problem.startswith(f"FILESERVICE_ACCESS_FILE={str(tmp_path / name)!r}: must be out")
    (tmp_path / "loop").symlink_to("loop")
    read(ACCESS_FILE=str(tmp_path / "loop"))
    [problem] = problems_of(ACCESS_FILE="data/access.toml")
    assert "FILESERVICE_STORE_URL='./data'" in problem
    read(STORE_URL=str(tmp_path / "store"), ACCESS_FILE=str(tmp_path / "store.toml"))
    read(STORE_URL="s3://bucket/a?region=r", ACCESS_FILE="data/access.toml")


def test_issuer_and_client_of_openid_connect_are_set_together() -> None:
    issuer = "https://login.example.org/realms/a/"
    rest = {"OIDC_CLIENT_ID": "files", "ACCESS_FILE": "access.toml"}
    settings = read(OIDC_ISSUER=issuer, OIDC_CLIENT_SECRET="a b~", **rest)
    assert (settings.oidc_issuer, settings.oidc_client_id) == (issuer, "files")
    assert settings.oidc_client_secret == "a b~"
    assert read(OIDC_ISSUER=issuer, **rest).oidc_client_secret is None
    for here in ("http://localhost:9400", "http://127.0.0.1:9400", "http://[::1]:9400"):
        assert read(OIDC_ISSUER=here, **rest).oidc_issuer == here

    [without_file] = problems_of(OIDC_ISSUER=issuer, OIDC_CLIENT_ID="files")
    assert "FILESERVICE_ACCESS_FILE must be set, too" in without_file
    [without_client] = problems_of(OIDC_ISSUER=issuer, ACCESS_FILE="access.toml")
    assert "FILESERVICE_OIDC_CLIENT_ID must be set, too" in without_client
    for variables in ({"OIDC_CLIENT_ID": "files"}, {"OIDC_CLIENT_SECRET": "hunter2"}):
        [without_issuer] = problems_of(**variables)
        assert "need FILESERVICE_OIDC_ISSUER" in without_issuer
        assert "hunter2" not in without_issuer


PROXY = {"TRUSTED_PROXIES": "10.0.0.1", "ACCESS_FILE": "access.toml"}


def test_identity_headers_are_read_with_trusted_proxies_and_an_access_file() -> None:
    settings = read(IDENTITY_HEADER="Remote-User", IDENTITY_GROUPS_HEADER="Remote-Groups", **PROXY)

    assert settings.identity_header == "Remote-User"
    assert settings.identity_groups_header == "Remote-Groups"


def test_an_identity_header_that_anybody_could_send_is_reported() -> None:
    [problem] = problems_of(IDENTITY_HEADER="Remote-User", ACCESS_FILE="access.toml")

    assert problem.startswith("FILESERVICE_IDENTITY_HEADER='Remote-User': every client could send")
    assert "FILESERVICE_TRUSTED_PROXIES" in problem


def test_an_identity_header_without_rights_for_anybody_is_reported() -> None:
    [problem] = problems_of(IDENTITY_HEADER="Remote-User", TRUSTED_PROXIES="10.0.0.1")

    assert problem.startswith("FILESERVICE_IDENTITY_HEADER='Remote-User': nobody")
    assert "FILESERVICE_ACCESS_FILE" in problem


def test_a_groups_header_without_an_identity_header_is_reported() -> None:
    [problem] = problems_of(IDENTITY_GROUPS_HEADER="Remote-Groups", **PROXY)

    assert "FILESERVICE_IDENTITY_HEADER" in problem


def test_one_field_for_the_person_and_the_groups_is_reported() -> None:
    fields = {"IDENTITY_HEADER": "Remote-User", "IDENTITY_GROUPS_HEADER": "remote-user"}
    [problem] = problems_of(**fields, **PROXY)

    assert problem.startswith("FILESERVICE_IDENTITY_GROUPS_HEADER='remote-user': ")


def test_an_invalid_setting_is_not_reported_as_missing() -> None:
    problems = problems_of(
        IDENTITY_HEADER="Remote-User", TRUSTED_PROXIES="proxy", ACCESS_FILE="a\0"
    )

    assert [problem.partition("=")[0] for problem in problems] == [
        "FILESERVICE_TRUSTED_PROXIES",
        "FILESERVICE_ACCESS_FILE",
    ]


SIGNING_SECRET = "whsec_c2VjcmV0IG9mIDMyIGJ5dGVzIGZvciB0aGUgdGVzdHM="


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "https://example.org/events?token=a%20b", "http://[::1]/"]
)
def test_receiver_of_events_needs_a_secret(url: str) -> None:
    [problem] = problems_of(ON_STORED=url)
    assert "FILESERVICE_ON_STORED_SECRET must be set, too" in problem
    settings = read(ON_STORED=url, ON_STORED_SECRET=SIGNING_SECRET, ON_STORED_PRIVATE="true")
    assert settings.on_stored == url
    assert settings.on_stored_secret == b"secret of 32 bytes for the tests"
    assert settings.on_stored_private
    assert "secret of 32" not in repr(settings)


@pytest.mark.parametrize(
    "variables", [{"ON_STORED_SECRET": SIGNING_SECRET}, {"ON_STORED_PRIVATE": "true"}]
)
def test_settings_of_events_need_a_receiver(variables: dict[str, str]) -> None:
    [problem] = problems_of(**variables)
    assert problem.endswith("need FILESERVICE_ON_STORED")
