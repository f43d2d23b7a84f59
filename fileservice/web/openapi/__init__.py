"""The description of the service for programs: OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.2).

`document` makes it of the operations that the modules of this package list. A test compares them
with the routes, with the calls and the scopes that they need, and with real answers.
"""

from fileservice.web.openapi.document import document
from fileservice.web.openapi.problem_responses import ProblemKind

__all__ = ["ProblemKind", "document"]
