"""The model card as Markdown."""

from collections.abc import Iterable

from kept.core.clock import format_time
from kept.evaluation.gate import ObjectiveResult
from kept.evaluation.report import EvaluationReport
from kept.measures.intervals import Interval
from kept.registry.card import Lineage
from kept.registry.version import ModelVersion


def render_markdown(version: ModelVersion) -> str:
    """The card of a version as Markdown. What people named is escaped: it cannot become markup."""
    card, verdict = version.card, version.verdict
    sections = [
        f"# {_text(version.model)}, version {version.number}",
        _text(card.lineage.question),
        f"**{version.status.capitalize()}.** "
        + (" ".join(map(_text, verdict.reasons)) or "It keeps every objective of its project."),
        _facts(version),
        "## Objectives",
        _table(["objective", "value", "margin", "holds"], [_objective(one) for one in verdict.objectives]),
        _list(one.sentence for one in verdict.objectives),
    ]
    if verdict.checks:
        sections += ["## Comparisons", _list(one.sentence for one in verdict.checks)]
    sections += ["## Measured", *_measured(card.report)]
    sections += ["## Made from", *_made_from(card.lineage)]
    sections += ["## Limits", _list(card.limits) or "None are known."]
    return "\n\n".join(part for part in sections if part) + "\n"


def _facts(version: ModelVersion) -> str:
    lineage = version.card.lineage
    rows = [
        ("owner", lineage.owner),
        ("project", version.project),
        ("estimator", lineage.estimator),
        ("registered", f"{format_time(version.created_at)} by {version.created_by}"),
        ("run", version.run_id or ""),
        ("bundle", version.bundle),
        ("runtime", lineage.runtime),
        ("code", lineage.code or ""),
        ("environment", lineage.environment or ""),
        ("seeds", ", ".join(f"{name} {seed}" for name, seed in lineage.seeds.items())),
    ]
    return _table(["", ""], [row for row in rows if row[1]])


def _objective(one: ObjectiveResult) -> tuple[str, str, str, str]:
    return (one.objective.name, _number(one.value), _number(one.margin), "yes" if one.passed else "no")


def _measured(report: EvaluationReport) -> list[str]:
    parts = [
        f"On {report.rows:,} test rows, with 95% intervals.",
        _table(
            ["metric", "value", "interval"],
            [(name, _number(one.estimate), _ends(one)) for name, one in report.metrics.items()]
            + [(name, _number(value), "") for name, value in report.operational.items()],
        ),
    ]
    for group in report.slices:
        parts.append(f"### {_text(group.metric)} by {_text(group.by)}")
        lines: list[tuple[str, ...]] = [
            (one.value, f"{one.rows:,}", _number(one.measured.estimate), _ends(one.measured), one.note)
            for one in group.slices
        ]
        parts.append(_table([group.by, "rows", group.metric, "interval", ""], lines))
        if group.unlisted:
            parts.append(f"{group.unlisted:,} further slices are too small to be judged.")
    if report.calibration is not None:
        curve = report.calibration
        bins = zip(curve.mean_score, curve.observed, curve.rows, strict=True)
        parts += [
            "### Calibration",
            _table(["claimed", "observed", "rows"], [(f"{c:.3f}", f"{o:.3f}", f"{n:,}") for c, o, n in bins]),
        ]
    if report.confusion:
        names = [str(name) for name in report.classes]
        cells: list[tuple[str, ...]] = [
            (name, *(f"{n:,}" for n in row)) for name, row in zip(names, report.confusion, strict=True)
        ]
        parts += ["### True classes (rows) and predicted ones (columns)", _table(["", *names], cells)]
    return parts


def _made_from(lineage: Lineage) -> list[str]:
    data = [
        (f"{one.dataset}, version {one.number}", f"{one.rows:,}", one.fingerprint, one.source) for one in lineage.data
    ]
    learnt = f"{lineage.training_rows:,} rows to learn from; " if lineage.adopted is None else ""
    parts = [
        *_adopted(lineage),
        _table(["data", "rows", "fingerprint", "source"], data) if data else "",
        f"{learnt}{len(lineage.features)} features: " + ", ".join(map(_text, lineage.features)) + ".",
    ]
    if lineage.views:
        views = ", ".join(f"{_text(name)} version {number}" for name, number in lineage.views.items())
        parts.append(f"Feature views: {views}.")
    if lineage.parameters:
        parts.append(_table(["parameter", "value"], [(name, str(one)) for name, one in lineage.parameters.items()]))
    return parts


def _adopted(lineage: Lineage) -> list[str]:
    """Where a model comes from that Kept did not train."""
    if lineage.adopted is None:
        return []
    one = lineage.adopted
    rows = [
        ("taken over from", f"{one.model}, version {one.number}" if one.number else ""),
        ("source", one.source),
        ("run", one.run_id or ""),
        ("logged model", one.logged_model or ""),
        ("flavour", f"{one.flavour} {one.made_with}"),
        *((f"its class {theirs}", f"is the project's {ours}") for theirs, ours in sorted(one.classes.items())),
        *((name, digest) for name, digest in sorted(one.files.items())),
    ]
    return [_table(["", ""], [row for row in rows if row[1]]), *(["It was judged on:"] if lineage.data else [])]


def _table(heads: list[str], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [[_text(head) for head in heads], ["---"] * len(heads), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {_text(one)}" for one in sentences)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _ends(one: Interval) -> str:
    return "" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"


def _text(text: str) -> str:
    """The text with everything escaped that Markdown or HTML would act on, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`|*[]":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
