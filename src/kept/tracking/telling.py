"""Which of the many things that runs logged tell most of them: what a list shows beside each run."""

import re
from collections.abc import Sequence

from kept.measures.metrics import CATALOG
from kept.tracking.comparison import Better
from kept.tracking.run import RunData

_MOST_TELLING = ("roc_auc", "log_loss", "loss", "accuracy", "f1", "rmse", "mae", "r2")
_LOWER = {"loss", "error", "mse", "mae", "rmse", "mape", "perplexity", "wer", "cer", "logloss", "nll"}
_HIGHER = {"accuracy", "acc", "auc", "f1", "precision", "recall", "r2", "bleu", "map", "ndcg", "iou", "dice"}


def counted(found: Sequence[RunData]) -> dict[str, int]:
    """How many of the runs have each metric."""
    counts: dict[str, int] = {}
    for one in found:
        for point in one.latest:
            counts[point.name] = counts.get(point.name, 0) + 1
    return counts


def main_metrics(found: Sequence[RunData], most: int) -> list[str]:
    """At most so many metrics of the runs: those that most of them have, of these the ones that tell most of a model."""
    counts = counted(found)
    return sorted(counts, key=lambda name: (-counts[name], _place(name), name))[:most]


def varied_params(found: Sequence[RunData], most: int) -> list[str]:
    """At most so many parameters of which the runs do not all have the same value, those that most of them have first."""
    values: dict[str, list[str]] = {}
    for one in found:
        for name, value in one.params.items():
            values.setdefault(name, []).append(value)
    varied = [name for name, given in values.items() if len(given) < len(found) or len(set(given)) > 1]
    return sorted(varied, key=lambda name: (-len(values[name]), name))[:most]


def better_way(name: str) -> Better | None:
    """As the catalogue of metrics says for the name or its end, else by the words in it; None where neither knows."""
    words = _words(name)
    for place in range(len(words)):
        known = CATALOG.get("_".join(words[place:]))
        if known is not None:
            return known.better
    if _LOWER & set(words):
        return "lower"
    return "higher" if _HIGHER & set(words) else None


def _place(name: str) -> int:
    plain = "_".join(_words(name))
    telling = (place for place, known in enumerate(_MOST_TELLING) if plain == known or plain.endswith(f"_{known}"))
    return next(telling, len(_MOST_TELLING))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
