"""Sources that somebody prepared: what is wrong is refused and named, the rest comes, and nothing leaves its folder."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from bringing import Bring
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow_database import METRICS, RUNS, TAGS, opened
from mlflow_database import fill as fill_database
from mlflow_folder import RUN, experiment, fill, meta, run, write

from kept.app.importing.plain_files import read_flat
from kept.core.errors import Invalid, NotFound
from kept.governance.workspace import Workspace

OTHER = "9" * 32


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    root = tmp_path / "mlruns"
    fill(root)
    return root


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    write(folder, {"secret.txt": "secret"})
    return folder


def _texts(workspace: Workspace) -> list[bytes]:
    return [path.read_bytes() for path in (workspace.root / "artifacts").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "text",
    [
        "run_id: !!python/object/apply:os.system [echo]",
        "a: &a [1, 2]\nb: *a",
        "a: " + "[" * 100_000,
        "\n".join(" " * n + "a:" for n in range(2_000)),
        "- a\n- b",
        "a: [",
        "just words",
        "? [a]\n: b",
        "\x00",
        "a: 1\n" * 200_000,
        "2026-01-01: a",
        "a: 2026-01-01",
        "a: !!binary eA==",
        "a: {b: {c: {d: e}}}",
    ],
)
def test_a_strange_meta_is_refused(text: str, bring: Bring, mlruns: Path) -> None:
    write(mlruns / "571" / OTHER, {"meta.yaml": text})
    report = bring(mlruns)
    assert [(one.what, one.examples) for one in report.left_out] == [("runs", [OTHER])]
    assert report.tallies["runs"].verified == 1


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.none() | st.text(max_size=50) | st.integers(-(2**70), 2**70) | st.booleans() | st.floats(allow_nan=False),
    )
)
@settings(max_examples=60)
def test_what_is_written_flat_is_read_flat(values: dict[str, Any]) -> None:
    text = yaml.safe_dump(values, allow_unicode=True)
    assert read_flat(text, where="here") == yaml.safe_load(text)


@pytest.mark.parametrize("step", [".inf", "2026", "99999999999999999999", "[1]", "x"])
def test_a_step_that_is_none_leaves_its_run_out(step: str, bring: Bring, mlruns: Path) -> None:
    run(mlruns / "571", OTHER)
    write(mlruns / "571" / OTHER / "outputs" / "m-1", {"meta.yaml": f"step: {step}"})
    assert [one.examples for one in bring(mlruns).left_out] == ([] if step == "2026" else [[OTHER]])


def test_a_meta_that_says_it_is_another_run_is_refused(bring: Bring, mlruns: Path) -> None:
    run(mlruns / "571", OTHER, run_id=RUN)
    report = bring(mlruns)
    assert [one.examples for one in report.left_out] == [[OTHER]]
    assert "meta.yaml says it is" in report.left_out[0].why


def test_no_address_leads_to_other_files_of_the_machine(
    bring: Bring, mlruns: Path, secret: Path, workspace: Workspace
) -> None:
    addresses = [
        str(secret),
        secret.as_uri(),
        f"{mlruns}/../private",
        f"{mlruns}/%2e%2e/private",
        "mlflow-artifacts:/../private",
        "../private",
        f"file://example.org{secret}",
    ]
    for number, address in enumerate(addresses):
        run(mlruns / "571", f"{number:032d}", artifact_uri=address)
    (mlruns.parent / "mlartifacts").mkdir()
    report = bring(mlruns)
    assert sum(one.count for one in report.left_out) >= len(addresses) - 1
    assert report.tallies["files"].verified == 3
    assert b"secret" not in _texts(workspace)


def test_no_link_is_followed(bring: Bring, mlruns: Path, secret: Path, workspace: Workspace) -> None:
    made = mlruns / "571" / RUN
    (made / "artifacts" / "link.txt").symlink_to(secret / "secret.txt")
    (made / "artifacts" / "folder").symlink_to(secret)
    (made / "params" / "stolen").symlink_to(secret / "secret.txt")
    (mlruns / "573").symlink_to(secret)
    (mlruns / "571" / OTHER).symlink_to(secret)
    os.mkfifo(made / "artifacts" / "pipe")
    report = bring(mlruns)
    assert {one.why: one.count for one in report.left_out} == {"a link, which is not followed": 2, "no plain file": 1}
    assert report.tallies["files"].verified == 3
    assert b"secret" not in _texts(workspace)


def test_lines_that_are_no_points_are_counted_and_the_others_come(bring: Bring, mlruns: Path) -> None:
    lines = "1 2 3\nnonsense\n99999999999999999999999 1 1\n1 1 99999999999999999999999\n" + "7" * 10_000 + "\n4 5\n"
    write(mlruns / "571" / RUN, {"metrics/mixed": lines})
    report = bring(mlruns)
    assert report.tallies["points"].verified == 257
    assert {one.what for one in report.left_out} == {"points"}
    again = bring(mlruns)
    assert not again.complete
    assert again.tallies["points"].new == 0


def test_texts_that_no_database_holds_leave_one_run_out(bring: Bring, tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/mlflow.db") as rows:
        fill_database(rows, tmp_path / "mlruns")
        rows.put(RUNS, {"run_uuid": OTHER, "name": "nul", "experiment_id": 7, "artifact_uri": ""})
        rows.put(TAGS, {"key": "nul", "value": "a\0b", "run_uuid": OTHER})
        rows.put(RUNS, {"run_uuid": "../../etc", "name": "climbs", "experiment_id": 7, "artifact_uri": ""})
        rows.put(
            RUNS, {"run_uuid": "8" * 32, "name": "late", "start_time": 2**62, "experiment_id": 7, "artifact_uri": ""}
        )
        rows.put(METRICS, {"key": "a\0b", "value": 1.0, "timestamp": 1, "step": 1, "run_uuid": "a" * 32})
    report = bring(tmp_path / "mlflow.db")
    assert sorted((one.what, one.count) for one in report.left_out) == [("points", 1), *[("runs", 1)] * 3]
    assert report.tallies["runs"].verified == 3


def test_sizes_beyond_the_disk_are_refused(bring: Bring, mlruns: Path, workspace: Workspace) -> None:
    huge = mlruns / "571" / RUN / "artifacts" / "huge"
    with huge.open("wb") as stream:
        stream.truncate(1 << 50 if os.statvfs(mlruns).f_frsize * os.statvfs(mlruns).f_blocks > 1 << 44 else 1 << 43)
    report = bring(mlruns)
    assert [(one.what, one.why) for one in report.left_out] == [("files", "larger than the space that is free")]
    large = mlruns / "571" / RUN / "params" / "large"
    with large.open("wb") as stream:
        stream.truncate(1 << 30)
    huge.unlink()
    assert [one.why for one in bring(mlruns).left_out] == ["it is larger than such a file can be"]


def test_what_is_no_source_is_refused(bring: Bring, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        bring(tmp_path / "nothing")
    write(tmp_path, {"words.db": "no database"})
    with pytest.raises(Invalid, match="no database of SQLite"):
        bring(tmp_path / "words.db")
    with pytest.raises(Invalid, match="no source that Kept reads"):
        bring("s3://store/mlruns")


def test_an_experiment_that_can_not_be_read_is_named_with_all_in_it(bring: Bring, mlruns: Path) -> None:
    write(mlruns / "574", {"meta.yaml": "{"})
    meta(mlruns / "575", experiment_id="575", name="")
    experiment(mlruns, "576", "a" * 501)
    report = bring(mlruns)
    assert sum(one.count for one in report.left_out) == 3
    assert report.tallies["runs"].verified == 1
