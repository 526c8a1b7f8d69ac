"""`kept alerts`: what people should know of, who deals with it, and what the loop did about it."""

from typing import Annotated, cast

import typer

from kept.app.connection import Connection
from kept.cli.options import Json, Workspace, settings_for
from kept.cli.reach import connect
from kept.cli.show import lines, print_json, say, short, text
from kept.core.clock import parse_time
from kept.core.errors import Invalid, NotFound
from kept.loop.incident_answers import ShowAnswer, show_answer
from kept.monitoring.alert import Kind
from kept.monitoring.incident import Incident, Mute
from kept.monitoring.incidents import (
    Acknowledge,
    ListIncidents,
    ListMutes,
    MuteAlerts,
    Resolve,
    ShowIncident,
    Unmute,
    acknowledge,
    list_incidents,
    list_mutes,
    mute,
    resolve,
    show_incident,
    unmute,
)
from kept.monitoring.wording import ON_THE_PAGE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_STYLES = {"critical": "red", "warning": "yellow", "info": "dim"}
_SEARCHED = 1_000
_FACTS = 20

Id = Annotated[str, typer.Argument(help="The alert's id, or its end.")]
OfEndpoint = Annotated[str | None, typer.Option("--endpoint", help="Only those of this endpoint.")]


@app.command("list")
def list_(
    endpoint: OfEndpoint = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were resolved, too.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 50,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """List alerts that nobody has resolved, the one raised last first, and the mutes in force."""
    connection = connect(settings_for(workspace))
    request = ListIncidents(endpoint=endpoint, standing=not everything, limit=limit)
    found = connection.call(list_incidents, request)
    if as_json:
        print_json(found)
        return
    if not found:
        say("No alerts.")
    else:
        say(("Alerts", "bold"))
        lines([(short(one.id), (one.severity, _STYLES[one.severity]), _told(one)) for one in found])
    mutes = connection.call(list_mutes, ListMutes(endpoint=endpoint))
    lines([(("muted", "cyan"), short(one.id), f"{_muted(one)} until {text(one.until)}: {one.reason}") for one in mutes])


@app.command()
def show(alert: Id, workspace: Workspace = None, as_json: Json = False) -> None:
    """Show an alert: its evidence, who was told, and what the loop did about it."""
    connection = connect(settings_for(workspace))
    found = connection.call(show_incident, ShowIncident(incident=_id(connection, alert)))
    if as_json:
        print_json(found)
        return
    one = found.incident
    say((one.severity, _STYLES[one.severity]), f" {one.endpoint}: {one.title}")
    facts = [
        ("id", one.id),
        ("state", one.state if found.muted_until is None else f"{one.state}, muted until {text(found.muted_until)}"),
        ("owner", one.owner),
        ("raised", _raised(one)),
        ("note", one.note),
        ("resolved", f"{text(one.resolved_at)} by {one.resolved_by}: {one.resolution}" if one.resolved_by else ""),
    ]
    lines([(name, value) for name, value in facts if value])
    say(("evidence", "bold"))
    evidence = found.alerts[0].evidence
    told = [name for name in evidence if name not in ON_THE_PAGE or "causes" not in evidence]
    lines([(name.replace("_", " "), _fact(evidence[name])) for name in told[:_FACTS]])
    say(("told", "bold"))
    lines([(notice.target, notice.about, text(notice.delivered_at), notice.error or "") for notice in found.notices])
    if not found.notices:
        say("  nobody; the settings alert_email, alert_chat and webhook_url say who shall be")
    say(("what the loop did", "bold"))
    decisions = connection.call(show_answer, ShowAnswer(incident=one.id))
    lines(
        [((each.kind.replace("_", " "), "cyan"), text(each.event_time or each.at), each.reason) for each in decisions]
    )
    if not decisions:
        say("  nothing yet")
    if one.state != "resolved":
        say(("what you can do", "bold"))
        ways = [] if one.state == "acknowledged" else [("answer for it", f"kept alerts ack {short(one.id)} --note ...")]
        ways.append(("end it", f"kept alerts resolve {short(one.id)} --reason ..."))
        ways.append(("see what served", f"kept history {one.endpoint}"))
        ways.append(("bring the version before back", f"kept rollback --endpoint {one.endpoint} --reason ..."))
        lines(ways)


@app.command()
def ack(
    alert: Id,
    note: Annotated[str, typer.Option("--note", help="What is known, for the others.")] = "",
    owner: Annotated[str | None, typer.Option("--owner", help="Who deals with it; you by default.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Answer for an alert: nobody else is told of it."""
    connection = connect(settings_for(workspace))
    found = connection.call(acknowledge, Acknowledge(incident=_id(connection, alert), note=note, owner=owner))
    print_json(found) if as_json else say(f"{found.owner} deals with it: {found.title}")


@app.command("resolve")
def resolve_(
    alert: Id,
    reason: Annotated[str, typer.Option("--reason", help="What was done, or why nothing need be.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Say that an alert is over. The same condition opens another one when it is raised again."""
    connection = connect(settings_for(workspace))
    found = connection.call(resolve, Resolve(incident=_id(connection, alert), reason=reason))
    print_json(found) if as_json else say(f"Resolved: {found.title}")


@app.command("mute")
def mute_(
    endpoint: Annotated[str, typer.Argument(help="The endpoint.")],
    until: Annotated[str, typer.Option("--until", help="A moment, or so long from now on: 8h.")],
    reason: Annotated[str, typer.Option("--reason", help="Why nobody needs to be told.")],
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind: drift, decay, quality, ...")] = None,
    column: Annotated[str | None, typer.Option("--column", help="Only what is about this column alone.")] = None,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Tell nobody of an endpoint's alerts for a time. They are raised, kept and acted on as before."""
    if kind is not None and kind not in Kind.__args__:  # type: ignore[attr-defined]
        known = ", ".join(Kind.__args__)  # type: ignore[attr-defined]
        raise Invalid(f"{kind!r} is not a kind of alert", where="--kind", fix=f"Choose from {known}")
    moment = parse_time(until, where="--until") if "-" in until else None
    request = MuteAlerts(
        endpoint=endpoint,
        reason=reason,
        until=moment,
        length=until if moment is None else None,
        kind=cast("Kind | None", kind),
        column=column,
    )
    made = connect(settings_for(workspace)).call(mute, request)
    print_json(made) if as_json else say(
        f"Muted until {text(made.until)}: {_muted(made)}. End it: kept alerts unmute {made.id}"
    )


@app.command("unmute")
def unmute_(
    muted: Annotated[str, typer.Argument(metavar="MUTE", help="The mute's id, or its end.")],
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """End a mute before its time: what it kept quiet and is still open is told."""
    connection = connect(settings_for(workspace))
    ids = [one.id for one in connection.call(list_mutes, ListMutes())]
    ended = connection.call(unmute, Unmute(mute=_full(muted, ids) or muted))
    print_json(ended) if as_json else say(f"No longer muted: {_muted(ended)}")


def _id(connection: Connection, given: str) -> str:
    """The id that is meant by its end; what is given where it is whole, as that of an alert in a mail is."""
    ids = [one.id for one in connection.call(list_incidents, ListIncidents(limit=_SEARCHED))]
    return _full(given, ids) or given


def _full(given: str, ids: list[str]) -> str | None:
    found = [one for one in ids if one.endswith(given)]
    if len(found) > 1:
        raise NotFound(f"{len(found)} ids end so", where=given, fix="Give more of it")
    return found[0] if found else None


def _told(one: Incident) -> str:
    """What it is, whose, and since when."""
    owner = f", {one.owner}" if one.owner else ""
    return f"{one.endpoint}: {one.title}\n{one.state}{owner}, raised {_raised(one)}"


def _raised(one: Incident) -> str:
    first = text(one.first_at)
    return first if one.alerts == 1 else f"{one.alerts} times, first {first}, last {text(one.last_at)}"


def _muted(one: Mute) -> str:
    parts = [one.kind or "everything", *([f"about {one.column}"] if one.column else []), f"of {one.endpoint}"]
    return " ".join(parts)


def _fact(value: object) -> str:
    if isinstance(value, dict) and value.keys() == {"start", "end"}:
        return f"{_fact(value['start'])} to {_fact(value['end'])}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_fact(one) for one in value)
    return text(value)
