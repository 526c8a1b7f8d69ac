"""Hyperparameter search: Optuna's TPE over the declared ranges, with pruning."""

from collections.abc import Callable
from math import isnan
from typing import Any, Protocol

import msgspec
import optuna

from kept.core.errors import Invalid
from kept.plan.search import Choices, Floats, Ints, Space
from kept.training.stretches import Tried

RUNGS = (0.25, 0.5, 1.0)
"""Shares of the training rows a trial is fitted on, one after another: a trial that is weak on few rows stops there."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial as it ended."""

    number: int
    parameters: dict[str, Any]
    losses: tuple[float, ...]
    """Loss on the validation rows after each rung."""
    pruned: bool

    @property
    def loss(self) -> float:
        """The last loss that was measured."""
        return self.losses[-1]


class Tuned(msgspec.Struct, frozen=True, kw_only=True):
    """The best hyperparameters, and how they were found."""

    parameters: dict[str, Any]
    loss: float | None
    trials: tuple[Trial, ...]
    tried: tuple[Tried, ...] = ()
    """Stretches of the newest rows, the best first; empty where the project declares none."""


class Measure(Protocol):
    """Fits with the parameters on a share of the training rows and gives the loss on the validation rows."""

    def __call__(self, parameters: dict[str, Any], share: float) -> float:
        """Lower is better."""
        ...


def tune(
    search: dict[str, Space], measure: Measure, *, trials: int, seed: int, ended: Callable[[Trial], None]
) -> Tuned:
    """The parameters with the lowest loss on all training rows.

    The function's own defaults are what it is without parameters; every trial that ends is told to `ended`.
    The same seed and the same losses give the same trials (Bergstra et al. 2011 for TPE; Li et al. 2018 for rungs).
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    done: list[Trial] = []

    def run(trial: optuna.Trial) -> float:
        parameters = {name: _suggest(trial, name, space) for name, space in search.items()}
        losses: list[float] = []
        pruned = False
        for rung, share in enumerate(RUNGS):
            losses.append(measure(parameters, share))
            trial.report(losses[-1], rung)
            if share < RUNGS[-1] and trial.should_prune():
                pruned = True
                break
        done.append(Trial(number=trial.number, parameters=parameters, losses=tuple(losses), pruned=pruned))
        ended(done[-1])
        if pruned:
            raise optuna.TrialPruned
        return losses[-1]

    study.optimize(run, n_trials=trials)
    finished = [trial for trial in done if not trial.pruned and not isnan(trial.loss)]
    if not finished:
        fix = "Give more validation rows of each class, or allow more trials"
        raise Invalid("no trial was finished with a loss that is a number", where="tune", fix=fix)
    best = min(finished, key=lambda trial: trial.loss)
    return Tuned(parameters=best.parameters, loss=best.loss, trials=tuple(done))


def _suggest(trial: optuna.Trial, name: str, space: Space) -> Any:
    match space:
        case Floats():
            return trial.suggest_float(name, space.low, space.high, log=space.log)
        case Ints():
            return trial.suggest_int(name, space.low, space.high, log=space.log)
        case Choices():
            return trial.suggest_categorical(name, list(space.values))
