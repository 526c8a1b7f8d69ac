"""Writing the project's file: what a person would have written, and will go on editing."""

import json
import keyword
import os
import re
import shutil
import textwrap
from collections.abc import Iterable
from pathlib import Path

from kept.app.starting.draft import Draft
from kept.core.errors import Conflict, Invalid, Unavailable

_WIDTH = 100
_MARK = "Written by kept init for"
_MOST_FORMERS = 1000
_TAKEN = {"kept", "project", "path", "pl", "cs", "model", "at_least", "at_most"}


def write_project(draft: Draft, folder: Path, *, owner: str) -> Path:
    """Writes `project.py` into a folder that is new, empty or was begun by this function, and gives its path.

    A former `project.py` stays, as `project.1.py` or the next number that is free: it may have been changed.

    Raises:
        Conflict: the folder holds something else.
        Invalid: there is a file of that name.
        Unavailable: it cannot be written.
    """
    check_folder(folder)
    text = project_text(draft, folder, owner=owner)
    path = folder / "project.py"
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.rename(next(former for former in _formers(folder) if not former.exists()))
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        fix = "Free space, or name another folder with --folder"
        raise Unavailable(f"it cannot be written ({error.strerror})", where=str(folder), fix=fix) from error
    return path


def check_folder(folder: Path) -> None:
    """Refuses a folder that holds more than what was written here: nothing of anybody's is overwritten."""
    if folder.exists() and not folder.is_dir():
        raise Invalid("there is a file of that name", where=str(folder), fix="Name another project or --folder")
    if folder.is_dir() and any(folder.iterdir()) and not _only_begun(folder):
        raise Conflict("the folder is not empty", where=str(folder), fix="Name another project or --folder")


def _only_begun(folder: Path) -> bool:
    """Whether a folder holds nothing but what this module wrote, and nothing was made of it yet."""
    ours = {"__pycache__", "project.py", *(former.name for former in _formers(folder))}
    path = folder / "project.py"
    return {one.name for one in folder.iterdir()} <= ours and path.is_file() and _MARK.encode() in path.read_bytes()


def _formers(folder: Path) -> Iterable[Path]:
    return (folder / f"project.{number}.py" for number in range(1, _MOST_FORMERS))


def project_text(draft: Draft, folder: Path, *, owner: str) -> str:
    """The text of the file for a project that will stand in the folder."""
    parts = [
        f'"""{_question(draft)} {_MARK} {_plain(draft.data.name)}; yours to change."""',
        _imports(draft),
        *_lists(draft),
        _declaration(draft, owner),
        _dataset(draft, folder),
        _model(draft),
        _policies(draft),
    ]
    return (
        "\n\n".join(part for part in parts if part)
        .replace("\n\n@", "\n\n\n@")
        .replace("\n\nproject.", "\n\n\nproject.")
        + "\n"
    )


def _question(draft: Draft) -> str:
    target = _plain(draft.target.name)
    classes = [_plain(one) for one in draft.target.classes]
    if not classes:
        return f"What is {target}?"
    if len(classes) > 6:
        return f"Which of {len(classes)} values is {target}?"
    return f"Is {target} {', '.join(classes[:-1])} or {classes[-1]}?"


def _plain(text: str) -> str:
    """A name or value as it may stand within a docstring."""
    return re.sub(r"[\s\x00-\x1f]+", " ", text.replace("\\", "/").replace('"', "'"))


def _imports(draft: Draft) -> str:
    lines = ["from pathlib import Path", "", "import polars as pl"]
    if _mends_target(draft):
        lines.append("import polars.selectors as cs")
    regression = draft.target.task == "regression"
    if draft.probe.family == "boosting":
        lines.append(f"from sklearn.ensemble import HistGradientBoosting{'Regressor' if regression else 'Classifier'}")
    else:
        if draft.taken("category"):
            lines.append("from sklearn.compose import ColumnTransformer")
        lines += [
            "from sklearn.impute import SimpleImputer",
            f"from sklearn.linear_model import {'Ridge' if regression else 'LogisticRegression'}",
            "from sklearn.pipeline import Pipeline, make_pipeline",
            f"from sklearn.preprocessing import {'OneHotEncoder, ' if draft.taken('category') else ''}StandardScaler",
        ]
    return "\n".join([*lines, "", "import kept", "from kept import at_least, at_most"])


