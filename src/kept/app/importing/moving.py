"""Importing all that a source holds: in large batches, each verified once it is here, resumable where it was stopped.

What is here whole is marked with what it was in the source; what is marked and has not changed is not read again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from kept.app.importing.addresses import Addresses
from kept.app.importing.copying import Copying
from kept.app.importing.report import Findings, ImportReport
from kept.app.importing.source import FoundFile, Holder, Source, Totals
from kept.app.importing.verifying import Checks
from kept.core.digests import digest_json
from kept.core.errors import KeptError, NotFound
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.registry.imported import ImportedRegisteredModel, ImportedVersion, ImportRegisteredModel, check_registered
from kept.registry.importing import REGISTERED, import_registered_model
from kept.tracking.imported import (
    ImportedExperiment,
    ImportedModel,
    ImportedRun,
    ImportExperiments,
    ImportModels,
    ImportRuns,
    Known,
    ListImported,
    Series,
    SettleImport,
    check_experiment,
    check_model,
    check_run,
    check_texts,
)
from kept.tracking.importing import (
    EXPERIMENT,
    MODEL,
    RUN,
    import_experiments,
    import_models,
    import_runs,
    list_imported,
    model_location,
    run_location,
    settle_import,
)

Thing = TypeVar("Thing")
_MOST_POINTS, _MOST_RUNS, _MOST_MODELS = 100_000, 500, 100


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is."""

    now: str
    totals: Totals
    runs: int
    points: int
    files: int
    bytes_brought: int


@dataclass
class _Begun:
    """A run that is being brought."""

    run: ImportedRun
    holder: Holder
    files: list[FoundFile] | None
    """None: they could not be found, and stay where they are."""
    mark: str
    whole: bool = True


@dataclass
class _Batch:
    """What goes into the next transaction."""

    runs: list[ImportedRun] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    points: int = 0
    finished: list[_Begun] = field(default_factory=list)
    changed: int = 0
    """How many of the runs were here whole, and are otherwise in the source by now."""


