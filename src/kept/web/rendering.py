"""Pages from templates. Every value is escaped; only the templates themselves are markup."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from litestar import Response

from kept import __version__
from kept.core.clock import format_time
from kept.web.assets import address

_DASH = "\N{EN DASH}"
_ACRONYMS = {
    word.lower(): word for word in ("ROC", "AUC", "F1", "MAE", "RMSE", "MSE", "MAPE", "R2", "p50", "p99", "ms", "MB")
}
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


def render(template: str, *, status_code: int = 200, **facts: Any) -> Response[bytes]:
    """The page that a template makes of facts."""
    text = _ENVIRONMENT.get_template(template).render(**facts)
    return Response(text.encode(errors="replace"), status_code=status_code, media_type="text/html; charset=utf-8")


def number(value: float | None) -> str:
    """A measured value with four significant digits."""
    if value is None:
        return _DASH
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else _DASH
    if isinstance(value, int) or (abs(value) < 1e15 and value == round(value)):
        return f"{int(value):,}"
    return f"{value:.4g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.2e}"


def metric(name: str) -> str:
    """A metric's name as people write it: `roc_auc` is ROC AUC."""
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))


def share(value: float | None) -> str:
    """A part of one as a percentage."""
    return _DASH if value is None else f"{value:.2%}" if 0 < value < 0.01 else f"{100 * value:.3g}%"


def moment(value: datetime | None) -> str:
    """A time in UTC to the minute, without the hour where it is midnight."""
    if value is None:
        return _DASH
    utc = value.astimezone(UTC)
    return f"{utc:%Y-%m-%d}" if (utc.hour, utc.minute) == (0, 0) else f"{utc:%Y-%m-%d %H:%M}"


def age(value: datetime | None, now: datetime) -> str:
    """How long ago something was, in its largest unit; the date after a month."""
    if value is None:
        return _DASH
    seconds = (now - value).total_seconds()
    if seconds > 30 * 86_400:
        return moment(value)
    for size, unit in _AGES:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(int(seconds), 0)} s ago"


def span(start: datetime | None, end: datetime | None) -> str:
    """How long something took."""
    if start is None or end is None:
        return _DASH
    seconds = max((end - start).total_seconds(), 0.0)
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds) // 60
    return f"{minutes} min {round(seconds) % 60} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def sentence(text: str) -> str:
    """A text with a capital at its beginning, unless it begins with a name such as `roc_auc`."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].rstrip(",:;").isalpha() else text


def digest(value: str | None) -> str:
    """The first signs of a digest or an id."""
    return _DASH if not value else value.removeprefix("sha256:")[:12]


def segment(value: object) -> str:
    """A name as one part of a path."""
    return quote(str(value), safe="")


def shown(value: Any) -> str:
    """Any plain value, as people read it."""
    if value is None:
        return _DASH
    if isinstance(value, dict) and value.keys() == {"start", "end"}:
        return f"{shown(value['start'])} to {shown(value['end'])}"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {shown(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in value)
    if isinstance(value, int | float):
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else number(value)
    return moment(value) if isinstance(value, datetime) else str(value)


def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for one in (number, metric, share, moment, age, span, sentence, digest, segment, shown):
        made.filters[one.__name__] = one
    made.filters["iso"] = format_time
    made.globals.update(asset=address, version=__version__)
    return made


_ENVIRONMENT = _environment()
