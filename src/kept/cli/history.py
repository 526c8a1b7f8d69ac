"""`kept history`: which version served when, and why."""

from typing import Annotated

import typer

from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.routes import arms
from kept.cli.show import lines, print_json, say, text
from kept.core.clock import parse_time
from kept.deployment.catalog import ShowHistory, show_history

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    endpoint: Annotated[str, typer.Argument(help="The endpoint.")],
    at: Annotated[str | None, typer.Option(help="A moment, for example 2013-04-20T12:00:00Z.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many routes.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """See which version was serving at a moment, by the clock and by event time, and why."""
    moment = None if at is None else parse_time(at, where="--at")
    request = ShowHistory(endpoint=endpoint, at=moment, limit=limit)
    found = connect(settings_for(workspace)).call(show_history, request)
    if as_json:
        print_json(found)
        return
    if at is not None:
        for name, route in (("by the clock", found.by_processing_time), ("by event time", found.by_event_time)):
            say((name, "bold"), f": {arms(route.arms)}. {route.reason}" if route else ": nothing")
        return
    say((f"What {endpoint} served", "bold"), ", newest first")
    for one in found.routes:
        told = "" if one.event_time is None else f", at event time {text(one.event_time)}"
        say((f"{one.revision:>4}  {text(one.at)}", "dim"), f"  {arms(one.arms)}")
        lines([("    ", f"by {one.set_by}{told}: {one.reason}")])
