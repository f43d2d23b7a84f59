"""fileservice check: what it says, and that it changes nothing."""

import json
import os
from pathlib import Path

import pytest

from fileservice.cli.checks import CheckResult, clock_finding
from fileservice.storage import StoreVerification, open_store
from tests.cli.commands import Done, run, run_process
from tests.support.clamd import ClamdServer
from tests.support.redis import PASSWORD, RedisServer
from tests.support.seaweed import SeaweedClient

SUBJECTS = [
    *("settings", "libmagic", "access file", "virus scanner", "limits", "request log"),
    *("audit log", "store", "clock", "traces"),
]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    open_store(str(path), fsync=False)
    return path


def check(store: object, **settings: str) -> tuple[Done, dict[str, list[tuple[str, str]]]]:
    """Run it with these settings; return what it found of each subject: verdicts and details."""
    variables = {"STORE_URL": str(store), **settings}
    done = run("check", "--json", **{f"FILESERVICE_{k}": v for k, v in variables.items()})
    found: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(done.stdout):
        found.setdefault(one["check"], []).append((one["verdict"], one["detail"]))
    return done, found


def test_a_service_that_can_start_passes_every_check(store: Path, tmp_path: Path) -> None:
    access_file = tmp_path / "access.toml"
    access_file.write_text('[groups.staff]\nscopes = ["read"]\n')
    before = sorted(store.rglob("*"))
    done, found = check(store, ACCESS_FILE=str(access_file), MIN_FREE_SPACE="0")
    assert done.returncode == 0
    assert list(found) == SUBJECTS
    skipped = [("skipped", "FILESERVICE_CLAMD_URL is not set")]
    assert found.pop("virus scanner") == skipped
    assert found.pop("limits")[0][0] == "skipped"
    assert found.pop("audit log") == [("skipped", "FILESERVICE_AUDIT_LOG is none")]
    assert found.pop("traces") == [("skipped", "FILESERVICE_TRACES is none")]
    assert {verdict for of_subject in found.values() for verdict, _ in of_subject} == {"ok"}
    assert found["access file"] == [("ok", "tokens: 0, users: 0, groups: 1")]
    ((_, detail),) = found["clock"]
    assert detail.startswith("agrees with that of the store to ")
    assert sorted(store.rglob("*")) == before


def test_findings_are_a_table_for_people(store: Path) -> None:
    done = run_process("check", FILESERVICE_STORE_URL=str(store), FILESERVICE_MIN_FREE_SPACE="0")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["CHECK", "VERDICT", "DETAIL"]
    assert [row.split("  ")[0] for row in rows] == SUBJECTS


def test_settings_with_errors_are_all_named_and_nothing_that_needs_them_is_checked(
    store: Path,
) -> None:
    done, found = check(store, WORKERS="0", WORKER="1")
    assert done.returncode == 1
    assert found["settings"] == [
        (
            "failed",
            "FILESERVICE_WORKER: there is no such setting; did you mean FILESERVICE_WORKERS?",
        ),
        ("failed", "FILESERVICE_WORKERS='0': must be a whole number above 0"),
    ]
    assert found["libmagic"][0][0] == "ok"
    assert found["store"] == [("skipped", "see the settings")]


def test_every_mistake_in_the_access_file_is_named(store: Path, tmp_path: Path) -> None:
    access_file = tmp_path / "access.toml"
    access_file.write_text('[groups.staff]\nscopes = ["fly"]\n[users]\nx = 1\n')
    done, found = check(store, ACCESS_FILE=str(access_file))
    assert done.returncode == 1
    assert [verdict for verdict, _ in found["access file"]] == ["failed", "failed"]
    assert all(str(access_file) in detail for _, detail in found["access file"])


def test_an_access_file_that_everybody_may_change_is_a_warning(store: Path, tmp_path: Path) -> None:
    access_file = tmp_path / "access.toml"
    access_file.write_text("")
    access_file.chmod(0o666)
    done, found = check(store, ACCESS_FILE=str(access_file), MIN_FREE_SPACE="0")
    assert done.returncode == 0
    assert [verdict for verdict, _ in found["access file"]] == ["warning", "ok"]


def test_no_store_is_made(tmp_path: Path) -> None:
    done, found = check(tmp_path / "new" / "store")
    assert done.returncode == 0
    detail = f"the first start will make {tmp_path}/new/store a store"
    assert found["store"] == [("ok", detail)]
    assert found["clock"][0][0] == "skipped"
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_a_store_has_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done, found = check(tmp_path / "file" / "store")
    assert done.returncode == 1
    assert found["store"] == [("failed", f"{tmp_path}/file is not a directory")]


def test_a_store_of_another_user_has_failed_and_is_not_written_to(root: None, store: Path) -> None:
    os.chown(store / ".fileservice", 65534, 65534)
    before = (store / ".fileservice" / "staging").stat().st_mtime_ns
    done, found = check(store)
    assert done.returncode == 1
    assert found["store"][0][0] == "failed"
    assert "run this command as that user" in found["store"][0][1]
    assert (store / ".fileservice" / "staging").stat().st_mtime_ns == before


