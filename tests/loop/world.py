"""A small world to close the loop in: an endpoint whose predictions and labels are written by hand, a day at a time."""

from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from kept.core.ids import new_id
from kept.data.label import LabelEntry
from kept.data.labels import RecordLabels, record_labels
from kept.deployment.catalog import ShowStatus, show_status
from kept.deployment.endpoint import EndpointStatus
from kept.deployment.release import ReleaseVersion, release
from kept.deployment.routing import Arm
from kept.evaluation.gate import ObjectiveResult, Verdict
from kept.evaluation.loss import LossReference
from kept.governance.actor import Actor, automation
from kept.governance.workspace import Workspace
from kept.loop.cycle import tick
from kept.loop.decision import Decision
from kept.loop.decisions import ListDecisions, list_decisions
from kept.measures.arrays import encode
from kept.measures.drift.reference import Reference, build_reference
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import ListAlerts, list_alerts
from kept.plan.catalog import ensure_registered
from kept.plan.objective import at_least
from kept.plan.project import Project
from kept.registry.card import Lineage, write_card
from kept.registry.catalog import RegisterVersion, register_version
from kept.registry.version import ModelVersion
from kept.tracking.run import Run
from kept.tracking.runs import fail, finish, queued_runs, start
from registering import a_report

APRIL = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = "flights"


