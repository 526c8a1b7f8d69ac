"""The standard training pipeline: the steps of every part, and what a project replaces or adds."""

from pathlib import Path
from typing import Any

import msgspec

from kept.core.digests import digest_json
from kept.core.durations import format_duration
from kept.evaluation.steps import evaluate, judge
from kept.pipelines.graph import Graph
from kept.pipelines.step import Step
from kept.plan.description import describe
from kept.plan.project import Project
from kept.registry.steps import champion, register, register_adopted
from kept.tracking.run import Run
from kept.training import adopting
from kept.training.attribution import attribution
from kept.training.fitting import baseline, fit, package, tune
from kept.training.preparing import columns, ingest, join, split
from kept.training.reference import reference


class TrainingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a training run is started with."""

    until: str | None = None
    """The moment whose knowledge is used; None for all there is."""
    window: str | None = None
    """Length of event time to learn from; None for the project's."""
    fresh: bool = False
    """Run every step, whatever is known already."""
    registered: str | None = None
    """Id of the client's version that is taken over; None for a training."""
    files: str = ""
    """Where the files of that version stand."""
    logged_by: str | None = None
    """The run that logged it."""
    classes: dict[str, str] = {}
    """The project's class for each that the version knows by another name."""
    scores: str = ""
    """Of an ONNX graph: the output that holds the scores; empty where there is one output."""
    form: str = "probabilities"
    """What these scores are."""


def adoption_steps() -> list[Step]:
    """The steps that stand in for those of training when a client's version is taken over."""
    return [
        # What stands at an address can be written again.
        Step("fit", adopting.fetch, cache=False),
        Step("tune", adopting.logged_parameters, cache=False),
        Step("columns", adopting.columns),
        Step("baseline", adopting.baseline),
        Step("package", adopting.package),
        Step("register", register_adopted, cache=False),
    ]


def standard_steps(project: Project) -> list[Step]:
    """The steps in their usual order. What the world outside or the registry holds is looked at anew each time."""
    plan = describe(project)

    def declared(*parts: str) -> str:
        # Steps read declarations from the project itself, where no name in their code leads to.
        return digest_json({part: plan[part] for part in parts})

    views = tuple(view.function for view in project.views.values())
    model = (project.the_model.function,)
    retrain = plan["retrain"]
    tuning = digest_json({"models": plan["models"], "stretches": retrain["stretches"], "average": retrain["average"]})
    return [
        Step("ingest", ingest, cache=False, uses=(project.the_dataset.function, *views)),
        Step("join", join, version=declared("dataset", "features")),
        Step("columns", columns, version=declared("dataset", "features", "models")),
        Step("split", split, version=declared("split")),
        Step("tune", tune, uses=model, version=tuning),
        Step("fit", fit, uses=model),
        Step("baseline", baseline),
        Step("package", package),
        Step("reference", reference, version=declared("monitor")),
        Step("attribution", attribution, version=declared("monitor")),
        Step("champion", champion, cache=False),
        Step("evaluate", evaluate, version=declared("objectives", "monitor", "dataset")),
        Step("judge", judge, version=declared("objectives")),
        Step("register", register, cache=False),
    ]


def training_graph(project: Project, source: Path, run: Run) -> Graph:
    """The graph of one run: the standard steps, with the project's own in their place or beside them; and, where a client's
    version is taken over, with the steps for that in the place of those that would train.
    """
    request = msgspec.convert(run.request, TrainingRequest)
    window = project.retraining.window
    inputs: dict[str, Any] = {
        "source": str(source),
        "until": request.until,
        "window": request.window or (format_duration(window) if window else None),
    }
    own = [
        Step(
            one.name,
            one.function,
            retries=one.retries,
            timeout=one.timeout,
            version=one.version,
            cache=one.cache,
        )
        for one in project.steps.values()
    ]
    graph = Graph(standard_steps(project), inputs, folder=source.parent, fresh=request.fresh).having(*own)
    if request.registered is None:
        return graph
    inputs |= {
        "registered": request.registered,
        "files": request.files,
        "logged_by": request.logged_by,
        "class_names": request.classes,
        "scores": request.scores,
        "form": request.form,
    }
    return Graph(graph.steps, inputs, folder=source.parent, fresh=request.fresh).having(*adoption_steps())