def test_a_store_with_another_identity_has_failed(store: Path) -> None:
    done, found = check(store, STORE_ID="0" * 32)
    assert done.returncode == 1
    assert "identity" in found["store"][0][1]


def test_a_store_without_the_space_that_must_stay_free_has_failed(store: Path) -> None:
    done, found = check(store, MIN_FREE_SPACE="8000000TiB")
    assert done.returncode == 1
    assert found["store"][-1][0] == "failed"
    assert "FILESERVICE_MIN_FREE_SPACE is 8000000TiB" in found["store"][-1][1]


def test_the_virus_scanner_must_take_the_largest_files(store: Path, tmp_path: Path) -> None:
    with ClamdServer(tmp_path / "clamd", max_stream="2M") as clamd:
        scanner = {"CLAMD_URL": clamd.url, "MIN_FREE_SPACE": "0"}
        done, found = check(store, **scanner, MAX_FILE_SIZE="2MiB")
        assert done.returncode == 0
        assert found["virus scanner"] == [("ok", "it works, and takes files of 2MiB")]

        done, found = check(store, **scanner, MAX_FILE_SIZE="3MiB")
        assert done.returncode == 1
        ((verdict, detail),) = found["virus scanner"]
        assert verdict == "failed"
        assert detail.startswith("FILESERVICE_CLAMD_URL: clamd takes no files of 3145728 bytes")

        done, found = check(store, **scanner, MAX_FILE_SIZE="3MiB", CLAMD_FAIL="open")
        assert done.returncode == 0
        ((verdict, detail),) = found["virus scanner"]
        assert verdict == "warning"
        assert detail.endswith("larger files are accepted without a scan")

        clamd.stop()
        done, found = check(store, **scanner)
        assert done.returncode == 0
        ((verdict, detail),) = found["virus scanner"]
        assert verdict == "warning"
        assert detail.startswith("uploads are refused (503) until the virus scanner works")


def test_redis_must_count_and_its_password_is_not_shown(store: Path, tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        done, found = check(store, LIMITS_URL=redis.url, MIN_FREE_SPACE="0")
        assert found["limits"] == [("ok", f"redis://127.0.0.1:{redis.port}/0 counts")]
        wrong = redis.url.replace(PASSWORD, "wrong-password")
        warned = [check(store, LIMITS_URL=wrong, MIN_FREE_SPACE="0")]
        redis.stop()
        warned.append(check(store, LIMITS_URL=redis.url, MIN_FREE_SPACE="0"))
    for done, found in warned:
        assert done.returncode == 0  # the service starts, and counts alone
        ((verdict, detail),) = found["limits"]
        assert verdict == "warning"
        assert f"redis://127.0.0.1:{redis.port}/0: " in detail
        assert PASSWORD not in done.stdout
        assert "wrong-password" not in done.stdout


def test_logs_must_be_files_that_can_be_written_to(store: Path, tmp_path: Path) -> None:
    new = tmp_path / "audit.log"
    done, found = check(store, REQUEST_LOG=str(tmp_path), AUDIT_LOG=str(new))
    assert done.returncode == 1
    assert found["request log"] == [("failed", f"{tmp_path} is a directory")]
    assert found["audit log"] == [("ok", f"{new} can be written to")]
    assert not new.exists()


@pytest.mark.parametrize(
    ("skew", "verdict", "text"),
    [
        (-4.0, CheckResult.OK, "agrees with that of the store to 4.0 s"),
        (30.0, CheckResult.WARNING, "is 30 s behind that of the store"),
        (-90.0, CheckResult.FAILED, "is 90 s ahead of that of the store"),
        (None, CheckResult.SKIPPED, "the store cannot be written to at present"),
    ],
)
def test_clocks_must_agree_to_within_a_minute(
    skew: float | None, verdict: CheckResult, text: str
) -> None:
    finding = clock_finding(StoreVerification(clock_skew=skew))
    assert finding.verdict is verdict
    assert finding.detail.startswith(text)


def test_a_bucket_is_checked_with_its_clock(seaweed: SeaweedClient) -> None:
    done, found = check(seaweed.url("checked"))
    assert done.returncode == 0, done.stdout
    assert found["store"] == [("ok", "it takes uploads")]
    assert found["clock"][0][0] == "ok"
    assert seaweed.keys("checked") == []


def test_a_bucket_that_does_not_exist_has_failed(seaweed: SeaweedClient) -> None:
    url = seaweed.url("checked").replace("s3://", "s3://no-")
    done, found = check(url)
    assert done.returncode == 1
    assert found["store"][0][0] == "failed"
    assert "no such bucket" in found["store"][0][1]


def test_traces_that_cannot_be_sent_are_a_failure(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, found = check(store, TRACES="otlp", MIN_FREE_SPACE="0")
    assert found["traces"] == [("ok", "spans can be made; the collector was not asked")]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    done, found = check(store, TRACES="otlp", MIN_FREE_SPACE="0")
    assert done.returncode == 1
    ((verdict, detail),) = found["traces"]
    assert verdict == "failed"
    assert detail == "OTEL_EXPORTER_OTLP_PROTOCOL='grpc': must be http/protobuf"
