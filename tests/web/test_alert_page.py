"""The buttons of the alert pages: each does what its operation does, for our own pages alone, in a real browser too."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from listening import serving
from visiting import ADDRESS, Client, Open

from kept.governance.actor import Actor
from kept.governance.journal import ListAudit, list_audit
from kept.governance.workspace import Workspace
from kept.monitoring.alert import Alert
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.incident import Incident
from kept.monitoring.incidents import ListMutes, ShowIncident, list_mutes, show_incident
from kept.web.site import make_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The browser reads what it is told from descriptor 3 and answers on 4.
_AS_3_AND_4 = (
    "import os, sys; [os.dup2(int(a), b) for a, b in zip(sys.argv[1:3], (3, 4))]; os.execv(sys.argv[3], sys.argv[3:])"
)
OWN = {"Origin": ADDRESS, "Accept": "text/html"}


@pytest.fixture
def alert(workspace: Workspace, me: Actor) -> Alert:
    request = RaiseAlert(
        project="flights",
        endpoint="flights",
        kind="drift",
        severity="warning",
        title="the inputs have drifted",
        evidence={
            "causes": ["x: its mean score went from 0 to 1"],
            "columns": [{"name": "x", "listed": True, "effect": 0.5}],
            "budget": "at most one false alarm in 90 days",
            "attribution": {"columns": [{"column": "origin", "explained": 0.25}], "slices": []},
        },
        event_time=datetime(2013, 4, 1, tzinfo=UTC),
    )
    return raise_alert(workspace, me, request)


def now(workspace: Workspace, me: Actor, alert: Alert) -> Incident:
    return show_incident(workspace, me, ShowIncident(incident=alert.id)).incident


def send(client: Client, path: str, form: dict[str, str], headers: dict[str, str] = OWN) -> tuple[int, str]:
    answer = client.post(path, data=form, headers=headers, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_an_alert_is_acknowledged_muted_and_resolved(
    open_site: Open, workspace: Workspace, me: Actor, alert: Alert
) -> None:
    client, page = open_site(), f"/alerts/{alert.id}"
    assert send(client, f"{page}/acknowledge", {"note": "a sensor", "owner": " "}) == (303, page)
    assert (now(workspace, me, alert).state, now(workspace, me, alert).note) == ("acknowledged", "a sensor")
    for what in ("kind", "column:x", "all"):
        assert send(client, f"{page}/mute", {"what": what, "length": "2h", "reason": "known"}) == (303, page)
    mutes = list_mutes(workspace, me, ListMutes())
    assert sorted((one.kind or "", one.column or "") for one in mutes) == [("", ""), ("", "x"), ("drift", "")]
    assert send(client, f"/mutes/{mutes[0].id}/end", {}) == (303, "/alerts")
    assert len(list_mutes(workspace, me, ListMutes())) == 2
    assert send(client, f"{page}/resolve", {"reason": "mended"}) == (303, page)
    assert now(workspace, me, alert).resolution == "mended"
    assert 'id="deal"' not in client.get(page).text
    done = {one.action for one in list_audit(workspace, me, ListAudit())}
    assert {"monitoring.acknowledge", "monitoring.mute", "monitoring.unmute", "monitoring.resolve"} <= done


def test_evidence_and_causes_are_shown(open_site: Open, alert: Alert) -> None:
    shown = open_site().get(f"/alerts/{alert.id}").text
    assert "<li>x: its mean score went from 0 to 1</li>" in shown
    assert "<td>at most one false alarm in 90 days</td>" in shown
    assert "<th>effect</th>" in shown
    assert "<td>origin</td><td>0.25</td>" in shown


def test_what_cannot_be_done_is_told_on_a_page(open_site: Open, alert: Alert) -> None:
    client, page = open_site(), f"/alerts/{alert.id}"
    for path, form, status, said in (
        (f"{page}/resolve", {"reason": " "}, 400, "An end needs a reason"),
        (f"{page}/mute", {"length": "long", "reason": "x"}, 400, "long"),
        (f"{page}/mute", {"length": "8h"}, 400, "A mute needs a reason"),
        ("/alerts/none/resolve", {"reason": "x"}, 404, "There is no such alert"),
        ("/mutes/none/end", {}, 404, "There is no such mute"),
    ):
        got, text = send(client, path, form)
        assert (got, said in text) == (status, True), path
    assert send(client, f"{page}/resolve", {"reason": "x"})[0] == 303
    assert send(client, f"{page}/resolve", {"reason": "x"})[0] == 409


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ADDRESS, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_page_presses_a_button(
    open_site: Open, workspace: Workspace, me: Actor, alert: Alert, headers: dict[str, str]
) -> None:
    assert send(open_site(), f"/alerts/{alert.id}/resolve", {"reason": "x"}, headers)[0] == 403
    assert now(workspace, me, alert).state == "open"


class Browser:
    """Chromium, told through a pipe what to do (the DevTools protocol)."""

    def __init__(self, folder: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        command = [sys.executable, "-c", _AS_3_AND_4, str(theirs_in), str(theirs_out), str(CHROMIUM), *options]
        self._process = subprocess.Popen(command, pass_fds=[theirs_in, theirs_out], stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self._read, self._write = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb", buffering=0)
        self._rest, self._last = b"", 0
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable", self._session)

    def open(self, url: str) -> None:
        self._call("Page.navigate", self._session, url=url)
        self._until("Page.loadEventFired")

    def press(self, form: str, **fields: str) -> str:
        """Fills a form, presses its button as a person does, and gives the path that it leads to."""
        filled = "".join(
            f"form.elements[{json.dumps(name)}].value={json.dumps(text)};" for name, text in fields.items()
        )
        choice = json.dumps(f"form[action$='{form}']")
        self._run(f"const form=document.querySelector({choice});{filled}form.querySelector('button').click()")
        self._until("Page.loadEventFired")
        return str(urlsplit(self._run("location.href")).path)

    def text(self) -> str:
        return str(self._run("document.body.innerText"))

    def stop(self) -> None:
        self._write.close()
        self._process.terminate()
        self._process.wait(60)
        self._read.close()

    def _run(self, script: str) -> Any:
        wrapped = f"(()=>{{{script}}})()" if ";" in script else script
        answer = self._call("Runtime.evaluate", self._session, expression=wrapped, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _call(self, method: str, session: str | None = None, **given: Any) -> Any:
        self._last += 1
        message = {"id": self._last, "method": method, "params": given}
        if session is not None:
            message["sessionId"] = session
        self._write.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _until(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            piece = os.read(self._read.fileno(), 65536)
            assert piece, "the browser is gone"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    one = Browser(tmp_path / "chromium")
    yield one
    one.stop()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine")
def test_a_person_presses_the_buttons(workspace: Workspace, me: Actor, alert: Alert, browser: Browser) -> None:
    with serving(make_site(workspace, me)) as address:
        page = f"/alerts/{alert.id}"
        browser.open(f"{address}{page}")
        assert browser.press("/acknowledge", note="<b>I look</b>") == page
        assert "Acknowledged by ada" in browser.text()
        assert "<b>I look</b>" in browser.text()
        assert browser.press("/mute", reason="night", what="column:x") == page
        assert "Muted until" in browser.text()
        browser.open(f"{address}/alerts")
        assert browser.press("/end") == "/alerts"
        browser.open(f"{address}{page}")
        assert browser.press("/resolve", reason="a new sensor") == page
        assert "a new sensor" in browser.text()
        assert "Deal with it" not in browser.text()
    assert now(workspace, me, alert).state == "resolved"
