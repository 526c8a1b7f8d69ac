"""A folder of MLflow's file store (`mlruns`), by the layout that its documentation and its own migration describe."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kept.app.importing.places import Places
from kept.app.importing.plain_files import folders, named_files, opened, read_meta, read_text
from kept.app.importing.report import Findings
from kept.app.importing.source import FoundFile, Holder, Source, Totals
from kept.app.importing.words import (
    DELETED_STAGE,
    NO_PLACE,
    PROMPT_TAG,
    lifecycle,
    model_status,
    run_status,
    stage,
    text,
)
from kept.core.digests import digest_json
from kept.core.errors import Invalid, KeptError
from kept.registry.imported import ImportedRegisteredModel, ImportedVersion
from kept.tracking.imported import (
    LARGEST_INTEGER,
    ImportedExperiment,
    ImportedModel,
    ImportedRun,
    Series,
    moment,
    moment_at,
)
from kept.tracking.points import Dataset, DatasetInput, ModelOutput, Point, RunPoint

_TRASH, _MODELS, _VERSION = ".trash", "models", "version-"
_RESERVED = {"tags", "datasets", "traces", _MODELS, _TRASH}
_PIECE = 50_000
_LONGEST_LINE = 4_096


class FolderSource:
    """Reads a file store. Only plain files below the folder are read."""

    local = True

    def __init__(self, root: Path, places: Places, findings: Findings) -> None:
        self._root = root.resolve()
        self._places = places
        self._findings = findings
        self.address = self._root.as_uri()

    def totals(self) -> Totals:
        """Runs are counted by their folders."""
        return Totals(runs=sum(len(_run_folders(one)) for one in self._experiment_folders()))

    def experiments(self) -> Iterator[ImportedExperiment]:
        """All experiments, those in the trash too."""
        for folder in self._experiment_folders():
            try:
                meta = read_meta(folder)
                _expect_name(folder, meta.get("experiment_id"))
                yield ImportedExperiment(
                    id=folder.name,
                    name=text(meta.get("name")),
                    lifecycle=lifecycle(meta.get("lifecycle_stage")),
                    tags=self._texts(folder / "tags", "experiment tags"),
                    created_at=moment(meta.get("creation_time"), where=str(folder)),
                    updated_at=moment(meta.get("last_update_time"), where=str(folder)),
                )
            except KeptError as error:
                self._findings.leave_out("experiments", "with all that is in them: " + _why(error), folder.name)

    def runs(self, experiment: str) -> Iterator[ImportedRun]:
        """All runs of an experiment."""
        for folder in _run_folders(self._experiment(experiment)):
            try:
                yield self._run(folder, experiment)
            except KeptError as error:
                self._findings.leave_out("runs", _why(error), folder.name)

    def evidence(self, run: ImportedRun) -> str:
        """Sizes and times of the files of points."""
        folder = self._experiment(run.experiment) / run.id / "metrics"
        known = [(name, path.lstat()) for name, path in named_files(folder)]
        return digest_json([(name, one.st_size, one.st_mtime_ns) for name, one in known])

    def may_hide(self, run: ImportedRun) -> bool:
        """They do not: a file that grows is seen."""
        del run
        return False

    def series(self, run: ImportedRun, after: str) -> Iterator[Series]:
        """Points of the run, a file a metric."""
        folder = self._experiment(run.experiment) / run.id / "metrics"
        for name, path in sorted(named_files(folder)):
            if name > after:
                yield from self._points(run.id, name, path)

    def models(self, experiment: str) -> Iterator[ImportedModel]:
        """All logged models of an experiment."""
        for folder in folders(self._experiment(experiment) / _MODELS):
            try:
                yield self._model(folder, experiment)
            except KeptError as error:
                self._findings.leave_out("logged models", _why(error), folder.name)

    def registered_models(self) -> Iterator[ImportedRegisteredModel]:
        """All registered models."""
        for folder in folders(self._root / _MODELS):
            try:
                tags = self._texts(folder / "tags", "tags of registered models")
                if tags.get(PROMPT_TAG) == "true":
                    self._findings.out_of_scope("prompts", NO_PLACE, 1)
                    continue
                yield self._registered(folder, tags)
            except KeptError as error:
                self._findings.leave_out("registered models", _why(error), folder.name)

    def files(self, holder: Holder) -> Iterator[FoundFile]:
        """All files of a run or logged model."""
        return self._places.files(holder)

    def pieces(self, holder: Holder, file: FoundFile) -> Iterator[bytes]:
        """The bytes of a file."""
        return self._places.pieces(holder, file)

    def count_left_out(self) -> None:
        """Counts traces."""
        traces = sum(len(folders(one / "traces")) for one in self._experiment_folders())
        self._findings.out_of_scope("traces", NO_PLACE, traces)

    def close(self) -> None:
        """Nothing is held."""

    def _experiment_folders(self) -> list[Path]:
        found = [one for one in folders(self._root) if one.name not in {_TRASH, _MODELS}]
        return [*found, *folders(self._root / _TRASH)]

    def _experiment(self, experiment: str) -> Path:
        kept, deleted = self._root / experiment, self._root / _TRASH / experiment
        return kept if kept.is_dir() else deleted

    def _run(self, folder: Path, experiment: str) -> ImportedRun:
        meta = read_meta(folder)
        _expect_name(folder, meta.get("run_id") or meta.get("run_uuid"))
        where = str(folder)
        return ImportedRun(
            id=folder.name,
            experiment=experiment,
            name=text(meta.get("run_name") or meta.get("name")),
            user=text(meta.get("user_id")),
            status=run_status(meta.get("status"), where=where),
            lifecycle=lifecycle(meta.get("lifecycle_stage")),
            started_at=moment(meta.get("start_time"), where=where),
            ended_at=moment(meta.get("end_time"), where=where),
            deleted_at=moment(meta.get("deleted_time"), where=where),
            tags=self._texts(folder / "tags", "tags of runs"),
            params=self._texts(folder / "params", "parameters of runs"),
            datasets=list(self._datasets(folder)),
            model_inputs=[text(one.get("source_id")) for one in self._metas(folder / "inputs", "MODEL")],
            outputs=list(self._outputs(folder)),
            location=text(meta.get("artifact_uri")),
        )

    def _datasets(self, folder: Path) -> Iterator[DatasetInput]:
        known = {one.name: one for one in folders(folder.parent / "datasets")}
        for read in self._metas(folder / "inputs", "DATASET"):
            found = known.get(text(read.get("source_id")))
            if found is None:
                self._findings.leave_out("inputs of runs", "the dataset is not there", folder.name)
                continue
            meta = read_meta(found)
            dataset = Dataset(
                name=text(meta.get("name")),
                digest=text(meta.get("digest")),
                source_type=text(meta.get("source_type")),
                source=text(meta.get("source")),
                schema=_maybe(meta.get("schema")),
                profile=_maybe(meta.get("profile")),
            )
            yield DatasetInput(dataset=dataset, tags=_texts_of(read.get("tags")))

    def _outputs(self, folder: Path) -> Iterator[ModelOutput]:
        for one in folders(folder / "outputs"):
            yield ModelOutput(model=one.name, step=_whole(read_meta(one).get("step"), str(one)))

    def _metas(self, folder: Path, kind: str) -> Iterator[dict[str, Any]]:
        for one in folders(folder):
            meta = read_meta(one)
            if meta.get("source_type") == kind:
                yield meta

    def _points(self, run: str, name: str, path: Path) -> Iterator[Series]:
        at: list[int] = []
        step: list[int] = []
        value: list[float] = []
        with opened(path) as stream:
            while line := stream.readline(_LONGEST_LINE):
                parts = line.split()
                try:
                    point = (int(parts[0]), float(parts[1]), int(parts[2]) if len(parts) > 2 else 0)
                except (ValueError, IndexError):
                    if parts:
                        self._findings.leave_out("points", "a line that is no point", f"{run}: {name}")
                    continue
                if max(abs(point[0]), abs(point[2])) > LARGEST_INTEGER:
                    self._findings.leave_out("points", "a number of more than 64 bits", f"{run}: {name}")
                    continue
                at.append(point[0])
                value.append(point[1])
                step.append(point[2])
                if len(at) >= _PIECE:
                    yield Series(run=run, name=name, at=at, step=step, value=value)
                    at, step, value = [], [], []
        if at:
            yield Series(run=run, name=name, at=at, step=step, value=value)

    def _model(self, folder: Path, experiment: str) -> ImportedModel:
        meta = read_meta(folder)
        _expect_name(folder, meta.get("model_id"))
        where = str(folder)
        created = moment_at(meta.get("creation_timestamp"), where=where)
        updated = moment(meta.get("last_updated_timestamp"), where=where)
        return ImportedModel(
            id=folder.name,
            experiment=experiment,
            name=text(meta.get("name")),
            run=_maybe(meta.get("source_run_id")),
            type=text(meta.get("model_type")),
            status=model_status(meta.get("status"), where=where),
            status_message=_maybe(meta.get("status_message")),
            lifecycle=lifecycle(meta.get("lifecycle_stage")),
            tags=self._texts(folder / "tags", "tags of logged models"),
            params=self._texts(folder / "params", "parameters of logged models"),
            points=list(self._model_points(folder)),
            created_at=created,
            updated_at=updated or created,
            location=text(meta.get("artifact_location") or meta.get("artifact_uri")),
        )

    def _model_points(self, folder: Path) -> Iterator[RunPoint]:
        for name, path in named_files(folder / "metrics"):
            with opened(path) as stream:
                while line := stream.readline(_LONGEST_LINE):
                    parts = line.decode(errors="replace").split(" ")
                    try:
                        at, value, step, run = int(parts[0]), float(parts[1]), int(parts[2]), parts[3].strip()
                    except (ValueError, IndexError):
                        self._findings.leave_out("points", "a line that is no point", f"{folder.name}: {name}")
                        continue
                    # The name of a dataset may have spaces in it; its digest has none.
                    dataset = " ".join(parts[4:-1]) or None
                    digest = parts[-1].strip() if len(parts) > 5 else None
                    point = Point(name=name, value=value, at=at, step=step, dataset_name=dataset, dataset_digest=digest)
                    yield RunPoint(run=run, point=point)

    def _registered(self, folder: Path, tags: dict[str, str]) -> ImportedRegisteredModel:
        meta = read_meta(folder)
        _expect_name(folder, meta.get("name"))
        aliases = self._texts(folder / "aliases", "aliases")
        created = moment_at(meta.get("creation_timestamp"), where=str(folder))
        versions = [one for one in folders(folder) if one.name.startswith(_VERSION)]
        return ImportedRegisteredModel(
            name=folder.name,
            description=text(meta.get("description")),
            tags=tags,
            aliases={alias: _whole(number.strip(), str(folder)) for alias, number in aliases.items()},
            versions=list(self._versions(versions)),
            highest=max((_whole(one.name.removeprefix(_VERSION), str(one)) for one in versions), default=0),
            created_at=created,
            updated_at=moment(meta.get("last_updated_timestamp"), where=str(folder)) or created,
        )

    def _versions(self, there: list[Path]) -> Iterator[ImportedVersion]:
        """The versions of these folders but the deleted ones, whose folders stay."""
        for one in there:
            meta = read_meta(one)
            if meta.get("current_stage") != DELETED_STAGE:
                yield self._version(one, meta)

    def _version(self, folder: Path, meta: Mapping[str, Any]) -> ImportedVersion:
        number = _whole(meta.get("version"), str(folder))
        _expect_name(folder, f"{_VERSION}{number}")
        created = moment_at(meta.get("creation_timestamp"), where=str(folder))
        return ImportedVersion(
            number=number,
            source=text(meta.get("source")),
            location=text(meta.get("storage_location")),
            run_id=_maybe(meta.get("run_id")),
            run_link=_maybe(meta.get("run_link")),
            logged_model=_maybe(meta.get("model_id")),
            description=text(meta.get("description")),
            stage=stage(meta.get("current_stage")),
            tags=self._texts(folder / "tags", "tags of versions"),
            created_at=created,
            updated_at=moment(meta.get("last_updated_timestamp"), where=str(folder)) or created,
        )

    def _texts(self, folder: Path, what: str) -> dict[str, str]:
        found = {}
        for name, path in named_files(folder):
            try:
                found[name] = read_text(path)
            except KeptError as error:
                self._findings.leave_out(what, _why(error), f"{folder.parent.name}: {name}")
        return found


def _run_folders(experiment: Path) -> list[Path]:
    return [one for one in folders(experiment) if one.name not in _RESERVED]


def _expect_name(folder: Path, said: Any) -> None:
    """What a file says of itself must be what its folder is called: nothing is taken for something else."""
    if str(said) != folder.name:
        raise Invalid(f"meta.yaml says it is {str(said)[:60]!r}", where=folder.name)


def _why(error: KeptError) -> str:
    return error.what


def _maybe(said: Any) -> str | None:
    return None if said is None or said == "" else text(said)


def _texts_of(said: Any) -> dict[str, str]:
    return {name: text(value) for name, value in said.items()} if isinstance(said, dict) else {}


def _whole(said: Any, where: str) -> int:
    try:
        number = int(said or 0)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{said!r:.40} is no whole number", where=where) from error
    if abs(number) > LARGEST_INTEGER:
        raise Invalid("a number has more than 64 bits", where=where)
    return number


def _fits(source: FolderSource) -> Source:
    return source
