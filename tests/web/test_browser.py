"""The pages in a real browser: the chart is drawn under the content security policy, and hostile text stays text."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from filled import NAME, Filled
from listening import serving
from litestar import Litestar, Response, get

from kept.governance.actor import owner
from kept.governance.workspace import Workspace
from kept.web.assets import load
from kept.web.site import make_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine")


@pytest.fixture(scope="module")
def address(full: tuple[Workspace, Filled]) -> Iterator[str]:
    """A server that listens."""
    with serving(make_site(full[0], owner("ada", "api"))) as found:
        yield found


def dom(url: str, folder: Path) -> tuple[str, str]:
    """The document once its scripts have run, and what was written to the console."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    command = [str(CHROMIUM), *options, f"--user-data-dir={folder}", "--virtual-time-budget=4000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def test_the_first_page_draws_its_chart_and_runs_nothing_else(address: str, tmp_path: Path) -> None:
    shown, console = dom(f"{address}/", tmp_path)
    assert "main-svg" in shown, console
    assert "<title>Loop · Kept</title>" in shown
    assert "Content Security Policy" not in console
    assert "Error" not in console


@pytest.mark.parametrize(
    ("printed", "title"),
    [
        ("#/experiments/1/runs/{run}", "{run}"),
        (f"#/models/{NAME}/versions/1", "v1 · Kept</title>"),
        ("#/experiments/0", "<title>Runs · Kept</title>"),
        ("#/nothing", "<title>Loop · Kept</title>"),
    ],
)
def test_addresses_that_clients_of_mlflow_print_lead_to_our_pages(
    address: str, full: tuple[Workspace, Filled], tmp_path: Path, printed: str, title: str
) -> None:
    run = full[1].run
    shown, console = dom(f"{address}/{printed.format(run=run)}", tmp_path)
    assert title.format(run=run) in shown, console
    assert "Content Security Policy" not in console


def test_a_prediction_says_why_it_cannot_be_explained(
    address: str, full: tuple[Workspace, Filled], tmp_path: Path
) -> None:
    shown, console = dom(f"{address}/predictions/{full[1].prediction}", tmp_path)
    assert "this is not a manifest" in shown, console
    assert "Content Security Policy" not in console


def test_runs_that_are_ticked_stay_ticked_when_the_list_is_brought_up_to_date(tmp_path: Path) -> None:
    asked = 0

    @get("/", sync_to_thread=False)
    def page() -> Response[str]:
        nonlocal asked
        asked += 1
        boxes = "".join(f'<input type="checkbox" value="{run}">' for run in "abc")
        # A note is left in the title, as a tick is no part of the document that the browser writes out.
        tick = 'document.querySelector("[value=b]").checked = true'
        note = 'document.title = [...document.querySelectorAll(":checked")].map((one) => one.value).join()'
        script = f'{tick}; document.addEventListener("kept:fresh", () => {{ {note} }});'
        live = f'<div id="runs" data-live="0.2">{boxes}{asked}</div>'
        return Response(f'{live}<script>{script}</script><script src="/kept.js"></script>', media_type="text/html")

    @get("/kept.js", sync_to_thread=False)
    def code() -> Response[bytes]:
        return Response(load("kept.js").data, media_type="text/javascript")

    with serving(Litestar([page, code])) as found:
        shown, console = dom(found, tmp_path)
    assert asked > 1, console
    assert "<title>b</title>" in shown, console


@pytest.mark.parametrize("page", [f"/models/{NAME}/1", f"/endpoints/{NAME}", f"/runs/compare?experiment={NAME}"])
def test_hostile_text_does_not_run(address: str, tmp_path: Path, page: str) -> None:
    shown, console = dom(f"{address}{page}", tmp_path)
    assert "<title>taken</title>" not in shown
    assert "Content Security Policy" not in console