def _lists(draft: Draft) -> list[str]:
    lists = [_list(name, [one.name for one in draft.taken(kind)]) for name, kind in _GROUPS if draft.taken(kind)]
    header = [_list("COLUMNS", draft.names, note="the file's first line is a row")] if draft.names else []
    left = [f"# {_plain(one.name)}: {one.taken} ({_plain(one.why)})" for one in draft.columns if _left_out(one.taken)]
    note = ["\n".join(["# Left out:", *left])] if left else []
    return ["\n".join([*header, *lists, *note])]


_GROUPS = (("NUMBERS", "number"), ("CATEGORIES", "category"), ("FLAGS", "flag"))


def _left_out(taken: str) -> bool:
    return taken not in {"number", "category", "flag", "target", "key", "event time"}


def _list(name: str, values: Iterable[str], note: str = "") -> str:
    inside = ", ".join(_text(value) for value in values)
    behind = f"  # {note}" if note else ""
    line = f"{name} = [{inside}]{behind}"
    if len(line) <= _WIDTH:
        return line
    # Names may hold blanks, which must not be broken at.
    held = ", ".join(_text(value).replace(" ", "\0") for value in values)
    lines = textwrap.wrap(held, _WIDTH - 4, break_long_words=False, break_on_hyphens=False)
    body = "\n".join(f"    {one}" for one in lines).replace("\0", " ")
    return f"{name} = [{behind}\n{body},\n]"


def _declaration(draft: Draft, owner: str) -> str:
    lines = ["project = kept.Project(", f"    {_text(draft.name)},"]
    lines += [f"    question={_text(_question(draft))},", f"    owner={_text(owner)},", "    objectives=["]
    for promise in draft.probe.promises:
        one = promise.objective
        lines.append(f'        {one.direction}("{one.metric}", {one.bound:g}),  # {promise.why}')
    # A model of a table is run by scikit-learn itself, not as ONNX.
    latency = 100 if draft.probe.family == "linear" and draft.taken("category") else 20
    lines += [f'        at_most("latency_p99_ms", {latency}),', '        at_most("size_mb", 20),', "    ],", ")"]
    return "\n".join(lines)


def _dataset(draft: Draft, folder: Path) -> str:
    declared = [f"label={_text(draft.target.name)}", f"features={_features(draft)}"]
    key, time = draft.taken("key"), draft.taken("event time")
    if key:
        declared.insert(0, f"key={_text(key[0].name)}")
    if time:
        declared.insert(0, f"event_time={_text(time[0].name)}")
    function = function_name(draft.data)
    reading = _reading(draft)
    call = f"kept.read_table({', '.join(['path', *reading])})"
    if len(call) > _WIDTH - 11:
        call = "kept.read_table(\n        path,\n" + "".join(f"        {one},\n" for one in reading) + "    )"
    if strange := draft.taken("not a single value"):
        call += f".drop([{', '.join(_text(one.name) for one in strange)}], strict=False)"
    body = f"    return {call}"
    if _mends_target(draft):
        body = f"    rows = {call}\n    return rows.with_columns({_mend(draft)})"
    return (
        f"DATA = {_data(draft.data, folder)}\n\n"
        f"@project.dataset({', '.join(declared)})\n"
        f"def {function}(path: Path = DATA) -> pl.DataFrame:\n"
        f'    """{_plain(draft.data.name)}"""\n'
        "    # kept predict reads its file through this function, too.\n"
        f"{body}"
    )


def _reading(draft: Draft) -> list[str]:
    """What must be said for the file to be read as it was taken."""
    said = ["names=COLUMNS"] if draft.names else []
    key, time = draft.taken("key"), draft.taken("event time")
    if draft.taken("number"):
        said.append("numbers=NUMBERS")
    texts = [_text(one.name) for one in key] + (["*CATEGORIES"] if draft.taken("category") else [])
    if texts:
        said.append("texts=CATEGORIES" if texts == ["*CATEGORIES"] else f"texts=[{', '.join(texts)}]")
    if draft.taken("flag"):
        said.append("booleans=FLAGS")
    said += [
        f"times={{{_text(one.name)}: {_text(one.form)}}}" if one.form else f"times=[{_text(one.name)}]" for one in time
    ]
    read = {*(one.name for one in draft.columns if one.used), draft.target.name}
    if more := sorted({mark for one in draft.columns for mark in one.more_marks if one.name in read}):
        said.append(f"missing=[{', '.join(_text(mark) for mark in more)}]")
    return said


def _features(draft: Draft) -> str:
    names = [name for name, taken in _GROUPS if draft.taken(taken)]
    return names[0] if len(names) == 1 else f"[{', '.join(f'*{name}' for name in names)}]"


