"""Secrets are left out of everything that is logged."""

import pytest

from fileservice.serving.redaction import without_secrets

SECRET = "gnLEZ_2bvPOD8wn7FOt7SrShsr1OEWsYE6LBtr00lX0"
ENCODED = "".join(f"%{ord(character):02x}" for character in SECRET)
TWICE_ENCODED = ENCODED.replace("%", "%25")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /s/{SECRET} HTTP/1.1", "GET /s/[secret] HTTP/1.1"),
        (f"GET /s/{SECRET}/a.pdf?inline=1 HTTP/1.1", "GET /s/[secret]/a.pdf?inline=1 HTTP/1.1"),
        (f"GET /files/s/{SECRET}?x=1 HTTP/1.1", "GET /files/s/[secret]?x=1 HTTP/1.1"),
        (f"https://files.example/s/{SECRET}", "https://files.example/s/[secret]"),
        (f"https://files.example/s/{SECRET}#x", "https://files.example/s/[secret]#x"),
        (f"GET /s/{ENCODED} HTTP/1.1", "GET /s/[secret] HTTP/1.1"),
        (f"GET /%73/{SECRET} HTTP/1.1", "GET /%73/[secret] HTTP/1.1"),
        (f"GET /S%2F{SECRET} HTTP/1.1", "GET /S%2F[secret] HTTP/1.1"),
        (f"GET //s/{SECRET} HTTP/1.1", "GET //s/[secret] HTTP/1.1"),
        (f"/upload?next=%2Fs%2F{SECRET}&q=a", "/upload?next=%2Fs%2F[secret]&q=a"),
        (
            f"/r?u=https%253A%252F%252Fx%252Fs%252F{SECRET}",
            "/r?u=https%253A%252F%252Fx%252Fs%252F[secret]",
        ),
        (f"/r?u=%25252F%25252573%25252F{ENCODED}", "/r?u=%25252F%25252573%25252F[secret]"),
        (f"It was {SECRET}.", "It was [secret]."),
        (f"a /s/{SECRET} and /s/{SECRET}/b", "a /s/[secret] and /s/[secret]/b"),
        (f"GET /?token=fs_{SECRET} HTTP/1.1", "GET /?token=fs_[secret] HTTP/1.1"),
        (f"GET /s/fs_{SECRET} HTTP/1.1", "GET /s/[secret] HTTP/1.1"),
        (f"GET /{SECRET} HTTP/1.1", "GET /[secret] HTTP/1.1"),
        (f"Bearer {SECRET}.{SECRET}", "Bearer [secret]"),
        (f"/upload?link={SECRET}&q=a", "/upload?link=[secret]&q=a"),
        (f"GET /?x%3D{SECRET} HTTP/1.1", "GET /?x%3D[secret] HTTP/1.1"),
        (f"GET /x%3d{SECRET}/a HTTP/1.1", "GET /x%3d[secret]/a HTTP/1.1"),
        (f"/r?u=x%253D{SECRET}%2526y", "/r?u=x%253D[secret]%2526y"),
        (f"/r?u=x%25253D{SECRET}", "/r?u=x%25253D[secret]"),
        (f"/?x%3Dfs_{SECRET}", "/?x%3Dfs_[secret]"),
        (f"/?x%3D{SECRET}.{SECRET}&y", "/?x%3D[secret]&y"),
        (f"/?x%3D{SECRET}%2E{SECRET}", "/?x%3D[secret]"),
        (f"/?x%3D{SECRET}%252e{SECRET}&y", "/?x%3D[secret]&y"),
        (f"/?x={ENCODED}&y", "/?x=[secret]&y"),
        (f"/?x%3D{ENCODED}", "/?x%3D[secret]"),
        (f"/?x%3D{SECRET.replace('_', '%5F')}", "/?x%3D[secret]"),
        (f"/?x%3Df{TWICE_ENCODED}", f"/?x%3Df{TWICE_ENCODED}"),
        (f"/?x%3D{TWICE_ENCODED}", "/?x%3D[secret]"),
    ],
)
def test_secret_is_left_out(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"/download/{'x' * 43}.pdf",
        f"/download/a%20{'x' * 43}.pdf",
        f"/download/a%20{'x' * 42}",
        f"/download/a%20{'x' * 44}",
        f"/download/{'%C3%BC' * 43}",
        "x" * 42,
        "x" * 44,
        "GET /download/s.pdf HTTP/1.1",
        "GET /s HTTP/1.1",
        "GET /s/ HTTP/1.1",
        "a/s b",
        "/us/x",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text
