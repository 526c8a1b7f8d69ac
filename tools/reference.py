"""Writes docs/reference from the code: commands, operations, settings, metrics, declarations.

    .venv/bin/python tools/reference.py            writes the pages
    .venv/bin/python tools/reference.py --check    says which pages are not what the code says, and ends with 1

What has no words of its own in the code is refused here, so nothing goes undocumented.
"""

import ast
import inspect
import itertools
import sys
import textwrap
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import typer.main

import kept
from kept.app.connection import route
from kept.app.operations import OPERATIONS
from kept.cli.main import COMMANDS
from kept.core.errors import Invalid
from kept.governance.operation import Audit, Operation
from kept.measures.metrics import CATALOG, Metric
from kept.pipelines.step import Step
from kept.plan.objective import Objective
from kept.plan.policy import Broken, Decay, Release, Retrain
from kept.plan.specs import DatasetSpec, FeatureViewSpec, ModelSpec
from kept.plan.split import TimeSplit
from kept.settings.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py from the code: change it there. -->\n"


def pages() -> dict[str, str]:
    """Each page's name and text."""
    return {
        "commands.md": commands(),
        "operations.md": operations(),
        "settings.md": settings(),
        "metrics.md": metrics(),
        "declarations.md": declarations(),
    }


def commands() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Commands\n",
        NOTE,
        (
            "Exit codes: 0 done; 1 a mistake that a person can mend, with what to do on standard error; 2 wrong usage; "
            "3 an objective or check does not hold; 70 a fault of Kept; 130 stopped with Ctrl-C.\n"
        ),
        (
            "Every command that takes `--workspace` works on the server that `KEPT_URL` names, where that is set, save for the "
            "commands that start something.\n"
        ),
    ]
    for name, (module, line) in COMMANDS.items():
        command = typer.main.get_command(import_module(module).app)
        parts.append(f"## kept {name}\n\n{line}.\n")
        several = getattr(command, "commands", None)
        if several is None:
            parts.append(_command(f"kept {name}", command))
        else:
            parts += [
                f"### kept {name} {one}\n\n{_command(f'kept {name} {one}', part)}" for one, part in several.items()
            ]
    return "\n".join(parts)


def _command(called: str, command: Any) -> str:
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    words = [called, *(_argument(one) for one in shown if one.param_type_name == "argument")]
    if any(one.param_type_name == "option" for one in shown):
        words.append("[OPTIONS]")
    parts = [f"```\n{' '.join(words)}\n```\n"]
    about = _paragraph(command.help, called)
    parts.append(f"{about}\n")
    rows = [
        (
            ", ".join(f"`{name}`" for name in _names(one)),
            _kind(one),
            _default(one),
            _paragraph(getattr(one, "help", None), f"{called} {one.name}"),
        )
        for one in shown
    ]
    if rows:
        parts.append(_table(("option", "takes", "default", "what"), rows))
    return "\n".join(parts)


def _argument(one: Any) -> str:
    name = str(one.name).upper()
    return name if one.required else f"[{name}]"


def _names(one: Any) -> list[str]:
    if one.param_type_name == "argument":
        return [str(one.name).upper()]
    return [*one.opts, *one.secondary_opts]


def _kind(one: Any) -> str:
    if getattr(one, "is_flag", False):
        return ""
    return {"int": "a number", "Path": "a path", "str": "text"}.get(one.type_descriptor.annotation.__name__, "text")


def _default(one: Any) -> str:
    if one.required:
        return "needed"
    default = one.default
    if default in (None, "", False) or callable(default) or getattr(one, "is_flag", False):
        return ""
    return f"`{default}`"


def operations() -> str:
    """Every operation: route, permission, record, request, answer."""
    parts = [
        "# Operations\n",
        NOTE,
        (
            "Everything that a person or program can do. Each is called from Python and the command line on a workspace of this "
            "machine, and over HTTP by `POST` with the request as JSON; `/api/v1/openapi.json` has the forms in full. "
            "`POST /api/v1/labels` is another name for `/api/v1/labels/record`.\n"
        ),
        f"Audit: *each* - {_member(Audit, 'EACH')} *counted* - {_member(Audit, 'COUNTED')} *read* - {_member(Audit, 'READ')}\n",
        _table(
            ("operation", "permission", "audit", "HTTP"),
            [
                (f"[{one.name}](#{one.name.replace('.', '')})", one.needs.value, one.audit.value, _where(one, "no"))
                for one in OPERATIONS.values()
            ],
        ),
    ]
    for one in OPERATIONS.values():
        parts.append(f"## {one.name}\n\n{_paragraph(one.summary, one.name)}\n")
        about = f"about the request's `{one.on}`" if one.on else "about no one thing"
        parts.append(
            f"{_where(one)} needs *{one.needs.value}*, is recorded *{one.audit.value}*, {about}; "
            f"it answers {_type(one.answer_type)}.\n"
        )
        parts.append(f"{_paragraph(inspect.getdoc(one.request_type), f'{one.name} request')}\n")
        fields = msgspec.structs.fields(one.request_type)
        hints, said = get_type_hints(one.request_type), attribute_docs(one.request_type)
        rows = [(f"`{each.name}`", _type(hints[each.name]), _given(each), said.get(each.name, "")) for each in fields]
        if rows:
            parts.append(_table(("field", "type", "default", "what"), rows))
    return "\n".join(parts)


