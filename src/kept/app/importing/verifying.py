"""Reading back what was brought, and holding it against what the source told."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from kept.app.importing.fingerprints import Marks, marks_of, marks_of_rows, missing
from kept.app.importing.report import Findings
from kept.core.digests import digest_file
from kept.governance.workspace import Workspace
from kept.registry.imported import ImportedRegisteredModel
from kept.registry.records.registered import model_by_name, registered_by_number
from kept.tracking.artifacts import files_of
from kept.tracking.imported import ImportedModel, ImportedRun, Series
from kept.tracking.importing import model_here, points_here, runs_here
from kept.tracking.names import PARENT_TAG


class Checks:
    """Checks batch by batch, and notes what it finds."""

    def __init__(self, workspace: Workspace, findings: Findings) -> None:
        self._workspace = workspace
        self._findings = findings
        self._wanted: dict[tuple[str, str], list[Marks]] = defaultdict(list)

    def expect(self, series: Series) -> None:
        """Remembers points, eight bytes each, until their metric is checked."""
        self._wanted[series.run, series.name].append(marks_of(series.at, series.step, series.value))

    def points(self, run: str, local: str) -> bool:
        """Whether all points of a run that were expected are here; they are forgotten then."""
        right = True
        for key in [key for key in self._wanted if key[0] == run]:
            right &= self.metric(key[1], run, local)
        return right

    def metrics_of(self, run: str) -> list[str]:
        """The metrics of a run whose points are expected."""
        return [name for owner, name in self._wanted if owner == run]

    def metric(self, name: str, run: str, local: str) -> bool:
        """Whether all points of a metric that were expected are here; they are forgotten then."""
        wanted = self._wanted.pop((run, name))
        held = [marks_of_rows(rows) for rows in points_here(self._workspace, local, name)]
        count, absent = missing(wanted, held)
        self._findings["points"].found += count
        self._findings["points"].verified += count - absent
        if absent:
            self._findings.differs("points", "they are not here", f"{run}: {name}", absent)
        return not absent

    def runs(self, runs: Sequence[ImportedRun], local: dict[str, str]) -> set[str]:
        """Which of these runs are here as they were told."""
        held = runs_here(self._workspace, [local[one.id] for one in runs])
        right: set[str] = set()
        for one in runs:
            wrong = _differences(one, held.get(local[one.id]))
            if wrong:
                self._findings.differs("runs", "not as in the source: " + ", ".join(wrong), one.id)
            else:
                self._findings["runs"].verified += 1
                right.add(one.id)
        return right

    def model(self, model: ImportedModel, local: str) -> bool:
        """Whether a logged model is here as it was told."""
        held = model_here(self._workspace, local)
        if held is None:
            self._findings.differs("logged models", "it is not here", model.id)
            return False
        here = {(one.run, one.point.name, one.point.at, one.point.step) for one in held.metrics}
        names = {(two.point.name, two.point.at, two.point.step) for two in model.points}
        checks = {
            "name": held.name == model.name,
            "status": (held.status, held.lifecycle) == (model.status, model.lifecycle),
            "tags": model.tags.items() <= held.tags.items(),
            "parameters": model.params.items() <= held.params.items(),
            "points": names <= {one[1:] for one in here},
        }
        wrong = [name for name, holds in checks.items() if not holds]
        if wrong:
            self._findings.differs("logged models", "not as in the source: " + ", ".join(wrong), model.id)
        else:
            self._findings["logged models"].verified += 1
        return not wrong

    def file(self, path: str, size: int | None, read: int, digest: str, name: str) -> bool:
        """Whether a file is on the disk as it was read, and was read to its end."""
        if size is not None and size != read:
            self._findings.differs("files", "they changed while they were read; run the import again", name)
            return False
        if digest_file(files_of(self._workspace).locate(path)) != digest:
            self._findings.differs("files", "their digest is another", name)
            return False
        self._findings["files"].verified += 1
        return True

    def registered(self, model: ImportedRegisteredModel, numbers: dict[int, int]) -> None:
        """Notes whether a registered model and its versions are here."""
        with self._workspace.database.reading() as connection:
            held = model_by_name(connection, model.name)
            if held is None:
                self._findings.differs("registered models", "it is not here", model.name)
                return
            self._findings["registered models"].verified += 1
            for one in model.versions:
                version = registered_by_number(connection, model.name, numbers[one.number])
                if version is None or version.stage is not one.stage or not one.tags.items() <= version.tags.items():
                    why = "it is not here, or was changed here"
                    self._findings.differs("versions", why, f"{model.name} {one.number}")
                else:
                    self._findings["versions"].verified += 1


def _differences(one: ImportedRun, held: ImportedRun | None) -> list[str]:
    if held is None:
        return ["it is not here"]
    # What was put to a run here since stays; a parent may be called otherwise here.
    tags = {name: value for name, value in one.tags.items() if name != PARENT_TAG}
    checks = {
        "name": not one.name or held.name == one.name,
        "user": held.user == one.user,
        "status": (held.status, held.lifecycle) == (one.status, one.lifecycle),
        "times": (held.started_at, held.ended_at) == (one.started_at, one.ended_at),
        "tags": tags.items() <= held.tags.items(),
        "parameters": one.params.items() <= held.params.items(),
        "datasets": _bytes(one.datasets) <= _bytes(held.datasets),
        "models": len(set(one.model_inputs)) <= len(held.model_inputs) and len(one.outputs) <= len(held.outputs),
    }
    return [name for name, holds in checks.items() if not holds]


def _bytes(facts: Sequence[msgspec.Struct]) -> set[bytes]:
    return {msgspec.json.encode(one, order="deterministic") for one in facts}
