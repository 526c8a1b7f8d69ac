"""A graph of steps, wired by parameter names and checked before anything runs."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from kept.core.errors import Invalid
from kept.pipelines.function_reference import Reference, reference_of
from kept.pipelines.step import Step

CONTEXT = "context"


@dataclass(frozen=True)
class Node:
    """A step in its place."""

    step: Step
    reference: Reference
    wires: dict[str, str]
    """Parameter -> the step whose output it receives."""
    values: dict[str, Any]
    """Parameter -> the input of the run that it receives."""
    takes_context: bool


class Graph:
    """Steps in an order in which each comes after those it depends on.

    Args:
        steps: with distinct names.
        inputs: values for the parameters that are not named like a step; plain values, as JSON has them.
        folder: the project's folder, of which a code snapshot is taken; None for none.
        fresh: True to run every step, whatever the cache holds.

    Raises:
        Invalid: a parameter that nothing gives, two steps of one name, a circle; the message names step and parameter.
    """

    def __init__(
        self,
        steps: Iterable[Step],
        inputs: Mapping[str, Any] | None = None,
        *,
        folder: Path | None = None,
        fresh: bool = False,
    ) -> None:
        self.inputs = dict(inputs or {})
        self.folder = folder
        self.fresh = fresh
        self.steps = tuple(steps)
        names = [step.name for step in self.steps]
        for name in names:
            if names.count(name) > 1:
                raise Invalid("two steps have this name", where=f"step {name!r}", fix="Rename one, or replace it")
            if name in self.inputs:
                fix = "Rename the step or the input"
                raise Invalid("an input of the run has its name", where=f"step {name!r}", fix=fix)
        self.nodes = _sorted({step.name: self._wire(step, names) for step in self.steps})

    def having(self, *steps: Step) -> "Graph":
        """The graph with these steps: each replaces the one of its name, or comes in addition."""
        given = {step.name: step for step in steps}
        kept = [given.pop(step.name, step) for step in self.steps]
        return Graph([*kept, *given.values()], self.inputs, folder=self.folder, fresh=self.fresh)

    def _wire(self, step: Step, names: list[str]) -> Node:
        where = f"step {step.name!r}"
        reference = reference_of(step.function, where=where)
        wires: dict[str, str] = {}
        values: dict[str, Any] = {}
        takes_context = False
        for name, parameter in inspect.signature(step.function).parameters.items():
            if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
                fix = "Name every parameter: the name says what it receives"
                raise Invalid(f"parameter {parameter} can not be wired by name", where=where, fix=fix)
            if name == CONTEXT:
                takes_context = True
            elif name == step.name:
                raise Invalid(f"parameter {name!r} is its own output", where=where, fix="Rename the parameter")
            elif name in names:
                wires[name] = name
            elif name in self.inputs:
                values[name] = self.inputs[name]
            elif parameter.default is parameter.empty:
                raise self._unknown(name, where, names)
        return Node(step=step, reference=reference, wires=wires, values=values, takes_context=takes_context)

    def _unknown(self, parameter: str, where: str, names: list[str]) -> Invalid:
        known = [*names, *self.inputs, CONTEXT]
        close = get_close_matches(parameter, known, n=3, cutoff=0.7)
        fix = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"There are {', '.join(map(repr, known))}"
        return Invalid(
            f"nothing gives its parameter {parameter!r}: no step and no input has this name", where=where, fix=fix
        )


def _sorted(nodes: dict[str, Node]) -> dict[str, Node]:
    """The nodes, each after those it depends on, otherwise in the order given."""
    done: dict[str, Node] = {}
    waiting = dict(nodes)
    while waiting:
        ready = [name for name, node in waiting.items() if all(wire in done for wire in node.wires.values())]
        if not ready:
            circle = _circle(waiting)
            fix = "Rename a parameter of one of them"
            raise Invalid(f"steps wait for each other: {' -> '.join(circle)}", where=f"step {circle[0]!r}", fix=fix)
        done[ready[0]] = waiting.pop(ready[0])
    return done


def _circle(nodes: dict[str, Node]) -> list[str]:
    path: list[str] = [next(iter(nodes))]
    while True:
        following = next(wire for wire in nodes[path[-1]].wires.values() if wire in nodes)
        if following in path:
            # Wires point to what is waited for; the other way round is the way of the data.
            return [following, *reversed(path[path.index(following) :])]
        path.append(following)
