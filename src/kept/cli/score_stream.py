"""`kept score-stream`: predictions for the messages of a topic, as they come."""

import importlib
import re
import signal
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from prometheus_client import start_http_server
from rich.status import Status

from kept.app.streaming.counts import StreamCounts, Streamed
from kept.app.streaming.endpoints import endpoint_for
from kept.app.streaming.judging import Beside
from kept.app.streaming.log import StreamLog
from kept.app.streaming.models import CurrentModel
from kept.app.streaming.stream import StreamScorer, Topics
from kept.app.supervisor import stop_with_parent
from kept.app.workspace import embedded_actor
from kept.cli.bundles import version_of
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import open_here
from kept.cli.show import errors, print_json, say
from kept.core.errors import Invalid
from kept.registry.version_name import FORMS
from kept.serving.logrules import log_rules

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_LOOK_SECONDS = 5.0
_STRANGE = re.compile(r"[^a-zA-Z0-9._-]+")


@app.command()
def main(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help=f"NAME (what serves, else the newest), {FORMS}; looked up again.")
    ],
    source: Annotated[str, typer.Argument(help="Topic with a JSON object a message, the model's inputs by name.")],
    to: Annotated[str, typer.Argument(help="Topic that answers go to, with the key of their message.")],
    brokers: Annotated[str, typer.Option("--brokers", help="HOST:PORT of Kafka, with commas.")] = "127.0.0.1:9092",
    group: Annotated[
        str | None, typer.Option("--group", help="Consumer group; kept-MODEL by default. Its processes share the work.")
    ] = None,
    dead_letters: Annotated[
        str | None, typer.Option("--dead-letters", help="Topic that bad messages go to; TO-dead-letters by default.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Whose prediction log it is; where the model serves by default.")
    ] = None,
    key: Annotated[str, typer.Option("--key", help="Field to join labels by; the message's key by default.")] = "",
    event_time: Annotated[
        str, typer.Option("--event-time", help="Field with the time of what is predicted; the message's by default.")
    ] = "",
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=100_000, help="Messages scored at a time, at most.")
    ] = 5_000,
    wait: Annotated[
        float, typer.Option("--wait", min=0.001, max=60, help="Seconds that a message may wait for others.")
    ] = 0.5,
    config: Annotated[
        Path | None, typer.Option("--config", help="File of the client's settings (SASL, TLS, ...), name=value lines.")
    ] = None,
    metrics_port: Annotated[int, typer.Option("--metrics-port", help="Port for Prometheus; 0 for none.")] = 0,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Score messages as they come, at least once each, until Ctrl-C. A repeat has the same prediction id, and is logged once."""
    stop_with_parent()
    kafka = _kafka()
    settings = settings_for(workspace)
    opened = open_here(settings, create=False)
    actor = embedded_actor(settings, "cli")
    log_of = endpoint_for(opened, version_of(model, opened, actor).model, endpoint)
    group = group or f"kept-{_STRANGE.sub('-', model)}"
    topics = Topics(answers=to, dead_letters=dead_letters or f"{to}-dead-letters")
    properties = {} if config is None else kafka.read_properties(config)
    counts = StreamCounts()
    with (
        tempfile.TemporaryDirectory(prefix="kept-") as scratch,
        kafka.Kafka(brokers, group, source, (topics.answers, topics.dead_letters), properties) as stream,
    ):
        current = CurrentModel(
            lambda: version_of(model, opened, actor),
            opened,
            Path(scratch),
            endpoint=log_of,
            stream=stream.stream,
            beside=Beside(event_time=event_time, key=key),
            every=_LOOK_SECONDS,
        )
        log = StreamLog(opened.tables, opened.clock, log_of, stream.stream, log_rules(settings))
        scorer = StreamScorer(stream, stream, topics, current, log, counts, most=batch, wait=wait)
        if metrics_port:
            start_http_server(metrics_port, settings.host, counts.registry())
        if not as_json:
            errors.print(f"Scoring {source} as {group}, until Ctrl-C", markup=False, highlight=False)
        _until_stopped(scorer, counts)
    _tell(counts.streamed(), to, as_json=as_json)


def _kafka() -> Any:
    """What knows Kafka. Its client is only there where it is wanted."""
    try:
        return importlib.import_module("kept.app.streaming.kafka")
    except ModuleNotFoundError as error:
        what = f"streams need the package {error.name!r}"
        raise Invalid(what, where="score-stream", fix="Install kept[kafka]") from error


def _until_stopped(scorer: StreamScorer, counts: StreamCounts) -> None:
    """Turn by turn; a signal lets the turn that runs end."""
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    shown = errors.status(_line(counts.streamed())) if errors.is_terminal else nullcontext()
    with shown as status:
        while not stopped.is_set():
            if scorer.turn() and isinstance(status, Status):
                status.update(_line(counts.streamed()))


def _line(found: Streamed) -> str:
    return f"scored {found.scored:,}, refused {found.refused:,}, behind {found.behind:,}, version {found.version}"


def _tell(found: Streamed, to: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    again = f" ({found.repeats:,} of them again)" if found.repeats else ""
    say((to, "bold"), f": {found.scored:,} messages scored{again}, {found.refused:,} refused")
