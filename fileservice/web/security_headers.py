"""Header fields that tell a browser what it may do with the content of a response."""

NOT_EMBEDDED = {"Cross-Origin-Resource-Policy": "same-origin"}
"""For what pages of other origins may not embed (Fetch standard, section 3.7): files, and the
errors in their place. Otherwise such a page could tell the name of a file, which it may not embed,
from that of no file, whose error it may."""

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self';"
        " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""For HTML pages, whose content is the service's own."""

DOCUMENT_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""For HTML documents without forms and scripts."""

LINK_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
"""For everything below the path of a link, which contains its secret."""

FILE_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    **NOT_EMBEDDED,
}
"""For stored files. Nothing in them runs on the service's origin, whatever was uploaded; the upload
page shows some of them in a frame."""

JSON_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""For JSON that is true only of one request."""

LIST_HEADERS = JSON_HEADERS | {"Cache-Control": "no-cache"}
"""For lists in JSON, which a cache may keep but must revalidate."""
