"""Copying files of runs and logged models, in pieces, digested on the way."""

import shutil
import time
from collections.abc import Sequence

from kept.app.importing.report import Findings
from kept.app.importing.source import FoundFile, Holder, Source
from kept.app.importing.verifying import Checks
from kept.core.errors import KeptError, Unavailable
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.tracking.artifacts import Artifact, ShowArtifact, begin_artifact, show_artifact
from kept.tracking.imported import ImportedFile, ImportFiles
from kept.tracking.importing import import_files
from kept.tracking.location import ROOT

_AT_ONCE = 100
# So much is left free for all else where nobody says how large a file is.
_SPARE = 1 << 30
_TRIES, _NAP_SECONDS = 3, 1.0


class Copying:
    """Copies what is not here yet.

    Args:
        thorough: whether also what is here is read again and compared.
    """

    def __init__(
        self, source: Source, workspace: Workspace, actor: Actor, findings: Findings, *, thorough: bool
    ) -> None:
        self._source = source
        self._workspace = workspace
        self._actor = actor
        self._findings = findings
        self._thorough = thorough
        self._checks = Checks(workspace, findings)

    def files(self, holder: Holder, place: str, files: Sequence[FoundFile]) -> None:
        """Copies the files of a run or logged model to the address `place`; what can not be copied is left out."""
        written: list[ImportedFile] = []
        for file in files:
            self._findings["files"].found += 1
            path = f"{place.removeprefix(ROOT).strip('/')}/{file.path}"
            name = f"{holder.id}: {file.path}"
            held = show_artifact(self._workspace, self._actor, ShowArtifact(path=path))
            if held is not None and self._is_same(held, file):
                self._findings["files"].already += 1
                continue
            try:
                done = self._tried(holder, file, path)
            except Unavailable:
                if not self._source.local:
                    self._note(written)
                    raise
                self._findings.leave_out("files", "they cannot be read or written", name)
                continue
            except KeptError as error:
                self._findings.leave_out("files", error.what, name)
                continue
            self._checks.file(path, file.size, done.size, done.digest, name)
            tally = self._findings["files"]
            tally.new += held is None
            tally.already += held is not None and held.digest == done.digest
            tally.changed += held is not None and held.digest != done.digest
            written.append(done)
            if len(written) >= _AT_ONCE:
                self._note(written)
        self._note(written)

    def _is_same(self, held: Artifact, file: FoundFile) -> bool:
        if self._thorough or file.size is None or file.size != held.size:
            return False
        return file.modified is None or file.modified < held.at

    def _tried(self, holder: Holder, file: FoundFile, path: str) -> ImportedFile:
        for turn in range(_TRIES):
            try:
                return self._copied(holder, file, path)
            except Unavailable:
                if self._source.local or turn == _TRIES - 1:
                    raise
                time.sleep(_NAP_SECONDS * 2**turn)
        raise AssertionError

    def _copied(self, holder: Holder, file: FoundFile, path: str) -> ImportedFile:
        if (file.size or 0) > shutil.disk_usage(self._workspace.root).free:
            raise KeptError("larger than the space that is free")
        with begin_artifact(self._workspace, self._actor, path) as upload:
            for piece in self._source.pieces(holder, file):
                upload.write(piece)
                self._check_size(file, upload.size)
            digest = upload.keep()
            size = upload.size
        self._findings.bytes_brought += size
        return ImportedFile(path=path, size=size, digest=digest)

    def _check_size(self, file: FoundFile, size: int) -> None:
        """Stops a server that sends more than it said, or without an end; a file of this machine may grow."""
        if self._source.local:
            return
        if file.size is not None and size > file.size:
            raise KeptError("larger than the server says that it is")
        if file.size is None and shutil.disk_usage(self._workspace.root).free < _SPARE:
            raise KeptError("larger than the space that is free")

    def _note(self, written: list[ImportedFile]) -> None:
        if written:
            import_files(self._workspace, self._actor, ImportFiles(source=self._source.address, files=list(written)))
            written.clear()