def _where(one: Operation[Any, Any], otherwise: str = "It cannot be called over HTTP,") -> str:
    return f"`POST {route(one)}`" if one.remote else otherwise


def _given(one: Any) -> str:
    if one.default is not msgspec.NODEFAULT:
        return f"`{_literal(one.default)}`"
    return f"`{_literal(one.default_factory())}`" if one.default_factory is not msgspec.NODEFAULT else "needed"


def _literal(value: Any) -> str:
    return '""' if value == "" else str(value)


def settings() -> str:
    """Every setting with its variable and default."""
    said, hints = attribute_docs(Settings), get_type_hints(Settings)
    rows = []
    for one in msgspec.structs.fields(Settings):
        about = _paragraph(said.get(one.name), f"setting {one.name}")
        rows.append((f"`{one.name}`", f"`KEPT_{one.name.upper()}`", _type(hints[one.name]), _given(one), about))
    parts = [
        "# Settings\n",
        NOTE,
        (
            "What is given on the command line counts first, then the environment, then `kept.toml` of the folder that the "
            "command is run in, then the default. A name that is not here, or a value of another type, is refused.\n"
        ),
        _table(("setting", "variable", "type", "default", "what"), rows),
        '```toml\n# kept.toml\nworkspace = "/var/lib/kept"\nport = 8700\nsteps_at_once = 4\n```\n',
    ]
    return "\n".join(parts)


def metrics() -> str:
    """The catalogue of metrics."""
    rows = []
    for one in CATALOG.values():
        tasks = "any" if one.operational else ", ".join(one.tasks)
        promise = "at_least" if one.better == "higher" else "at_most"
        rows.append((f"`{one.name}`", tasks, f"`{promise}`", _from(one), _meaning(one)))
    return "\n".join(
        [
            "# Metrics\n",
            NOTE,
            (
                "What an objective can promise. Binary scores are the probability of the second class; classes are those at or above "
                "0.5, or the likeliest ones. Where a metric is not defined (one class only, no rows) it is not a number, and no "
                "objective holds.\n"
            ),
            _table(("metric", "tasks", "promised with", "computed from", "what"), rows),
        ]
    )


def _from(one: Metric) -> str:
    return {"scores": "scores and labels", "labels": "classes and labels", "operation": "the packaged model"}[one.needs]


MEANINGS = {
    "roc_auc": "Chance that a row of the second class scores above one of the first; several classes: one against the rest, mean",
    "average_precision": "Area under precision over recall, by steps",
    "log_loss": "Mean of -log of the probability given to what came true",
    "brier_score": "Mean squared error of the probabilities",
    "expected_calibration_error": "Mean gap between what was said and how often it came true, over bins of equal size",
    "accuracy": "Share of rows whose class is right",
    "balanced_accuracy": "Mean recall over the classes",
    "precision": "Share right among those said to be of the second class",
    "recall": "Share found of those that are of the second class",
    "f1": "Harmonic mean of precision and recall",
    "macro_f1": "Mean f1 over the classes",
    "mae": "Mean absolute error",
    "rmse": "Root of the mean squared error",
    "mape": "Mean absolute error over the true value",
    "median_absolute_error": "Median absolute error",
    "r2": "Share of the variance explained",
    "latency_p50_ms": "Milliseconds for one row, median",
    "latency_p99_ms": "Milliseconds for one row that 99% of requests stay below",
    "size_mb": "Megabytes (10^6 bytes) of the bundle's files",
    "error_rate": "Share of requests that failed, in production; before a release there are none that could",
}


def _meaning(one: Metric) -> str:
    if one.name not in MEANINGS:
        raise Invalid(
            "it has no line in MEANINGS", where=f"metric {one.name}", fix="Say what it is, in tools/reference.py"
        )
    return MEANINGS[one.name]


def declarations() -> str:
    """What a project file can say: the names of `kept` and the methods of a project."""
    parts = [
        "# Declarations\n",
        NOTE,
        "What a project file is written with. Lengths of time are written `45m`, `2h`, `10d`, `4w`, or given as `timedelta`.\n",
        f"## kept.Project\n\n{_signature(kept.Project.__init__, 'kept.Project')}\n{_prose(kept.Project, 'Project')}\n",
    ]
    for name, member in vars(kept.Project).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            call = f"@project.{name}" if _decorates(member) else f"project.{name}"
            parts.append(f"## {call}\n\n{_signature(member, call)}\n{_prose(member, name)}\n{_arguments(member, name)}")
    for name in sorted(set(kept.__all__) - {"Project", "Objective", "__version__"}):
        member = getattr(kept, name)
        parts.append(
            f"## kept.{name}\n\n{_signature(member, f'kept.{name}')}\n{_prose(member, name)}\n{_arguments(member, name)}"
        )
    return "\n".join(parts)


