import os
from pathlib import Path

import pytest

from kept.core.digests import digest_bytes
from kept.core.errors import Conflict, Forbidden, Invalid, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.artifacts import (
    Artifact,
    DeleteArtifact,
    ListArtifacts,
    ShowArtifact,
    begin_artifact,
    begin_part,
    begin_parts,
    delete_artifact,
    drop_parts,
    end_artifact,
    end_parts,
    files_of,
    list_artifacts,
    open_artifact,
    show_artifact,
)

pytestmark = pytest.mark.each_database


def _put(workspace: Workspace, me: Actor, path: str, *pieces: bytes) -> Artifact:
    with begin_artifact(workspace, me, path) as upload:
        for piece in pieces:
            upload.write(piece)
        return end_artifact(workspace, me, path, upload)


def test_a_file_is_written_in_pieces_listed_and_deleted(workspace: Workspace, me: Actor) -> None:
    kept = _put(workspace, me, "1/r/artifacts/m/model.bin", b"abc", b"def")
    assert (kept.size, kept.digest) == (6, digest_bytes(b"abcdef"))
    assert show_artifact(workspace, me, ShowArtifact(path=kept.path)) == kept
    assert open_artifact(workspace, me, kept.path).read_bytes() == b"abcdef"
    _put(workspace, me, "1/r/artifacts/a.txt", b"")
    _put(workspace, me, "1/r/artifacts/a.txt", b"again")
    listed = list_artifacts(workspace, me, ListArtifacts(path="1/r/artifacts"))
    assert [(one.path, one.folder, one.size) for one in listed] == [
        ("1/r/artifacts/a.txt", False, 5),
        ("1/r/artifacts/m", True, None),
    ]
    assert list_artifacts(workspace, me, ListArtifacts(path="1/none")) == []
    delete_artifact(workspace, me, DeleteArtifact(path="1/r/artifacts/m"))
    assert show_artifact(workspace, me, ShowArtifact(path=kept.path)) is None
    for gone in (kept.path, "1/r/artifacts"):
        with pytest.raises(NotFound):
            open_artifact(workspace, me, gone)
    with pytest.raises(NotFound):
        delete_artifact(workspace, me, DeleteArtifact(path="1/r/artifacts/m"))


def test_a_large_file_is_whole_and_its_digest_is_of_its_pieces_in_order(workspace: Workspace, me: Actor) -> None:
    # More than is flushed at once, in pieces of which some are worth a thread and some are not.
    sizes = [1 << 20, 1, 1 << 17, (1 << 17) - 1, 3 << 20] * 32
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    kept = _put(workspace, me, "1/large", *pieces)
    whole = b"".join(pieces)
    assert (kept.size, kept.digest) == (len(whole), digest_bytes(whole))
    assert open_artifact(workspace, me, "1/large").read_bytes() == whole


def test_many_files_that_are_written_at_once_are_kept_apart(workspace: Workspace, me: Actor) -> None:
    uploads = [begin_artifact(workspace, me, f"1/{number}") for number in range(12)]
    for turn in range(6):
        for number, upload in enumerate(uploads):
            upload.write(bytes([number, turn]) * (1 << 18))
    for number, upload in enumerate(uploads[:6]):
        wanted = b"".join(bytes([number, turn]) * (1 << 18) for turn in range(6))
        assert end_artifact(workspace, me, f"1/{number}", upload).digest == digest_bytes(wanted)
    for upload in uploads[6:]:
        upload.abandon()
    assert [one.path for one in list_artifacts(workspace, me, ListArtifacts(path="1"))] == [f"1/{n}" for n in range(6)]


def test_a_file_is_joined_of_its_parts(workspace: Workspace, me: Actor) -> None:
    files = files_of(workspace)
    key = files.begin_parts("1/large")
    for number, piece in ((2, b"def"), (1, b"x"), (1, b"abc")):
        with files.begin_part(key, number) as part:
            part.write(piece)
            assert part.keep() == digest_bytes(piece)
    with files.join_parts("1/large", key, [1, 2]) as upload:
        assert end_artifact(workspace, me, "1/large", upload).digest == digest_bytes(b"abcdef")
    with pytest.raises(NotFound):
        files.join_parts("1/large", key, [1, 3])
    files.drop_parts(key)
    for wrong in (key, "..", "../files"):
        with pytest.raises(NotFound, match="there is no upload"):
            files.begin_part(wrong, 1)
    assert open_artifact(workspace, me, "1/large").read_bytes() == b"abcdef"
    assert not list((workspace.root / "artifacts" / "new").iterdir())


def test_a_file_that_is_not_ended_is_never_seen(workspace: Workspace, me: Actor) -> None:
    with begin_artifact(workspace, me, "1/a") as upload:
        upload.write(b"half")
    assert list_artifacts(workspace, me, ListArtifacts(path="1")) == []
    assert not [file for _, _, files in os.walk(workspace.root / "artifacts") for file in files]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../../b",
        "a//b",
        "a/./b",
        "a/",
        "a\0b",
        "..",
        ".",
        "x" * 300,
        "a/" * 3000,
    ],
)
def test_no_name_leads_out(workspace: Workspace, me: Actor, path: str) -> None:
    with pytest.raises(Invalid):
        _put(workspace, me, path, b"x")
    with pytest.raises((Invalid, NotFound)):
        open_artifact(workspace, me, path)
    with pytest.raises((Invalid, NotFound)):
        delete_artifact(workspace, me, DeleteArtifact(path=path))


def test_no_link_is_followed(workspace: Workspace, me: Actor, tmp_path: Path) -> None:
    _put(workspace, me, "1/a", b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (workspace.root / "artifacts" / "files" / "1" / "out").symlink_to(tmp_path / "outside")
    for path in ("1/out/secret", "1/out"):
        with pytest.raises(Invalid, match="link"):
            open_artifact(workspace, me, path)
        with pytest.raises(Invalid, match="link"):
            _put(workspace, me, path, b"x")
        with pytest.raises(Invalid, match="link"):
            delete_artifact(workspace, me, DeleteArtifact(path=path))
    assert [one.path for one in list_artifacts(workspace, me, ListArtifacts(path="1"))] == ["1/a"]


def test_a_file_is_no_folder_and_a_folder_no_file(workspace: Workspace, me: Actor) -> None:
    _put(workspace, me, "1/a/b", b"x")
    for path in ("1/a", "1/a/b/c"):
        with pytest.raises(Conflict):
            _put(workspace, me, path, b"x")


def test_who_may_not_can_neither_write_nor_read(workspace: Workspace, me: Actor) -> None:
    _put(workspace, me, "1/a", b"x")
    nobody = Actor(name="eve", origin="api", permissions=frozenset())
    with pytest.raises(Forbidden):
        begin_artifact(workspace, nobody, "1/b")
    key = begin_parts(workspace, me, "1/b")
    for refused in (
        lambda: begin_parts(workspace, nobody, "1/b"),
        lambda: begin_part(workspace, nobody, key, 1),
        lambda: end_parts(workspace, nobody, "1/b", key, {}),
        lambda: drop_parts(workspace, nobody, key),
    ):
        with pytest.raises(Forbidden):
            refused()
    drop_parts(workspace, me, key)
    with pytest.raises(Forbidden):
        open_artifact(workspace, nobody, "1/a")
