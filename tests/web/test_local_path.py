"""Where a person returns to after signing in: attacks, and what is returned to."""

from hypothesis import given
from hypothesis import strategies as st

from fileservice.web.local_path import local_path
from tests.support.rows import every_row

FOREIGN = [
    "",
    "upload",
    "//evil.example",
    "///evil.example",
    "//evil.example/upload",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\x00/evil.example",
    "https://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:///evil.example",
    "HTTPS://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example:80\\@files.example",
    "/%2fevil.example",
    "/%2Fevil.example",
    "%2f%2fevil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%09/evil.example",
    "/%0d%0aLocation:%20https:%2f%2fevil.example",
    "/%252fevil.example",
    "/%25%32%66evil.example",
    "/./evil.example",
    "/..//evil.example",
    "/upload/..//evil.example",
    "/%2e%2e//evil.example",
    "/.%2e/evil.example",
    "/upload//evil.example",
    "/;@evil.example\\",
    "/upload#//evil.example",
    "/upload?q=a\r\nSet-Cookie: a=b",
    "/upload?q=a#b",
    "/upload?q=<script>",
    "/\N{FULLWIDTH SOLIDUS}evil.example",
    "/\N{SET MINUS}evil.example",
    "/upload?" + "q" * 2048,
]


@every_row("text", FOREIGN)
def test_text_that_may_lead_elsewhere_is_not_returned_to(text: str) -> None:
    assert local_path(text, "") == "/upload"
    assert local_path(text, "/files") == "/files/upload"


@every_row(
    "text",
    [
        "/upload",
        "/files/",
        "/upload?q=a&sort=-size&after=b.txt",
        "/upload?q=https://evil.example//&prefix=%2f%5c%0a",
        "/download/na%C3%AFve.txt?inline=1",
        "/download/100.5~.txt",
    ],
)
def test_path_of_the_service_is_returned_to(text: str) -> None:
    assert local_path(text, "") == text
    assert local_path(f"/a/b{text}", "/a/b") == f"/a/b{text}"


@every_row(
    "text", ["/upload", "/", "/files", "/filesystem/upload", "/other/files/upload", "files/upload"]
)
def test_path_of_something_else_on_the_host_is_not_returned_to(text: str) -> None:
    assert local_path(text, "/files") == "/files/upload"


@given(st.text(st.sampled_from("/\\.%25cCfFeE2 \t\n?#:@ahtps"), max_size=12))
def test_no_text_leads_to_another_host(text: str) -> None:
    path = local_path(text, "")
    assert path.startswith("/")
    assert path[1:2] not in ("", "/", "\\")
    assert not set(path) & set("\\\t\n #")
    assert "//" not in path.partition("?")[0]
