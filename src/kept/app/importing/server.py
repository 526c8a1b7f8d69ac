"""A server that answers MLflow's REST API, read over HTTP."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import msgspec

from kept.app.importing.deleted_models import DeletedModels
from kept.app.importing.report import Findings
from kept.app.importing.server_answers import (
    Answer,
    id_of,
    model_of,
    object_in,
    objects_in,
    pairs_of,
    point_of,
    run_of,
    size_of,
    version_of,
)
from kept.app.importing.source import FoundFile, Holder, Source, Totals
from kept.app.importing.words import NO_PLACE, PROMPT_TAG, SECRETIVE, lifecycle, text
from kept.core.digests import digest_json
from kept.core.errors import Forbidden, Invalid, KeptError, NotFound, Unavailable
from kept.registry.imported import ImportedRegisteredModel, ImportedVersion
from kept.tracking.artifact_files import checked
from kept.tracking.imported import (
    ImportedExperiment,
    ImportedModel,
    ImportedRun,
    Series,
    moment,
    moment_at,
)

_PROXY = "/api/2.0/mlflow-artifacts/artifacts"
_API = "/api/2.0/mlflow/"
_PAGE_OF_RUNS, _PAGE_OF_POINTS, _PAGE_OF_MODELS = 500, 25_000, 50
_LARGEST_ANSWER = 512 << 20
_PIECE = 1 << 20
_DEEPEST = 64
_TRIES, _NAP_SECONDS = 5, 0.5
_LATER = {429, 500, 502, 503, 504}
_MOST_TRACES = 100_000
_MOST_FOLDERS = 10_000
_MOST_EMPTY = 100


class ServerSource:
    """Reads through the calls that clients and pages of MLflow make.

    Args:
        url: the server's address.
        auth: the value of the header `Authorization`, or ''.
        part: MLflow's workspace on it that is read.
        verify: how certificates are checked.
    """

    local = False

    def __init__(
        self,
        url: str,
        findings: Findings,
        *,
        auth: str = "",
        part: str = "default",
        verify: bool | ssl.SSLContext = True,
    ) -> None:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "") + parts.path.rstrip("/")
        self.address = shown if part == "default" else f"{shown}#{quote(part)}"
        self._findings = findings
        headers = {"Authorization": auth} if auth else {}
        if part != "default":
            headers["X-MLFLOW-WORKSPACE"] = part
        self._http = httpx.Client(base_url=shown, headers=headers, timeout=120, verify=verify)
        self._latest: dict[str, Answer] = {}
        self._deleted = DeletedModels()

    def totals(self) -> Totals:
        """Only reading all would tell."""
        return Totals()

    def experiments(self) -> Iterator[ImportedExperiment]:
        """All experiments, deleted ones too."""
        for said in self._paged("experiments/search", "experiments", {"view_type": "ALL", "max_results": 1_000}):
            with self._one("experiments", said.get("experiment_id")):
                yield ImportedExperiment(
                    id=id_of(said, "experiment_id"),
                    name=text(said.get("name")),
                    lifecycle=lifecycle(said.get("lifecycle_stage")),
                    tags=pairs_of(said.get("tags")),
                    created_at=moment(said.get("creation_time"), where="experiments"),
                    updated_at=moment(said.get("last_update_time"), where="experiments"),
                )

    def runs(self, experiment: str) -> Iterator[ImportedRun]:
        """All runs of an experiment, those begun first before others."""
        asked = {
            "experiment_ids": [experiment],
            "run_view_type": "ALL",
            "max_results": _PAGE_OF_RUNS,
            "order_by": ["attributes.start_time ASC"],
        }
        for said in self._paged("runs/search", "runs", asked):
            info = object_in(said, "info")
            with self._one("runs", info.get("run_id") or info.get("run_uuid")):
                run = run_of(self._whole(said), experiment)
                self._latest = {run.id: {text(one.get("key")): one for one in objects_in(said.get("data"), "metrics")}}
                yield run

    def evidence(self, run: ImportedRun) -> str:
        """The latest points."""
        return digest_json(self._latest.get(run.id))

    def may_hide(self, run: ImportedRun) -> bool:
        """A run that goes on may have got points before its latest."""
        return not run.status.ended

    def series(self, run: ImportedRun, after: str) -> Iterator[Series]:
        """Points of the run, page by page of each metric."""
        for name in sorted(self._latest.get(run.id, ())):
            if name <= after:
                continue
            try:
                yield from self._history(run.id, name)
            except Invalid as error:
                self._findings.leave_out("points", error.what, f"{run.id}: {name}")

    def models(self, experiment: str) -> Iterator[ImportedModel]:
        """All logged models of an experiment; of the deleted ones those that versions, read before, have their files of."""
        asked = {"experiment_ids": [experiment], "max_results": _PAGE_OF_MODELS}
        try:
            for said in self._paged("logged-models/search", "models", asked):
                info = object_in(said, "info")
                with self._one("logged models", info.get("model_id")):
                    self._deleted.seen(text(info.get("model_id")))
                    yield model_of(said, experiment)
        except NotFound:
            # Servers before MLflow 3 have none.
            return
        yield from self._deleted.of(experiment)

    def registered_models(self) -> Iterator[ImportedRegisteredModel]:
        """All registered models with their versions."""
        for said in self._paged("registered-models/search", "registered_models", {"max_results": 200}, method="GET"):
            with self._one("registered models", said.get("name")):
                tags = pairs_of(said.get("tags"))
                if tags.get(PROMPT_TAG) == "true":
                    continue
                name = text(said.get("name"))
                aliases = {text(one.get("alias")): int(one.get("version") or 0) for one in objects_in(said, "aliases")}
                yield ImportedRegisteredModel(
                    name=name,
                    description=text(said.get("description")),
                    tags=tags,
                    aliases=aliases,
                    versions=list(self._versions(name)),
                    created_at=moment_at(said.get("creation_timestamp"), where=name),
                    updated_at=moment_at(said.get("last_updated_timestamp"), where=name),
                )

    def files(self, holder: Holder) -> Iterator[FoundFile]:
        """All files of a run or logged model, as the server lists them."""
        try:
            yield from self._listed(holder, "", 0, iter(range(_MOST_FOLDERS)))
        except (Invalid, Forbidden) as error:
            raise NotFound(f"the server does not list its files ({error.what})") from error

    def pieces(self, holder: Holder, file: FoundFile) -> Iterator[bytes]:
        """The bytes of a file."""
        parts = urlsplit(holder.location)
        params: dict[str, str] = {}
        if parts.scheme == "mlflow-artifacts":
            inner = f"{unquote(parts.path).strip('/')}/{file.path}"
            address = f"{_PROXY}/{quote(inner)}"
        elif holder.kind == "run":
            address, params = "/get-artifact", {"run_uuid": holder.id, "path": file.path}
        else:
            address = f"/ajax-api/2.0/mlflow/logged-models/{quote(holder.id, safe='')}/artifacts/files"
            params = {"artifact_file_path": file.path}
        with self._reached(), self._http.stream("GET", address, params=params) as response:
            if not response.is_success:
                raise NotFound(f"the server does not give it ({response.status_code})", where=file.path)
            yield from response.iter_bytes(_PIECE)

    def count_left_out(self) -> None:
        """Counts prompts, traces and webhooks."""
        asked = {"max_results": 200, "filter": f"tags.`{PROMPT_TAG}` = 'true'"}
        try:
            prompts = sum(1 for _ in self._paged("registered-models/search", "registered_models", asked, method="GET"))
            self._findings.out_of_scope("prompts", NO_PLACE, prompts)
        except KeptError:
            self._findings.note("prompts", "the server does not say how many there are", "")
        try:
            self._findings.out_of_scope("traces", NO_PLACE, self._traces())
        except KeptError:
            self._findings.note("traces", "the server does not say how many there are", "")
        with suppress(KeptError):  # older servers have none, and not everybody may see them
            webhooks = sum(1 for _ in self._paged("webhooks", "webhooks", {}, method="GET"))
            self._findings.out_of_scope("webhooks", SECRETIVE, webhooks)

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def _whole(self, said: Answer) -> Answer:
        """The run with the logged models that it read: of these a search says nothing."""
        run_id = said["info"].get("run_id") or said["info"].get("run_uuid")
        try:
            found = self._asked("GET", "runs/get", {"run_id": text(run_id)}).get("run")
        except (NotFound, Invalid):
            found = None
        return {**said, "inputs": found.get("inputs") or {}} if isinstance(found, dict) else said

    def _traces(self) -> int:
        found = 0
        for one in self.experiments():
            place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": one.id}}
            asked = {"locations": [place], "max_results": 500}
            for page in self._pages("/api/3.0/mlflow/traces/search", "traces", asked):
                found += len(objects_in(page, "traces"))
                if found >= _MOST_TRACES:
                    return found
        return found

    def _versions(self, name: str) -> Iterator[ImportedVersion]:
        quoted = name.replace("'", "''")
        asked = {"filter": f"name='{quoted}'", "max_results": 1_000}
        for said in self._paged("model-versions/search", "model_versions", asked, method="GET"):
            if said.get("name") == name:
                number = int(said.get("version") or 0)
                version = version_of(said, number, self._download_address(name, number))
                self._deleted.note(version)
                yield version

    def _download_address(self, name: str, number: int) -> str:
        asked = {"name": name, "version": str(number)}
        try:
            return text(self._asked("GET", "model-versions/get-download-uri", asked).get("artifact_uri"))
        except (NotFound, Invalid):
            return ""

    def _history(self, run: str, name: str) -> Iterator[Series]:
        asked = {"run_id": run, "metric_key": name, "max_results": _PAGE_OF_POINTS}
        for page in self._pages("metrics/get-history", "metrics", asked, method="GET"):
            at, step, value = [], [], []
            for one in objects_in(page, "metrics"):
                try:
                    point = point_of(one)
                except (TypeError, ValueError):
                    self._findings.leave_out("points", "an answer that is no point", f"{run}: {name}")
                    continue
                at.append(point[0])
                step.append(point[1])
                value.append(point[2])
            if at:
                yield Series(run=run, name=name, at=at, step=step, value=value)

    def _listed(self, holder: Holder, below: str, depth: int, room: Iterator[int]) -> Iterator[FoundFile]:
        """The files of a folder and of those below it, while there is room for more folders."""
        if depth > _DEEPEST or next(room, None) is None:
            why = (
                "in folders that are nested too deep" if depth > _DEEPEST else f"in more than {_MOST_FOLDERS:,} folders"
            )
            self._findings.leave_out("files", why, f"{holder.id}: {below}")
            return
        place = self._deleted.place(holder.id)
        if place:
            path, asked = _PROXY, {"path": f"{place}/{below}".rstrip("/")}
        elif holder.kind == "run":
            path, asked = "artifacts/list", {"run_id": holder.id, "path": below}
        else:
            path = f"logged-models/{quote(holder.id, safe='')}/artifacts/directories"
            asked = {"artifact_directory_path": below}
        asked = {name: value for name, value in asked.items() if value}
        for said in self._paged(path, "files", asked, method="GET"):
            name = text(said.get("path"))
            if place and below:  # the proxy names what is in a folder by its last part
                name = f"{below}/{name}"
            if not _is_below(name, below):
                self._findings.leave_out("files", "a name that can not be kept", f"{holder.id}: {name!r}")
            elif said.get("is_dir"):
                yield from self._listed(holder, name, depth + 1, room)
            else:
                yield FoundFile(path=name, size=size_of(said.get("file_size")))

    def _paged(self, path: str, field: str, asked: Mapping[str, Any], *, method: str = "POST") -> Iterator[Answer]:
        for page in self._pages(path, field, asked, method=method):
            yield from objects_in(page, field)

    def _pages(self, path: str, field: str, asked: Mapping[str, Any], *, method: str = "POST") -> Iterator[Answer]:
        """The pages of what stands in a field; `Invalid` when they come again, or are empty and empty again."""
        token, before, empty = "", set(), 0
        while True:
            page = self._asked(method, path, {**asked, **({"page_token": token} if token else {})})
            yield page
            empty = 0 if objects_in(page, field) else empty + 1
            token = text(page.get("next_page_token"))
            if not token:
                return
            mark = digest_json(token)
            if mark in before or empty > _MOST_EMPTY:
                raise Invalid("the server's pages have no end", where=f"{self.address}: {path}", fix="Mend the server")
            before.add(mark)

    def _asked(self, method: str, path: str, asked: Mapping[str, Any]) -> Answer:
        address = path if path.startswith("/") else _API + path
        for turn in range(_TRIES):
            try:
                status, body = self._sent(method, address, asked)
            except Unavailable:
                if turn == _TRIES - 1:
                    raise
            else:
                if status not in _LATER or turn == _TRIES - 1:
                    return self._answer(status, body, address)
            time.sleep(_NAP_SECONDS * 2**turn)
        raise AssertionError

    def _sent(self, method: str, address: str, asked: Mapping[str, Any]) -> tuple[int, bytes]:
        given: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
        with self._reached(), self._http.stream(method, address, **given) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _LARGEST_ANSWER:
                    raise Invalid("the server's answer is larger than such an answer can be", where=self.address)
            return response.status_code, bytes(body)

    def _answer(self, status: int, body: bytes, address: str) -> Answer:
        try:
            said = msgspec.json.decode(body)
        except (
            msgspec.DecodeError,
            RecursionError,
        ):  # a page for people, perhaps: it must not be taken for an empty answer
            said = None
        if status == httpx.codes.OK and isinstance(said, dict):
            return said
        what = str(said.get("message") or said.get("error_code") or "")[:300] if isinstance(said, dict) else ""
        where = f"{self.address}{address}"
        if status in {401, 403}:
            fix = "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            raise Forbidden(f"the server refuses ({status}) {what}".strip(), where=where, fix=fix)
        if status == httpx.codes.NOT_FOUND:
            raise NotFound(what or "the server does not know this call", where=where)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            fix = "Look at its log, then run the import again: it goes on where it stopped"
            raise Unavailable(f"the server answers {status} {what}".strip(), where=where, fix=fix)
        raise Invalid(f"the server answers {status} {what}".strip(), where=where, fix="Name a server of MLflow's API")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            fix = "Check that it runs, then run the import again: it goes on where it stopped"
            raise Unavailable(f"the server does not answer ({error})", where=self.address, fix=fix) from error

    @contextmanager
    def _one(self, what: str, name: Any) -> Iterator[None]:
        """Leaves one thing out when what is said of it can not be taken."""
        try:
            yield
        except Unavailable:
            raise
        except (KeptError, ValueError, TypeError, AttributeError, LookupError) as error:
            said = error.what if isinstance(error, KeptError) else str(error)[:200]
            self._findings.leave_out(what, said, text(name))


def _is_below(path: str, below: str) -> bool:
    """Whether a name that the server lists is one of the folder, and can be kept: it may say anything."""
    try:
        checked(path)
        path.encode()
    except (Invalid, UnicodeEncodeError):
        return False
    return "\\" not in path and (path.startswith(f"{below}/") if below else True)


def _fits(source: ServerSource) -> Source:
    return source