def _mends_target(draft: Draft) -> bool:
    return draft.target.dotted or bool(draft.target.rare)


def _mend(draft: Draft) -> str:
    # A file to predict need not hold the target.
    chosen = f"cs.by_name({_text(draft.target.name)}, require_all=False)"
    if draft.target.dotted:
        chosen += '.str.strip_chars_end(".")'
    if draft.target.rare:
        rare = ", ".join(_text(one) if isinstance(one, str) else repr(one) for one in draft.target.rare)
        chosen += f".replace([{rare}], None)"
    return chosen


def function_name(data: Path) -> str:
    """The dataset's name: that of the file, where a function can bear it."""
    name = re.sub(r"[^a-z0-9]+", "_", data.stem.lower()).strip("_")[:60]
    return name if name.isidentifier() and not keyword.iskeyword(name) and name not in _TAKEN else "rows"


def _data(data: Path, folder: Path) -> str:
    """Where the data lies: beside the project it may move with it, elsewhere it stays."""
    here = folder.resolve()
    if data.resolve().is_relative_to(here.parent):
        relative = Path(os.path.relpath(data.resolve(), here)).as_posix()
        return f"Path(__file__).parent / {_text(relative)}"
    return f"Path({_text(data.resolve().as_posix())})"


def _model(draft: Draft) -> str:
    return _boosting(draft) if draft.probe.family == "boosting" else _linear(draft)


def _boosting(draft: Draft) -> str:
    kind = "HistGradientBoosting" + ("Regressor" if draft.target.task == "regression" else "Classifier")
    settings = draft.probe.settings
    rate, leaves = settings["learning_rate"], settings["max_leaf_nodes"]
    rest = {name: value for name, value in settings.items() if name not in {"learning_rate", "max_leaf_nodes"}}
    shown = "".join(f"        {name}={value!r},\n" for name, value in rest.items())
    return (
        "@project.model(\n"
        f'    task="{draft.target.task}",\n'
        "    search={\n"
        f'        "learning_rate": kept.floats(0.02, {round(2.5 * rate, 2)!r}, log=True),\n'
        f'        "max_leaf_nodes": kept.ints(4, {4 * leaves}, log=True),\n'
        "    },\n"
        f"    trials={draft.probe.trials},\n"
        ")\n"
        f"def boosted_trees(learning_rate: float = {rate!r}, max_leaf_nodes: int = {leaves!r}) -> {kind}:\n"
        f"    return {kind}(\n"
        "        learning_rate=learning_rate,\n"
        "        max_leaf_nodes=max_leaf_nodes,\n"
        f"{shown}"
        "    )"
    )


def _linear(draft: Draft) -> str:
    if draft.target.task == "regression":
        parameter, search, estimator = "alpha", "kept.floats(0.1, 100, log=True)", "Ridge(alpha=alpha)"
    else:
        parameter, search = "strength", "kept.floats(0.03, 3, log=True)"
        estimator = "LogisticRegression(C=strength, max_iter=1000)"
    numbers = 'SimpleImputer(strategy="median"), StandardScaler()'
    if draft.taken("category"):
        parts = [f'("numbers", make_pipeline({numbers}), NUMBERS)'] if draft.taken("number") else []
        parts.append('("categories", OneHotEncoder(handle_unknown="ignore", min_frequency=10), CATEGORIES)')
        inside = "".join(f"            {one},\n" for one in parts)
        body = f"    columns = ColumnTransformer(\n        [\n{inside}        ]\n    )\n    return make_pipeline(columns, {estimator})"
    else:
        body = f"    return make_pipeline({numbers}, {estimator})"
    return (
        f'@project.model(task="{draft.target.task}", search={{"{parameter}": {search}}})\n'
        f"def linear(*, {parameter}: float = 1.0) -> Pipeline:\n"
        f"{body}"
    )


def _policies(draft: Draft) -> str:
    if draft.window is None:
        rule = "at_random" if draft.target.task == "regression" else "stratified"
        return f"project.split(kept.{rule}(test=0.2, validation=0.1))"
    budget = "365d" if draft.window == "30d" else "90d"
    cooldown = "30d" if draft.window == "30d" else "7d"
    return "\n".join(
        [
            "project.split(kept.by_time(test=0.2, validation=0.1))",
            f'project.monitor(window="{draft.window}", false_alarm_every="{budget}")',
            f'project.retrain(on=[kept.drift(), kept.decay()], cooldown="{cooldown}")',
            "project.release(canary=[0.25, 1.0])",
        ]
    )


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
