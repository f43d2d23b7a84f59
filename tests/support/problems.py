"""What a problem must be like, in JSON and as a page."""

import re

from tests.support.wire import Answer

TEXT = b"some text\n"
BROWSER = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """The answer is this problem, as RFC 9457 has it."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    problem = answer.json()
    assert {"type", "title", "status", "code", "detail"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (status, code)
    assert re.match(r"[a-z]+:", problem["type"]), "type is not a URI"
    assert problem["type"].endswith(code)
    assert problem["title"]
    assert problem["detail"]
    assert "Traceback" not in answer.body.decode()


def assert_problem_page(answer: Answer, status: int, code: str) -> None:
    """The answer says the same to a person, and leads back to the upload page."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    page = answer.body.decode()
    assert re.search(r'<a[^>]*href="/upload"', page)
    assert code in page
    assert str(status) in page
    assert "Traceback" not in page
