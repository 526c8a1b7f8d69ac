"""Where the settings say that traces go."""

import importlib

from kept import __version__
from kept.core.errors import Invalid
from kept.core.spans import Traces
from kept.settings.settings import Settings


def traces_of(settings: Settings, service: str) -> Traces | None:
    """The traces of a process with this name; None where no collector is named: then nothing of them is even loaded.

    Raises:
        Invalid: `kept[otel]` is not installed, or a header is none.
    """
    if not settings.traces_url:
        return None
    headers: dict[str, str] = {}
    for given in settings.traces_headers.split():
        name, sign, value = given.partition("=")
        if not name or not sign:
            fix = "Write name=value, with a space between headers"
            raise Invalid("it is no header", where="traces_headers", fix=fix)
        headers[name.lower()] = value
    try:
        otlp = importlib.import_module("kept.core.otlp")
    except ModuleNotFoundError as error:
        what = f"traces need the package {error.name!r}"
        raise Invalid(what, where="traces_url", fix="Install kept[otel], or leave traces_url empty") from error
    return Traces(otlp.Otlp(settings.traces_url, headers, service, __version__), settings.traces_share)
