"""What every endpoint is given beside the request, and the words that stand for choices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from kept.governance.actor import Actor
from kept.governance.operation import Operation
from kept.governance.workspace import Workspace
from kept.mlflow_api.errors import invalid, unfit
from kept.mlflow_api.requests import Pair, TagSent
from kept.tracking.experiment import View
from kept.tracking.grammar import experiment_numbers

Answer = TypeVar("Answer")
Choice = TypeVar("Choice")
Asked = TypeVar("Asked", bound=msgspec.Struct)

_LONGEST_NUMBER = 18
_VIEWS = {1: ("ACTIVE_ONLY", View.ACTIVE), 2: ("DELETED_ONLY", View.DELETED), 3: ("ALL", View.ALL)}


@dataclass(frozen=True)
class Call:
    """Who calls, and on which workspace."""

    workspace: Workspace
    actor: Actor

    def within_trace(self, traceparent: str | None) -> "Call":
        """The same call, as part of the trace that this header tells of."""
        return (
            replace(self, workspace=self.workspace.within_trace(traceparent.encode("latin-1"))) if traceparent else self
        )

    def do(self, operation: Operation[Asked, Answer], request: Asked) -> Answer:
        """The operation's answer."""
        return operation(self.workspace, self.actor, request)


def texts(sent: Iterable[Pair | TagSent] | None, longest: int | None = None) -> dict[str, str]:
    """Tags or parameters by name, values cut to the longest that is kept; the last of a name wins."""
    return {pair.key: (pair.value or "")[:longest] for pair in sent or ()}


def check_once(params: Sequence[Pair]) -> None:
    """Refuses parameters of which one comes again."""
    seen: set[str] = set()
    twice: list[str] = []
    for pair in params:
        (twice.append if pair.key in seen else seen.add)(pair.key)
    if twice:
        raise invalid(
            f"Duplicate parameter keys have been submitted: {twice}. Please ensure the request contains only one "
            "param value per param key."
        )


def experiment_of(sent: str) -> str:
    """The id of an experiment, which is a whole number."""
    experiment_numbers([sent])
    return sent


def view_of(sent: str | int | None) -> View:
    """Which things a search looks at."""
    return View.ACTIVE if sent is None else choice("view_type", sent, _VIEWS)


def choice(field: str, sent: str | int, words: Mapping[int, tuple[str, Choice]]) -> Choice:
    """What a word or its number stands for."""
    number = int(sent) if isinstance(sent, int) or (sent.isdecimal() and len(sent) <= _LONGEST_NUMBER) else None
    found = next((value for key, (word, value) in words.items() if key == number or word == sent), None)
    if found is None:
        raise unfit(field, sent)
    return found


def limit_of(sent: int | None) -> int:
    """The size of a page that must be given."""
    if not sent:
        raise invalid("Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer")
    return sent
