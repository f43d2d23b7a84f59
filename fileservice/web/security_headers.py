"""The headers that keep a browser from running anything that is not ours."""

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""For the pages, which are all ours."""

FILE_HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""For the files, none of which are: whatever was uploaded, it runs nothing on this origin. The page
shows some of them in a frame."""

ANSWER_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
"""For answers in JSON about one request."""
LIST_HEADERS = ANSWER_HEADERS | {"Cache-Control": "no-cache"}
"""For lists in JSON, which may be kept and have to be asked for again."""
