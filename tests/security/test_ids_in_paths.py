"""Ids that are checked in one encoding and used in another, and so become paths.

See also tests/web/test_path_parameters.py and tests/http/test_access_attacks.py.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fileservice.access import Scope
from fileservice.storage import NoSuchUpload
from fileservice.storage.local import LocalStore, layout
from tests.access.rules import SECRET, token
from tests.support.tus import BYTES, VERSION, named
from tests.web.application import TEXT, published

VICTIM = "victim.txt"
IDS = [
    f"../../{VICTIM}",
    f"..%2f..%2f{VICTIM}",
    f"%2e%2e%2f%2e%2e%2f{VICTIM}",
    f"..%252f..%252f{VICTIM}",
    f"{'0' * 32}%2f..%2f..%2f..%2f{VICTIM}",
    f"{'0' * 31}%0a",
    f"{'0' * 32}%00",
    "%ef%bc%90" + "0" * 31,
    f"{'0' * 32}.record",
    ".",
    "%2e%2e",
]


def statuses(client: FlaskClient) -> set[int]:
    """Use each id in every call that takes one."""
    answers = []
    for bad in IDS:
        for path in (f"/tus/{bad}", f"/resume/{bad}"):
            fields = VERSION | BYTES | {"Upload-Offset": "0", "Upload-Complete": "?1"}
            answers += [
                client.head(path, headers=VERSION),
                client.patch(path, headers=fields, data=TEXT),
                client.delete(path, headers=VERSION),
            ]
        concat = {"Upload-Concat": f"final;http://localhost/tus/{bad} /tus/{bad}"}
        answers.append(client.post("/tus/", headers=VERSION | named("a.txt") | concat))
        answers += [client.get(f"/links/{bad}"), client.delete(f"/links/{bad}")]
    return {answer.status_code for answer in answers}


def test_no_id_in_any_encoding_is_a_path(
    client_of: Callable[..., FlaskClient], root: Path, tmp_path: Path
) -> None:
    access_file = tmp_path / "access.toml"
    access_file.write_text(token(scopes=str([*map(str, Scope)])))
    client = client_of(ACCESS_FILE=str(access_file))
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {SECRET}"
    (root / VICTIM).write_bytes(TEXT)
    assert all(400 <= status < 500 for status in statuses(client))
    assert published(root) == [VICTIM]
    assert (root / VICTIM).read_bytes() == TEXT


def reached(root: Path) -> Path | None:
    """Return where the store looks for the bytes of the upload with the first id."""
    try:
        path = LocalStore(root, fsync=False)._layout.upload(IDS[0])
    except NoSuchUpload:
        return None
    return Path(path.decode()).resolve()


def test_the_store_has_no_path_for_what_is_no_id(root: Path) -> None:
    assert reached(root) is None


def test_without_the_form_of_ids_a_path_is_used(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "UPLOAD_ID", re.compile(".*", re.DOTALL))
    assert reached(root) == (root / VICTIM).resolve()
