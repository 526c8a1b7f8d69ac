"""Verifying an import: what was brought is read back and compared with the source."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

import msgspec
import numpy as np

from kept.app.importing.fingerprints import Marks, marks_of, missing, seed_of
from kept.app.importing.report import Findings
from kept.core.digests import digest_file
from kept.governance.workspace import Workspace
from kept.registry.imported import ImportedRegisteredModel
from kept.registry.records.registered import model_by_name, registered_by_number
from kept.tracking.artifacts import files_of
from kept.tracking.imported import ImportedModel, ImportedRun, Series
from kept.tracking.importing import model_here, points_here, runs_here
from kept.tracking.names import PARENT_TAG

_AT_ONCE, _RUNS_AT_ONCE = 200_000, 200


class Checks:
    """Checks batch by batch, and notes what it finds."""

    def __init__(self, workspace: Workspace, findings: Findings) -> None:
        self._workspace = workspace
        self._findings = findings
        self._new: list[Series] = []
        self._wanted: dict[str, dict[str, list[Marks]]] = defaultdict(dict)

    def expect(self, series: Series) -> None:
        """Remembers points until they are checked: eight bytes each, once they are written."""
        self._new.append(series)

    def points(self, runs: Mapping[str, str]) -> set[str]:
        """Which of these runs have all points that were expected; they are forgotten then. Ids there and here."""
        self._gather()
        right: set[str] = set()
        some: dict[str, str] = {}
        size = 0
        for run, local in runs.items():
            some[run] = local
            size += sum(len(marks) for pieces in self._wanted.get(run, {}).values() for marks in pieces)
            if size >= _AT_ONCE or len(some) >= _RUNS_AT_ONCE:
                right |= self._compared(some)
                some, size = {}, 0
        return right | self._compared(some)

    def metrics_of(self, run: str) -> list[str]:
        """The metrics of a run whose points are expected."""
        self._gather()
        return list(self._wanted.get(run, {}))

    def metric(self, name: str, run: str, local: str) -> bool:
        """Whether all points of a metric that were expected are here; they are forgotten then."""
        wanted = self._wanted[run].pop(name)
        return self._count(run, *missing(wanted, self._held({run: local}, name)))

    def _gather(self) -> None:
        """Takes the fingerprints of all that is new at once: arrays cost little, many small ones much."""
        new, self._new = self._new, []
        if not new:
            return
        sizes = [len(one.at) for one in new]
        seeds = np.repeat(np.array([seed_of(one.run, one.name) for one in new], dtype=np.uint64), sizes)
        columns = [
            list(chain.from_iterable(part))
            for part in zip(*((one.at, one.step, one.value) for one in new), strict=True)
        ]
        marks = marks_of(seeds, *columns)
        for one, mine in zip(new, np.split(marks, np.cumsum(sizes)[:-1]), strict=True):
            self._wanted[one.run].setdefault(one.name, []).append(mine)

    def _compared(self, runs: Mapping[str, str]) -> set[str]:
        wanted = {run: [marks for pieces in self._wanted.get(run, {}).values() for marks in pieces] for run in runs}
        count, absent = missing([marks for mine in wanted.values() for marks in mine], self._held(runs))
        if absent and len(runs) > 1:
            # Something is missing: now it is worth the time to say of which run.
            return set().union(*(self._compared({run: local}) for run, local in runs.items()))
        for run in runs:
            self._wanted.pop(run, None)
        return set(runs) if self._count(", ".join(runs), count, absent) else set()

    def _held(self, runs: Mapping[str, str], name: str | None = None) -> list[Marks]:
        there = {local: run for run, local in runs.items()}
        seeds: dict[tuple[str, str], int] = {}
        found: list[Marks] = []
        for ids, names, *columns in points_here(self._workspace, list(there), name):
            keys = list(zip(ids, names, strict=True))
            for key in dict.fromkeys(keys):
                seeds.setdefault(key, seed_of(there[key[0]], key[1]))
            found.append(marks_of([seeds[key] for key in keys], *columns))
        return found

    def _count(self, run: str, count: int, absent: int) -> bool:
        self._findings["points"].found += count
        self._findings["points"].verified += count - absent
        if absent:
            self._findings.differs("points", "they are not here", run, absent)
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
            "name": model.name in {"", held.name},
            "status": held.lifecycle == model.lifecycle and (held.status == model.status or not model.name),
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
