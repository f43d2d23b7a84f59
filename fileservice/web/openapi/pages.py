"""The operations of browsers, those of health checks, and those of the description itself."""

from fileservice.web.openapi.operations import (
    OF_BODIES,
    TEXT,
    Answer,
    Operation,
    Parameter,
    argument,
    header,
    ref,
)

_PAGE = {"text/html": TEXT}
_FORM = "application/x-www-form-urlencoded"
_NEXT = argument("next", "The path to return to.")
_TO_PAGE = Answer("The page.", _PAGE, ("Location",))
_SITE = header(
    "Sec-Fetch-Site",
    "Sent by browsers; must say that the request is the service's own.",
    {"enum": ["same-origin", "none"]},
)
_NOT_MODIFIED = Answer("The client has it already.", header_fields=("ETag",))


def _health(path: str, summary: str, *problems: str) -> Operation:
    return Operation(
        "GET",
        path,
        "health",
        summary,
        {200: Answer("All is well.", {"application/json": ref("Health")})},
        ("shutting-down", *problems),
    )


OPERATIONS = (
    Operation("GET", "/", "pages", "Lead to the page", {302: _TO_PAGE}, name="get-root"),
    Operation(
        "GET",
        "/upload",
        "pages",
        "The page: the files, and a form for uploads",
        {
            200: Answer("The page.", _PAGE, ("ETag", "Link")),
            204: Answer("An uploader asked for a chunk, which is not there."),
            302: Answer("The page for signing in, for people.", header_fields=("Location",)),
            304: _NOT_MODIFIED,
        },
        ("incomplete-body",),
        ("any",),
        description="Takes the arguments of the list, and ignores others.",
    ),
    Operation(
        "GET",
        "/sign-in",
        "pages",
        "The page for signing in",
        {200: Answer("The page.", _PAGE)},
        parameters=(_NEXT,),
    ),
    Operation(
        "POST",
        "/sign-in",
        "pages",
        "Sign in with a token",
        {303: Answer("The path to return to, with a session.", header_fields=("Location",))},
        ("wrong-content-type", "bad-form", "storage-full", *OF_BODIES),
        parameters=(_SITE,),
        body={_FORM: {"type": "object", "properties": {"token": TEXT, "next": TEXT}}},
    ),
    Operation(
        "GET",
        "/sign-in/oidc",
        "pages",
        "Lead to the OpenID provider",
        {302: Answer("The provider.", header_fields=("Location",))},
        ("not-found", "provider-unavailable", "storage-full"),
        parameters=(_NEXT,),
    ),
    Operation(
        "GET",
        "/sign-in/oidc/callback",
        "pages",
        "Come back from the OpenID provider",
        {303: Answer("The path to return to, with a session.", header_fields=("Location",))},
        ("not-found", "sign-in-failed", "forbidden", "provider-unavailable", "storage-full"),
        parameters=(
            argument("code", "From the provider."),
            argument("state", "From the provider."),
            argument("error", "From the provider."),
        ),
    ),
    Operation(
        "POST",
        "/sign-out",
        "pages",
        "Sign out",
        {303: Answer("The page, without a session.", header_fields=("Location",))},
        ("sign-out-incomplete",),
        parameters=(_SITE,),
    ),
    Operation(
        "GET",
        "/assets/{version}/{filename}",
        "pages",
        "The style sheets and scripts of the pages",
        {
            200: Answer(
                "One of them.",
                {"text/css": TEXT, "text/javascript": TEXT, "image/svg+xml": TEXT},
                ("ETag",),
            ),
            304: _NOT_MODIFIED,
        },
        ("not-found",),
        parameters=(
            Parameter("version", "path", "A digest of all of them."),
            Parameter("filename", "path", "The name of one."),
        ),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "pages",
        "This description",
        {
            200: Answer("It.", {"application/json": {"type": "object"}}, ("ETag",)),
            304: _NOT_MODIFIED,
        },
    ),
    Operation(
        "GET",
        "/docs",
        "pages",
        "This description as a page",
        {200: Answer("The page.", _PAGE, ("ETag",)), 304: _NOT_MODIFIED},
    ),
    Operation(
        "GET",
        "/livez",
        "health",
        "Whether the process answers",
        {200: Answer("It does.", {"application/json": ref("Health")})},
    ),
    _health("/healthz", "Whether files can be stored", "storage-full"),
    _health("/readyz", "Whether files can be stored and the settings read", "not-ready"),
    Operation(
        "GET",
        "/metrics",
        "health",
        "What is counted of all requests, for Prometheus",
        {200: Answer("The metrics.", {"text/plain": TEXT})},
        needs=("admin",),
        description="A program on the machine of the service needs no scope.",
    ),
)