class Import:
    """One import.

    Args:
        workspace: where to; None for a rehearsal where there is no workspace yet.
        rehearse: read everything but the bytes of files, and write nothing.
        thorough: trust no mark: read and compare everything again.
        follow: is told how far it is.
    """

    def __init__(
        self,
        source: Source,
        workspace: Workspace | None,
        actor: Actor,
        findings: Findings,
        *,
        rehearse: bool = False,
        thorough: bool = False,
        follow: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._workspace = None if rehearse else workspace
        self._actor = actor
        self._findings = findings
        self._rehearse = rehearse
        self._thorough = thorough
        self._follow = follow
        self._known: dict[tuple[str, str], Known] = {}
        self._addresses = Addresses()
        self._batch = _Batch()
        self._totals = Totals()
        if workspace is not None:
            for one in list_imported(workspace, actor, ListImported(source=source.address)):
                self._known[one.kind, one.foreign] = one
        if self._workspace is not None:
            self._checks = Checks(self._workspace, findings)
            self._copying = Copying(source, self._workspace, actor, findings, thorough=thorough)

    def run(self) -> ImportReport:
        """Does it; what is here already when it is stopped stays, and the next import goes on from there.

        Raises:
            Unavailable: the source or the workspace can not be reached any more.
        """
        begun = time.monotonic()
        self._tell("looking")
        self._totals = self._source.totals()
        registered = list(self._source.registered_models())
        self._addresses.expect(registered)
        for experiment in self._experiments():
            self._models(experiment)
            self._runs(experiment)
        for model in registered:
            self._tell("registered models")
            self._registered(model)
        self._source.count_left_out()
        tally = self._findings["points"]
        if not self._rehearse:
            tally.already = max(0, tally.found - tally.new)
        seconds = time.monotonic() - begun
        return self._findings.report(self._source.address, dry_run=self._rehearse, seconds=seconds)

    def _experiments(self) -> list[ImportedExperiment]:
        found, marks = [], {}
        tally = self._findings["experiments"]
        for one in self._source.experiments():
            tally.found += 1
            if self._fits("experiments", one.id, check_experiment, one):
                found.append(one)
                marks[one.id] = digest_json(one)
        new = [one for one in found if not self._is_here(EXPERIMENT, one.id, marks[one.id])]
        tally.already += len(found) - len(new)
        if self._workspace is None or not new:
            tally.new += len(new)
            return found
        request = ImportExperiments(source=self._source.address, experiments=new)
        answer = import_experiments(self._workspace, self._actor, request)
        tally.new += answer.new
        changed = sum(self._has_changed(EXPERIMENT, one.id, marks[one.id]) for one in new)
        tally.changed += changed
        tally.already += len(new) - answer.new - changed
        tally.verified += len(answer.local)
        self._settle(
            [Known(kind=EXPERIMENT, foreign=one.id, local=answer.local[one.id], mark=marks[one.id]) for one in new]
        )
        return found

    def _runs(self, experiment: ImportedExperiment) -> None:
        for run in self._source.runs(experiment.id):
            self._findings["runs"].found += 1
            self._tell(experiment.name)
            if self._fits("runs", run.id, check_run, run):
                self._one_run(run)
        self._flush()

    def _one_run(self, run: ImportedRun) -> None:
        holder = Holder(kind="run", id=run.id, experiment=run.experiment, location=run.location)
        evidence = self._source.evidence(run)
        files, why = self._listed(holder) if self._source.local else (None, "")
        # What is left out of a listing that costs little is told again each time: it need not be read anew for that.
        lost = self._findings.lost
        mark = digest_json([run, evidence, files, why])
        same = self._is_here(RUN, run.id, mark)
        self._findings["runs"].already += same
        if same and not self._source.may_hide(run):
            self._addresses.put(run.id, run.location, "" if why else self._place(RUN, run.id, run.experiment))
            return
        if not self._source.local:
            files, why = self._listed(holder)
        run = msgspec.structs.replace(run, stays=files is None)
        begun = _Begun(run=run, holder=holder, files=files, mark=mark)
        if not same:
            self._batch.runs.append(run)
            self._batch.changed += self._has_changed(RUN, run.id, mark)
        earlier = self._known.get((RUN, run.id))
        done: list[str] = []
        name = ""
        for series in self._source.series(run, earlier.cursor if earlier and not earlier.mark else ""):
            if series.name != name:
                done += [name] if name else []
                name = series.name
            if self._fits("points", f"{run.id}: {series.name!r}", _check_series, series):
                self._add(series)
            if self._batch.points >= _MOST_POINTS:
                self._flush(begun, done)
        begun.whole &= self._findings.lost == lost
        self._batch.finished.append(begun)
        if len(self._batch.finished) >= _MOST_RUNS or self._batch.points >= _MOST_POINTS:
            self._flush()

    def _add(self, series: Series) -> None:
        self._batch.points += len(series.at)
        if self._workspace is None:
            self._findings["points"].found += len(series.at)
            self._findings["points"].new += len(series.at) * ((RUN, series.run) not in self._known)
            return
        self._batch.series.append(series)
        self._checks.expect(series)

    def _flush(self, unfinished: _Begun | None = None, done: list[str] | None = None) -> None:
        """Writes the batch and checks it; `done` are the metrics of the unfinished run that are in it whole."""
        batch, self._batch = self._batch, _Batch()
        if self._workspace is None:
            for one in batch.finished:
                before = (RUN, one.run.id) in self._known
                self._findings["runs"].already += before and one.run in batch.runs
                self._findings["runs"].new += not before
                self._findings["files"].found += len(one.files or ())
                self._findings["files"].new += len(one.files or ()) * (not before)
            self._findings["runs"].changed += batch.changed
            self._findings["runs"].already -= batch.changed
            return
        if not batch.finished and not batch.series:
            return
        request = ImportRuns(source=self._source.address, runs=batch.runs, series=batch.series)
        answer = import_runs(self._workspace, self._actor, request)
        known = {one.run.id: self._known.get((RUN, one.run.id)) for one in batch.finished}
        local = {name: one.local for name, one in known.items() if one is not None} | answer.local
        tally = self._findings["runs"]
        tally.new += answer.new
        tally.changed += batch.changed
        tally.already += answer.matched + answer.changed - batch.changed
        self._findings["points"].new += answer.points
        right = self._checks.runs(batch.runs, local)
        heads = {run.id for run in batch.runs}
        wrong = heads - right
        complete = self._checks.points({one.run.id: local[one.run.id] for one in batch.finished})
        settled = [self._finish(one, local, one.run.id in complete - wrong) for one in batch.finished]
        if unfinished is not None:
            settled.append(self._half(unfinished, local, done or [], unfinished.run.id not in wrong))
        self._settle(settled)
        self._tell("")

    def _finish(self, one: _Begun, local: dict[str, str], right: bool) -> Known:
        """Brings the files of a run; the run with its mark when nothing is missing."""
        run, here = one.run, local[one.run.id]
        if here != run.id:
            self._findings.note("runs", "another run has the id: it is called otherwise here", f"{run.id} is {here}")
        right &= one.whole
        place = run_location(self._known[EXPERIMENT, run.experiment].local, here)
        lost = self._findings.lost
        self._copying.files(one.holder, place, one.files or [])
        right &= self._findings.lost == lost
        self._addresses.put(run.id, run.location, "" if one.files is None else place)
        return Known(kind=RUN, foreign=run.id, local=here, mark=one.mark if right else "")

    def _half(self, one: _Begun, local: dict[str, str], done: list[str], right: bool) -> Known:
        """Checks the metrics of a run that are here whole; the run with how far it is."""
        here = local[one.run.id]
        one.whole &= right
        for name in self._checks.metrics_of(one.run.id):
            if name in done:
                one.whole &= self._checks.metric(name, one.run.id, here)
        earlier = self._known.get((RUN, one.run.id))
        before = earlier.cursor if earlier and not earlier.mark else ""
        return Known(kind=RUN, foreign=one.run.id, local=here, cursor=max(done) if done and one.whole else before)

    def _models(self, experiment: ImportedExperiment) -> None:
        waiting: list[ImportedModel] = []
        for model in self._source.models(experiment.id):
            self._findings["logged models"].found += 1
            if self._fits("logged models", model.id, check_model, model):
                waiting.append(model)
            if len(waiting) >= _MOST_MODELS:
                self._some_models(waiting)
                waiting = []
        self._some_models(waiting)

    def _some_models(self, models: list[ImportedModel]) -> None:
        tally = self._findings["logged models"]
        begun: list[tuple[ImportedModel, Holder, list[FoundFile] | None, str]] = []
        for model in models:
            holder = Holder(kind=MODEL, id=model.id, experiment=model.experiment, location=model.location)
            # A model is put down once: one that is ready does not change.
            files, why = self._listed(holder) if self._source.local else (None, "")
            mark = digest_json([model, files, why])
            if self._is_here(MODEL, model.id, mark):
                tally.already += 1
                self._addresses.put(
                    model.id, model.location, "" if why else self._place(MODEL, model.id, model.experiment)
                )
                continue
            if not self._source.local:
                files, _ = self._listed(holder)
            begun.append((msgspec.structs.replace(model, stays=files is None), holder, files, mark))
        if self._workspace is None or not begun:
            for model, _, found, mark in begun:
                self._rehearsed(model, found or [], mark)
            return
        request = ImportModels(source=self._source.address, models=[one[0] for one in begun])
        answer = import_models(self._workspace, self._actor, request)
        changed = sum(self._has_changed(MODEL, model.id, mark) for model, _, _, mark in begun)
        tally.new += answer.new
        tally.changed += changed
        tally.already += len(begun) - answer.new - changed
        settled = []
        for model, holder, files, mark in begun:
            local = answer.local[model.id]
            lost = self._findings.lost
            self._checks.model(model, local)
            place = model_location(self._known[EXPERIMENT, model.experiment].local, local)
            self._copying.files(holder, place, files or [])
            self._addresses.put(model.id, model.location, "" if files is None else place)
            right = self._findings.lost == lost and (files is not None or self._source.local)
            settled.append(Known(kind=MODEL, foreign=model.id, local=local, mark=mark if right else ""))
        self._settle(settled)

    def _rehearsed(self, model: ImportedModel, found: list[FoundFile], mark: str) -> None:
        tally, files = self._findings["logged models"], self._findings["files"]
        before = (MODEL, model.id) in self._known
        changed = self._has_changed(MODEL, model.id, mark)
        tally.new += not before
        tally.changed += changed
        tally.already += before and not changed
        files.found += len(found)
        files.new += 0 if before else len(found)

    def _registered(self, model: ImportedRegisteredModel) -> None:
        tally, versions = self._findings["registered models"], self._findings["versions"]
        tally.found += 1
        versions.found += len(model.versions)
        if not self._fits("registered models", model.name, check_registered, model):
            return
        if self._workspace is None:
            here = (REGISTERED, model.name) in self._known
            tally.new += not here
            versions.new += 0 if here else len(model.versions)
            return
        model = msgspec.structs.replace(
            model, versions=[self._version(model, place) for place in range(len(model.versions))]
        )
        mark = digest_json(model)
        if self._is_here(REGISTERED, model.name, mark):
            tally.already += 1
            versions.already += len(model.versions)
            return
        request = ImportRegisteredModel(source=self._source.address, model=model, mark=mark)
        answer = import_registered_model(self._workspace, self._actor, request)
        changed = self._has_changed(REGISTERED, model.name, mark)
        tally.new += answer.new
        tally.changed += changed
        tally.already += not answer.new and not changed
        versions.new += answer.new_versions
        versions.already += len(model.versions) - answer.new_versions
        self._checks.registered(model, answer.numbers)
        for there, here_number in answer.numbers.items():
            if there != here_number:
                why = "another version has the number: it has another here"
                self._findings.note("versions", why, f"{model.name} {there} is {here_number}")
        for alias in answer.taken_aliases:
            self._findings.note("aliases", "it points to another version here, and was left", f"{model.name}@{alias}")

    def _version(self, model: ImportedRegisteredModel, place: int) -> ImportedVersion:
        version, found = self._addresses.followed(model.versions[place])
        if not found:
            why = "not those of a run or logged model that was brought; they stay where they are"
            self._findings.leave_out("files of versions", why, f"{model.name} {version.number}: {version.location}")
        return version

    def _listed(self, holder: Holder) -> tuple[list[FoundFile] | None, str]:
        """The files, or None with the reason when they can not be read."""
        try:
            return list(self._source.files(holder)), ""
        except NotFound as error:
            what = "files of runs" if holder.kind == "run" else "files of logged models"
            self._findings.leave_out(what, error.what, f"{holder.id}: {holder.location}")
            return None, error.what

    def _place(self, kind: str, foreign: str, experiment: str) -> str:
        home = self._known[EXPERIMENT, experiment].local
        local = self._known[kind, foreign].local
        return run_location(home, local) if kind == RUN else model_location(home, local)

    def _is_here(self, kind: str, foreign: str, mark: str) -> bool:
        known = self._known.get((kind, foreign))
        return known is not None and known.mark == mark and not self._thorough

    def _has_changed(self, kind: str, foreign: str, mark: str) -> bool:
        known = self._known.get((kind, foreign))
        # Without a mark it was brought in part: it goes on, and nothing is known to be otherwise.
        return known is not None and bool(known.mark) and known.mark != mark

    def _fits(self, what: str, name: str, check: Callable[[Thing], None], thing: Thing) -> bool:
        """Whether a thing can be kept; it is left out otherwise."""
        try:
            check(thing)
        except KeptError as error:
            self._findings.leave_out(what, error.what, name)
            return False
        return True

    def _settle(self, things: list[Known]) -> None:
        if things and self._workspace is not None:
            settle_import(self._workspace, self._actor, SettleImport(source=self._source.address, things=things))
            self._known |= {(one.kind, one.foreign): one for one in things}

    def _tell(self, now: str) -> None:
        tallies = self._findings
        self._follow(
            Progress(
                now=now,
                totals=self._totals,
                runs=tallies["runs"].found,
                points=tallies["points"].found,
                files=tallies["files"].found,
                bytes_brought=tallies.bytes_brought,
            )
        )


def _check_series(series: Series) -> None:
    check_texts(f"run {series.run}", {series.name: ""})
