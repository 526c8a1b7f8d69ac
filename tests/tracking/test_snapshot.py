import subprocess
from pathlib import Path

import pytest

from kept.core.digests import canonical_json
from kept.core.errors import Invalid
from kept.governance.workspace import Workspace
from kept.tracking.environment import environment, keep_environment, load_environment
from kept.tracking.snapshot import (
    CodeSnapshot,
    SnapshotFile,
    keep_snapshot,
    load_snapshot,
    restore_snapshot,
    take_snapshot,
)


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "deep").mkdir(parents=True)
    (folder / "project.py").write_text("ONE = 1\n")
    (folder / "deep" / "helper.py").write_text("TWO = 2\n")
    return folder


def _texts(snapshot: CodeSnapshot) -> dict[str, str | None]:
    return {file.path: file.text for file in snapshot.files}


def test_without_git_every_file_is_kept(project: Path) -> None:
    for name in (".hidden/a.py", "__pycache__/b.pyc", "env/pyvenv.cfg", "env/c.py", "ws/kept.db"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text("x")
    snapshot = take_snapshot(project)
    assert _texts(snapshot) == {"project.py": "ONE = 1\n", "deep/helper.py": "TWO = 2\n"}
    assert snapshot.commit is None
    assert snapshot.complete


def test_with_git_uncommitted_and_untracked_changes_are_kept(project: Path) -> None:
    _git(project, "init")
    (project / ".gitignore").write_text("secret.txt\n")
    _git(project, "add", ".")
    _git(project, "commit", "-m", "first")
    (project / "project.py").write_text("ONE = 'changed'\n")
    (project / "new.py").write_text("NEW = 1\n")
    (project / "secret.txt").write_text("password")
    (project / "work").mkdir()
    (project / "work" / "kept.db").write_text("a workspace is not code")
    snapshot = take_snapshot(project)
    assert snapshot.commit == _git(project, "rev-parse", "HEAD")
    assert snapshot.branch == "main"
    assert "+ONE = 'changed'" in snapshot.diff
    assert snapshot.untracked == ["new.py"]
    assert set(_texts(snapshot)) == {".gitignore", "deep/helper.py", "new.py", "project.py"}
    assert _texts(snapshot)["project.py"] == "ONE = 'changed'\n"


@pytest.mark.parametrize("git", [True, False])
def test_files_of_secrets_are_left_out(project: Path, git: bool) -> None:
    names = ("kept.toml", ".env", ".env.local", "deep/kept.toml")
    for name in names[:2]:
        (project / name).write_text("token = 'old'")
    if git:
        _git(project, "init")
        _git(project, "add", ".")
        _git(project, "commit", "-m", "first")
    for name in names:
        (project / name).write_text("token = 'hunter2'")
    (project / "project.py").write_text("ONE = 2\n")
    snapshot = take_snapshot(project)
    assert b"hunter2" not in canonical_json(snapshot)
    assert b"old" not in canonical_json(snapshot)
    assert set(_texts(snapshot)) == {"project.py", "deep/helper.py"}
    assert ("+ONE = 2" in snapshot.diff) == git


def test_a_folder_within_a_repository_keeps_only_itself(project: Path) -> None:
    _git(project, "init")
    snapshot = take_snapshot(project / "deep")
    assert snapshot.commit is None
    assert _texts(snapshot) == {"helper.py": "TWO = 2\n"}


def test_equal_folders_give_equal_digests_and_come_back(project: Path, workspace: Workspace, tmp_path: Path) -> None:
    (project / "raw.bin").write_bytes(bytes(range(256)))
    (project / "dos.py").write_bytes(b"A = 1\r\n")
    digest = keep_snapshot(workspace.blobs, project)
    assert keep_snapshot(workspace.blobs, project) == digest
    restored = tmp_path / "restored"
    restored.mkdir()
    restore_snapshot(load_snapshot(workspace.blobs, digest), restored)
    assert keep_snapshot(workspace.blobs, restored) == digest
    assert (restored / "raw.bin").read_bytes() == bytes(range(256))


def test_large_files_are_named_but_not_kept(project: Path) -> None:
    (project / "data.csv").write_bytes(b"1" * 1_000_001)
    snapshot = take_snapshot(project)
    assert not snapshot.complete
    [large] = [file for file in snapshot.files if file.path == "data.csv"]
    assert large.size == 1_000_001
    assert large.text is None


def test_a_snapshot_can_not_write_outside_its_folder(tmp_path: Path) -> None:
    evil = SnapshotFile(path="../evil.py", size=1, digest="", text="x")
    snapshot = CodeSnapshot(commit=None, branch=None, diff="", untracked=[], files=[evil], complete=True)
    with pytest.raises(Invalid, match="out of the folder"):
        restore_snapshot(snapshot, tmp_path / "inner")
    assert not (tmp_path / "evil.py").exists()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no such folder"):
        take_snapshot(tmp_path / "nothing")


def test_the_environment_comes_back(workspace: Workspace) -> None:
    digest = keep_environment(workspace.blobs)
    found = load_environment(workspace.blobs, digest)
    assert found == environment()
    assert found.packages["polars"]
    assert found.cpus >= 1
    assert found.memory_bytes