# Where the words for a declaration's arguments stand.
FACTS: dict[str, tuple[type, ...]] = {
    "dataset": (DatasetSpec,),
    "features": (FeatureViewSpec,),
    "model": (ModelSpec,),
    "step": (Step,),
    "retrain": (Retrain,),
    "release": (Release,),
    "broken": (Broken,),
    "decay": (Decay,),
    "at_least": (Objective,),
    "at_most": (Objective,),
    "by_time": (TimeSplit,),
}


def _arguments(member: Callable[..., Any], name: str) -> str:
    said = {field: about for kind in FACTS.get(name, ()) for field, about in attribute_docs(kind).items()}
    rows = [(f"`{one}`", said[one]) for one in inspect.signature(member).parameters if one in said]
    return _table(("argument", "what"), rows) + "\n" if rows else ""


def _decorates(member: Callable[..., Any]) -> bool:
    return "Callable" in str(inspect.signature(member).return_annotation)


def _signature(member: Callable[..., Any], called: str) -> str:
    found = inspect.signature(member)
    words, starred = [], False
    for one in found.parameters.values():
        if one.name == "self":
            continue
        if one.kind is one.VAR_POSITIONAL:
            words.append(f"*{one.name}")
            starred = True
            continue
        if one.kind is one.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        default = "" if one.default is one.empty else f"={_value(one.default)}"
        words.append(f"{one.name}{default}")
    line = f"{called}({', '.join(words)})"
    if len(line) > 100:
        line = f"{called}(\n    {', '.join(words)},\n)"
        line = "\n".join(textwrap.fill(each, 100, subsequent_indent="    ") for each in line.split("\n"))
    return f"```python\n{line}\n```\n"


def _value(value: Any) -> str:
    if isinstance(value, timedelta):
        return f'"{value.days}d"' if value else '"0s"'
    return repr(value).replace("'", '"')


def _prose(member: Any, name: str) -> str:
    """A docstring as Markdown, its arguments as a list."""
    text = inspect.getdoc(member)
    if not text:
        raise Invalid("it says nothing of what it does", where=name, fix="Write its docstring")
    lines = []
    for line in text.splitlines():
        if line.strip() in {"Args:", "Raises:", "Returns:"}:
            lines.append(f"*{line.strip().rstrip(':')}*\n")
        elif line.startswith("    ") and ": " in line and not line.startswith("     "):
            what, _, about = line.strip().partition(": ")
            lines.append(f"- `{what}`: {about}")
        else:
            lines.append(line.strip() if not line.startswith("     ") else f"  {line.strip()}")
    return "\n".join(lines) + "\n"


def attribute_docs(kind: type) -> dict[str, str]:
    """The strings that stand below a class's fields."""
    found = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    body = getattr(found, "body", [])
    said = {}
    for field, after in itertools.pairwise(body):
        named = field.target if isinstance(field, ast.AnnAssign) else None
        words = after.value if isinstance(after, ast.Expr) else None
        if isinstance(named, ast.Name) and isinstance(words, ast.Constant):
            said[named.id] = " ".join(str(words.value).split())
    return said


def _member(kind: type, name: str) -> str:
    body = getattr(ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0], "body", [])
    for field, after in itertools.pairwise(body):
        if isinstance(field, ast.Assign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            target = field.targets[0]
            if isinstance(target, ast.Name) and target.id == name:
                return " ".join(str(after.value.value).split())
    raise Invalid(f"{name} has no words", where=kind.__name__, fix="Write a string below it")


def _type(hint: Any) -> str:
    """A type as people write it."""
    if hint is type(None):
        return "null"
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(_type(one) for one in get_args(hint))
    if get_origin(hint) is not None:
        inner = ", ".join("..." if one is Ellipsis else _type(one) for one in get_args(hint))
        name = getattr(get_origin(hint), "__name__", str(get_origin(hint)))
        return inner if name == "Literal" else f"{name}[{inner}]"
    return str(getattr(hint, "__name__", repr(hint)))


def _paragraph(text: str | None, where: str) -> str:
    if not text or not text.strip():
        raise Invalid("it is not documented", where=where, fix="Write its help or docstring")
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
        )
        + "\n"
    )


def main() -> int:
    """Writes the pages, or compares them."""
    checking = sys.argv[1:] == ["--check"]
    stale = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if checking and (not path.is_file() or path.read_text() != text):
            stale.append(name)
        elif not checking:
            path.write_text(text)
    if stale:
        sys.stderr.write(f"Not what the code says: {', '.join(stale)}. Write them again: make reference\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
