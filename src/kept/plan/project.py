"""A project: the question, who answers for it, what is promised, and the functions it is made of."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar

from kept.core.durations import duration
from kept.core.errors import Invalid
from kept.measures.drift.cycle import UTC, Cycle
from kept.plan.checks import (
    NAME,
    check_fits_task,
    check_release,
    check_tuning,
    checked_objective,
    expect,
    lateness,
    name_of,
    names_of,
    some_time,
)
from kept.plan.objective import Objective
from kept.plan.policy import (
    MOST_FOLLOW_UPS,
    Fallback,
    Release,
    Retrain,
    Trigger,
    check_canary,
    check_shadow,
    check_split,
)
from kept.plan.reference import TRAINING, check_reference
from kept.plan.search import Space
from kept.plan.season import check_season
from kept.plan.specs import DatasetSpec, FeatureViewSpec, ModelSpec, StepSpec, Task
from kept.plan.split import Split, by_time
from kept.plan.windows import Windows

Function = TypeVar("Function", bound=Callable[..., Any])
_FALL_BACK = "Write fallback=kept.fall_back(constant=0.5)"
_FEWEST_EXPLAINED, _MOST_EXPLAINED = 30, 10_000
MAX_SKEW = 0.01
"""The share of values that may be served otherwise than stored, where a project declares none."""


class Project:
    """Everything that Kept must know to keep one model.

    Args:
        name: lower-case letters, digits, dashes and underscores; also the name of its endpoint.
        question: what a prediction answers, as a sentence.
        owner: who answers for it: an address or a team.
        objectives: what is promised, with `at_least` and `at_most`.

    Raises:
        Invalid: at the line of a wrong declaration, with what to write instead.
    """

    def __init__(self, name: str, *, question: str, owner: str, objectives: Iterable[Objective]) -> None:
        where = f"Project({name!r})"
        if not NAME.fullmatch(name):
            fix = "Use lower-case letters, digits, - and _, for example flight-delays"
            raise Invalid("the name cannot be used", where=where, fix=fix)
        if not question.strip():
            raise Invalid("it has no question", where=where, fix="Write what a prediction answers, as a sentence")
        if not owner.strip():
            raise Invalid("it has no owner", where=where, fix="Write who answers for it: an address or a team")
        self.name = name
        self.question = question
        self.owner = owner
        self.objectives = tuple(checked_objective(objective, where) for objective in objectives)
        if not self.objectives:
            fix = 'Promise something: objectives=[at_least("roc_auc", 0.65)]'
            raise Invalid("it has no objectives", where=where, fix=fix)
        self.data: DatasetSpec | None = None
        self.views: dict[str, FeatureViewSpec] = {}
        self.models: dict[str, ModelSpec] = {}
        self.steps: dict[str, StepSpec] = {}
        self.split_rule: Split = by_time()
        self.retraining = Retrain()
        self.releasing = Release()
        self.drift_budget = timedelta(days=90)
        self.window = timedelta(days=1)
        self.explained_rows = 0
        self.silent_after: timedelta | None = None
        self.unlabelled_after: timedelta | None = None
        self.max_skew = MAX_SKEW
        self.allowed_lateness: timedelta | None = None
        self.season: Cycle | None = None
        self.time_zone = UTC
        self.reference = TRAINING

    def dataset(
        self,
        *,
        label: str,
        key: str | Iterable[str] = (),
        event_time: str | None = None,
        label_time: str | None = None,
        label_delay: str | timedelta = timedelta(0),
        features: Iterable[str] | None = None,
        ignore: Iterable[str] = (),
        mode: Literal["append", "replace"] = "replace",
        max_bad_share: float = 0.01,
        source: str = "",
    ) -> Callable[[Function], Function]:
        """Declares the function that gives the rows to learn from, as a polars frame.

        The function may take `until: datetime | None`: it then gives the rows as they were known at that moment.
        """

        def wrap(function: Function) -> Function:
            where = f"@project.dataset on {function.__name__}"
            if self.data is not None:
                fix = "Join them in one function"
                raise Invalid(f"the project has a dataset already ({self.data.name})", where=where, fix=fix)
            if not 0 <= max_bad_share < 1:
                raise Invalid(f"max_bad_share={max_bad_share!r} is not a share", where=where, fix="Write 0.01 for 1%")
            if mode not in ("append", "replace"):
                raise Invalid(f"{mode!r} is not a mode", where=where, fix='Write mode="append" or mode="replace"')
            if mode == "append" and not names_of(key):
                fix = 'Declare key=..., or mode="replace"'
                raise Invalid("without a key, rows that come again cannot be told from new ones", where=where, fix=fix)
            told = ({label, label_time} & {*names_of(features or ()), *names_of(key), event_time}) - {None}
            if told:
                fix = "Take it out of features, key and event_time"
                raise Invalid(f"{told.pop()!r} tells the label", where=where, fix=fix)
            self.data = DatasetSpec(
                name=name_of(function, where),
                function=function,
                key=names_of(key),
                event_time=event_time,
                label=label,
                label_time=label_time,
                label_delay=duration(label_delay, where=where),
                features=None if features is None else names_of(features),
                ignore=names_of(ignore),
                mode=mode,
                max_bad_share=max_bad_share,
                source=source or (inspect.getdoc(function) or function.__name__).splitlines()[0],
            )
            return function

        return wrap

    def features(
        self,
        *,
        entity: str | Iterable[str],
        event_time: str,
        known_at: str | None = None,
        ttl: str | timedelta | None = None,
    ) -> Callable[[Function], Function]:
        """Declares a feature view: the newest row of an entity known at a moment is joined to it.

        The function gives a frame with the entity, the times and the features; it may take `until`, too.
        """

        def wrap(function: Function) -> Function:
            where = f"@project.features on {function.__name__}"
            name = name_of(function, where)
            if name in self.views:
                raise Invalid("two feature views have this name", where=where, fix="Rename one")
            self.views[name] = FeatureViewSpec(
                name=name,
                function=function,
                entity=names_of(entity),
                event_time=event_time,
                known_at=known_at or event_time,
                ttl=None if ttl is None else duration(ttl, where=where),
            )
            return function

        return wrap

    def model(
        self, *, task: Task, search: Mapping[str, Space] | None = None, trials: int = 10, tune_metric: str | None = None
    ) -> Callable[[Function], Function]:
        """Declares the function that makes an estimator from hyperparameters, each with a default."""

        def wrap(function: Function) -> Function:
            where = f"@project.model on {function.__name__}"
            if self.models:
                fix = "Choose between estimators with kept.choices(...) in search"
                raise Invalid("the project has a model already", where=where, fix=fix)
            if task not in ("binary", "multiclass", "regression"):
                fix = 'Write task="binary", "multiclass" or "regression"'
                raise Invalid(f"{task!r} is not a task", where=where, fix=fix)
            parameters = inspect.signature(function).parameters
            for name, space in (search or {}).items():
                if name not in parameters:
                    fix = f"Add it: def {function.__name__}({name}=...)"
                    raise Invalid(f"search names {name!r}, which the function does not take", where=where, fix=fix)
                fix = f'Write {{"{name}": kept.floats(0.01, 0.3)}}'
                expect(space, Space, f"the range of {name!r} is not a search space", where, fix)
            without = [name for name, one in parameters.items() if one.default is inspect.Parameter.empty]
            if without:
                fix = f"Give a default: {without[0]}=..."
                raise Invalid(f"{without[0]!r} has no default", where=where, fix=fix)
            for objective in self.objectives:
                check_fits_task(objective.metric, f"objective {objective.name!r}", task, where)
            check_tuning(trials, tune_metric, task, where)
            name = name_of(function, where)
            self.models[name] = ModelSpec(
                name=name,
                function=function,
                task=task,
                search=dict(search or {}),
                trials=trials,
                tune_metric=tune_metric,
            )
            return function

        return wrap

    def step(
        self, *, retries: int = 0, timeout: str | timedelta | None = None, version: str = "", cache: bool = True
    ) -> Callable[[Function], Function]:
        """Declares a pipeline step; one with the name of a standard step replaces it.

        Its parameters are wired by name: a parameter named like a step receives that step's output.
        """

        def wrap(function: Function) -> Function:
            where = f"@project.step on {function.__name__}"
            name = name_of(function, where)
            if name in self.steps:
                raise Invalid("two steps have this name", where=where, fix="Rename one")
            limit = None if timeout is None else duration(timeout, where=where)
            self.steps[name] = StepSpec(
                name=name, function=function, retries=retries, timeout=limit, version=version, cache=cache
            )
            return function

        return wrap

    def split(self, rule: Split) -> None:
        """Declares how rows are divided, with `by_time`, `at_random`, `by_group` or `stratified`."""
        fix = 'Write project.split(kept.by_time(test="10d"))'
        expect(rule, Split, f"{rule!r} is not a split", "project.split", fix)
        self.split_rule = rule

    def monitor(
        self,
        *,
        window: str | timedelta = "1d",
        false_alarm_every: str | timedelta = "90d",
        silent_after: str | timedelta | None = None,
        unlabelled_after: str | timedelta | None = None,
        max_skew: float = MAX_SKEW,
        season: Cycle | None = None,
        time_zone: str = UTC,
        explained_rows: int = 0,
        reference: str = TRAINING,
        allowed_lateness: str | timedelta | None = None,
    ) -> None:
        """Declares the length of a monitoring window and the budget: at most one false alarm in such a time, by the detectors
        of an endpoint (drift of inputs, of predictions, decay, drift of contributions) together.

        With `silent_after="2h"` it alarms when no request has come for so long by the clock, with `unlabelled_after`
        when no label has while predictions wait for some. `max_skew` is the share of a feature's values that may be
        served otherwise than its view has stored them; 0 where none may. With `season="hour of day"` or
        `season="day of week"` each window is held against the reference's windows of the same hour or weekday, by the clock
        of `time_zone="Europe/Berlin"`, summer time and all, or of UTC. Windows of whole days begin at midnight there.
        With `explained_rows=200` so many predictions of each window are explained, and it alarms, within the same budget,
        when they hang on other inputs than in training.
        Inputs are held against the training rows; with `reference="serving"` against each champion's first windows of
        serving (ten, or two weeks where weekdays are told apart), with `reference="flights@3"` against a version of a dataset.
        What a version says is held against its own first windows, whatever is declared: it is surer of rows that it knows.
        A window whose rows come up to a day after its end (and no more than 40 windows) is counted again with them, and so
        are those behind it; with `allowed_lateness="6h"` up to six hours. Rows that come later are counted as too late.
        """
        where = "project.monitor"
        self.silent_after = None if silent_after is None else some_time(silent_after, f"{where}(silent_after)")
        self.unlabelled_after = (
            None if unlabelled_after is None else some_time(unlabelled_after, f"{where}(unlabelled_after)")
        )
        if not 0 <= max_skew < 1:
            raise Invalid(f"max_skew={max_skew:g} is no share", where=where, fix="Give one from 0 on, below 1: 0.01")
        self.max_skew = max_skew
        if explained_rows and not _FEWEST_EXPLAINED <= explained_rows <= _MOST_EXPLAINED:
            fix = f"Write {_FEWEST_EXPLAINED} to {_MOST_EXPLAINED:,}, or 0 for none"
            raise Invalid(f"{explained_rows} is not a number of rows to explain", where=where, fix=fix)
        self.explained_rows = explained_rows
        self.window = duration(window, where="project.monitor")
        self.allowed_lateness = lateness(allowed_lateness, self.window)
        self.drift_budget = duration(false_alarm_every, where="project.monitor")
        if self.drift_budget < self.window:
            fix = "Give a budget of many windows, for example 90d"
            raise Invalid("false_alarm_every is shorter than a window", where="project.monitor", fix=fix)
        check_reference(reference)
        self.reference = reference
        check_season(season, time_zone, self.window)
        self.season, self.time_zone = season, time_zone

    @property
    def windows(self) -> Windows:
        """How event time is cut into monitoring windows."""
        return Windows(length=self.window, zone=self.time_zone)

    def retrain(
        self,
        *,
        on: Iterable[Trigger],
        cooldown: str | timedelta = "7d",
        debounce: str | timedelta = timedelta(0),
        window: str | timedelta | None = None,
        since_change: str | timedelta | None = None,
        stretches: Iterable[str | timedelta] = (),
        average: bool = False,
        at_most: int | None = None,
        per: str | timedelta = "90d",
        follow_up: int = 0,
        dry_run: bool = False,
    ) -> None:
        """Declares when to train again: `drift()`, `decay()`, `broken()`, `every("30d")`, `new_data(10_000)`; and on what.

        It learns from all rows, from the newest with `window="90d"`, or with `since_change="14d"` from those since the
        change that the detector found, from 14 days at least. With `follow_up=2` it trains again after an alarm's training when what has come
        since has doubled, and doubled again: right after a change there are few rows to learn it from.
        With `stretches=["14d", "28d", "56d"]` each training tries them and all rows, and learns from what predicts the
        newest validation rows best; with `average` its answer is the mean of a model of each, weighted by how well they do. `at_most=4, per="90d"` is its budget; with `dry_run` it decides and reports, and trains nothing.
        """
        triggers = tuple(on)
        for trigger in triggers:
            fix = "Write on=[kept.drift(), kept.decay(), kept.every('30d')]"
            expect(trigger, Trigger, f"{trigger!r} is not a trigger", "project.retrain", fix)
        self.retraining = Retrain(
            on=triggers,
            cooldown=duration(cooldown, where="project.retrain(cooldown)"),
            debounce=duration(debounce, where="project.retrain(debounce)"),
            window=None if window is None else duration(window, where="project.retrain(window)"),
            since_change=None
            if since_change is None
            else some_time(since_change, "project.retrain(since_change)", "Write how much it needs at least, as 14d"),
            stretches=tuple(
                some_time(one, "project.retrain(stretches)", "Write how much to learn from, as 28d")
                for one in stretches
            ),
            average=average,
            at_most=at_most,
            per=some_time(per, "project.retrain(per)", "Write in which time, for example 90d"),
            follow_up=follow_up,
            dry_run=dry_run,
        )
        if average and not self.retraining.stretches:
            fix = 'Write stretches=["14d", "28d", "56d"], average=True'
            raise Invalid("there is one model and no mean", where="project.retrain(average)", fix=fix)
        if not 0 <= follow_up <= MOST_FOLLOW_UPS or (follow_up and not self.retraining.cooldown):
            fix = "Write follow_up=2, with a cool-down"
            raise Invalid(f"{follow_up} trainings cannot follow", where="project.retrain(follow_up)", fix=fix)
        if at_most is not None and at_most < 1:
            fix = "Write at_most=4, or dry_run=True to train never"
            raise Invalid(f"{at_most} is not a number of trainings", where="project.retrain(at_most)", fix=fix)

    def release(
        self,
        *,
        canary: Iterable[float] | None = None,
        strategy: Literal["canary", "blue_green"] = "canary",
        shadow: str | timedelta | int | None = None,
        shadow_rows: int | None = None,
        max_disagreement: float | None = None,
        ab: Mapping[str, float] | None = None,
        step: str | timedelta = "1h",
        step_rows: int = 200,
        timeout: str | timedelta = "7d",
        on_timeout: Literal["roll_back", "hold"] = "roll_back",
        approvals: int = 0,
        max_error_rate: float = 0.01,
        max_latency_ratio: float = 3.0,
        margin: float = 0.02,
        alpha: float = 0.05,
        quality_required: bool = False,
        fallback: Fallback | None = None,
    ) -> None:
        """Declares how a version takes over: shares of traffic, and what makes it go on or back.

        First as a shadow, if so declared (`shadow="24h"`, or a number of rows): it gets a copy of the traffic and answers
        nobody. Then by the steps of its canary; or as the challenger of an A/B test with a split that stays
        (`ab={"champion": 0.5, "challenger": 0.5}`); or all at once (`strategy="blue_green"`), with the version before held ready.

        Without labels it takes over on errors and latency alone, and that is said; with `quality_required=True` it does not.
        """
        check_release(strategy, on_timeout, max_disagreement, one_way=[canary, ab, strategy == "blue_green" or None])
        expect(fallback, Fallback | None, f"{fallback!r} is not a fallback", "project.release", _FALL_BACK)
        length, rows = check_shadow(shadow, shadow_rows, step_rows)
        steps = check_canary(tuple(float(share) for share in ((0.1, 0.5, 1.0) if canary is None else canary)))
        if quality_required and (steps, strategy, length, ab) == ((1.0,), "canary", None, None):
            fix = "Declare a canary of several steps, a shadow or an A/B test"
            raise Invalid("its quality is required, and never looked at", where="project.release", fix=fix)
        self.releasing = Release(
            canary=steps,
            strategy=strategy,
            shadow=length,
            shadow_rows=rows,
            max_disagreement=max_disagreement,
            challenger=check_split(ab),
            on_timeout=on_timeout,
            fallback=fallback,
            step=duration(step, where="project.release(step)"),
            step_rows=step_rows,
            timeout=duration(timeout, where="project.release(timeout)"),
            approvals=approvals,
            max_error_rate=max_error_rate,
            max_latency_ratio=max_latency_ratio,
            margin=margin,
            alpha=alpha,
            quality_required=quality_required,
        )

    @property
    def the_dataset(self) -> DatasetSpec:
        """The dataset, or `Invalid` when none is declared."""
        if self.data is None:
            fix = "Declare a function with @project.dataset(label=...)"
            raise Invalid("it has no dataset", where=f"Project({self.name!r})", fix=fix)
        return self.data

    @property
    def the_model(self) -> ModelSpec:
        """The model, or `Invalid` when none is declared."""
        for spec in self.models.values():
            return spec
        fix = "Declare a function with @project.model(task=...)"
        raise Invalid("it has no model", where=f"Project({self.name!r})", fix=fix)