class World:
    """An endpoint, `flights`: a score that is the true chance of the label, until `useful` is less than 1."""

    def __init__(self, workspace: Workspace, me: Actor, folder: Path, declare: Callable[[Project], None]) -> None:
        self.workspace, self.me, self.kept = workspace, me, automation("kept")
        self.random = np.random.default_rng(7)
        self.endpoint = NAME
        self.now = APRIL
        self.shift, self.useful, self.rows = 0.0, 1.0, 200
        self.failing: set[str] = set()
        self.contrary: set[str] = set()
        self.slow: set[str] = set()
        self.narrow: set[str] = set()
        """Versions that do not take the origin, so that it is not logged with their answers."""
        self.bundle = ""
        self.attribution: str | None = None
        self.loss: LossReference | None = LossReference(mean=0.21, error=0.002)
        project = Project(NAME, question="Late?", owner="ops", objectives=[at_least("roc_auc", 0.6)])

        @project.dataset(key="id", event_time="at", label="late", label_delay="1d")
        def flights() -> None:
            """Flights."""

        project.release(canary=[0.5, 1.0], step="1d", step_rows=50)
        declare(project)
        source = folder / "project.py"
        source.write_text("")
        ensure_registered(workspace, me, project, source)
        self.reference = workspace.blobs.put(encode(self._reference(0.0)))

    def register(
        self, *, auc: float = 0.7, run_id: str | None = None, features: tuple[str, ...] = ("x", "origin")
    ) -> ModelVersion:
        """The next version; rejected when its area is below what is promised."""
        objective = at_least("roc_auc", 0.6)
        passed = objective.holds(auc)
        sentence = f"roc_auc is {auc:g}"
        result = ObjectiveResult(
            objective=objective, value=auc, low=None, high=None, margin=0.0, passed=passed, sentence=sentence
        )
        verdict = Verdict(accepted=passed, objectives=(result,), checks=(), reasons=() if passed else (sentence,))
        bundle = self.bundle or self.workspace.blobs.put(new_id().encode())
        lineage = Lineage(
            question="Late?",
            owner="ops",
            estimator="trees",
            data=(),
            features=features,
            training_rows=10,
            run_id=run_id,
            bundle=bundle,
            reference=self.reference,
            attribution=self.attribution,
            loss=self.loss,
        )
        request = RegisterVersion(
            project=NAME,
            model=NAME,
            bundle=bundle,
            run_id=run_id,
            verdict=verdict,
            card=write_card(lineage, a_report()),
        )
        return register_version(self.workspace, self.me, request)

    def beside(self, endpoint: str, version: ModelVersion) -> "World":
        """Another endpoint of the same project, with a first version and traffic of its own from now on."""
        other = copy(self)
        other.endpoint = endpoint
        other.release(version)
        return other

    def release(self, version: ModelVersion) -> None:
        """A person's release."""
        request = ReleaseVersion(endpoint=self.endpoint, model=NAME, version=str(version.number), event_time=self.now)
        release(self.workspace, self.me, request)

    def day(self, *, labels: bool = True) -> pl.DataFrame:
        """A day of traffic, shipped; its labels come with it."""
        route = self.status().route
        assert route is not None
        arms = list(route.arms)
        x, origin, score, late = self._draw(self.rows, self.shift, self.useful)
        which = self.random.choice(len(arms), self.rows, p=[arm.weight for arm in arms])
        received = datetime.now(UTC)
        contrary = np.array([arms[arm].version_id in self.contrary for arm in which])
        score = np.where(contrary, 1 - score, score)
        frame = pl.DataFrame(
            {
                "id": (ids := [new_id() for _ in range(self.rows)]),
                "answer_id": ids,
                "event_time": [self.now + DAY * place / self.rows for place in range(self.rows)],
                "received_at": [received + timedelta(microseconds=place) for place in range(self.rows)],
                "version_id": [arms[arm].version_id for arm in which],
                "version": [arms[arm].number for arm in which],
                "role": [arms[arm].role for arm in which],
                "key": [f"{self.now:%m%d}-{place}" for place in range(self.rows)],
                "latency_us": self.random.integers(500, 1500, self.rows)
                * np.array([8 if arms[arm].version_id in self.slow else 1 for arm in which]),
                "score": score,
                "prediction": ["true" if one > 0.5 else "false" for one in score],
                "scores": pl.Series([None] * self.rows, dtype=pl.List(pl.Float64)),
                "feature_x": x,
                "feature_origin": [
                    None if arms[arm].version_id in self.narrow else name
                    for arm, name in zip(which, origin, strict=True)
                ],
            },
            schema_overrides={"event_time": pl.Datetime("us", "UTC"), "received_at": pl.Datetime("us", "UTC")},
        )
        frame = pl.concat([frame, *(self._copies(frame, arm) for arm in arms if arm.role == "shadow")])
        failed = frame.filter(pl.col("version_id").is_in(list(self.failing)))
        frame = frame.filter(~pl.col("version_id").is_in(list(self.failing)))
        self.workspace.tables.append(f"predictions/{self.endpoint}", frame)
        if failed.height:
            errors = failed.select("id", "received_at", "version_id", "role", "latency_us", status=500)
            self.workspace.tables.append(f"prediction_errors/{self.endpoint}", errors)
        self.now += DAY
        if labels:
            known = dict(zip([f"{self.now - DAY:%m%d}-{place}" for place in range(self.rows)], late, strict=True))
            self.label({key: known[key] for key in frame["key"]})
        return frame

    def label(self, labels: dict[str, bool]) -> None:
        """Labels by key, known now."""
        entries = [LabelEntry(key=key, value=bool(value), known_at=self.now) for key, value in labels.items()]
        record_labels(self.workspace, self.me, RecordLabels(endpoint=self.endpoint, labels=entries))

    def tick(self) -> list[str]:
        """One look of the loop."""
        return tick(self.workspace, self.kept)

    def days(self, count: int, *, labels: bool = True) -> list[str]:
        """Days of traffic, each followed by a look; what happened."""
        happened = []
        for _ in range(count):
            self.day(labels=labels)
            happened += self.tick()
        return happened

    def train(self, *, auc: float = 0.7, error: str | None = None) -> Run:
        """Plays the worker: does the run that is queued."""
        (run,) = queued_runs(self.workspace, "training")
        start(self.workspace, run.id)
        self.reference = self.workspace.blobs.put(encode(self._reference(self.shift)))
        if error is not None:
            return fail(self.workspace, run.id, error)
        self.register(auc=auc, run_id=run.id)
        return finish(self.workspace, run.id)

    def status(self) -> EndpointStatus:
        """The endpoint."""
        (found,) = show_status(self.workspace, self.me, ShowStatus(endpoint=self.endpoint))
        return found

    def alerts(self, kind: str) -> list[Alert]:
        """Alerts of a kind, newest first."""
        listed = list_alerts(self.workspace, self.me, ListAlerts(endpoint=self.endpoint))
        return [one for one in listed if one.kind == kind]

    def decisions(self) -> list[Decision]:
        """Every decision, oldest first."""
        return list_decisions(self.workspace, self.me, ListDecisions(project=NAME, limit=1000))[::-1]

    def _copies(self, frame: pl.DataFrame, arm: Arm) -> pl.DataFrame:
        """What a shadow answers to copies of the same rows."""
        score = 1 - frame["score"] if arm.version_id in self.contrary else frame["score"]
        return frame.with_columns(
            id=pl.Series([new_id() for _ in range(frame.height)]),
            version_id=pl.lit(arm.version_id),
            version=pl.lit(arm.number).cast(pl.Int64),
            role=pl.lit("shadow"),
            score=score,
            prediction=pl.Series(["true" if one > 0.5 else "false" for one in score]),
        )

    def _draw(self, rows: int, shift: float, useful: float) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
        x = self.random.normal(shift, 1.0, rows)
        origin = self.random.choice(["EWR", "JFK", "LGA"], rows).tolist()
        score = 1 / (1 + np.exp(-1.2 * x))
        late = self.random.uniform(size=rows) < 0.5 + useful * (score - 0.5)
        return x, origin, score, late

    def _reference(self, shift: float) -> Reference:
        x, origin, _, _ = self._draw(30 * 200, shift, 1.0)
        table = {"x": x, "origin": np.array(origin, dtype=object)}
        return build_reference(table, {"x": "numeric", "origin": "categorical"}, np.arange(6000) // 200)


MakeWorld = Callable[[Callable[[Project], None]], World]
