import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest
from filled import HOSTILE, NAME, Filled
from visiting import ADDRESS, Client, Open

from kept.governance.workspace import Workspace
from kept.web.pages.timeline import Timeline

PAGE = {"Accept": "text/html"}
PAGES = [
    "/",
    "/models",
    "/runs",
    "/runs?kind=",
    "/runs?kind=trial",
    "/runs/compare",
    f"/runs/compare?experiment={NAME}",
    "/data",
    "/alerts",
    f"/alerts?everything=true&endpoint={NAME}",
    "/audit",
    f"/endpoints/{NAME}",
    f"/models/{NAME}/2",
    f"/data/{NAME}/{NAME}",
]
ADDRESSES = {
    "href",
    "src",
    "action",
    "xlink:href",
    "srcset",
    "data-timeline",
    "data-curves",
    "data-explanation",
    "data-comparison",
}


class Read(HTMLParser):
    """What a page holds: its elements with their attributes, its text, and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"} and self.inside:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if self.inside and data.strip():
            self.scripts.append(data)
        self.text += data

    @property
    def addresses(self) -> list[str]:
        return [value for _, found in self.elements for name, value in found.items() if name in ADDRESSES and value]

    @property
    def posted(self) -> list[str]:
        """Where its buttons lead, which is no page."""
        return [str(found["action"]) for tag, found in self.elements if tag == "form" and found["method"] == "post"]


def check(text: str) -> Read:
    """A page that holds no script of its own, nothing that runs, and leads nowhere else."""
    page = Read(text)
    assert page.scripts == []
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "base"}
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        assert tag != "script" or attributes.get("src", "").startswith("/static/")  # type: ignore[union-attr]
        assert tag != "img" or attributes.get("src", "").startswith("/static/")  # type: ignore[union-attr]
    for address in page.addresses:
        parts = urlsplit(address)
        assert not parts.scheme, address
        assert not parts.netloc, address
    return page


def addresses_of(full: tuple[Workspace, Filled]) -> list[str]:
    made = full[1]
    return [
        *PAGES,
        f"/runs/{made.run}",
        f"/runs/{made.run}?step=fit",
        f"/runs/{made.failed}",
        f"/predictions/{made.prediction}",
        f"/alerts/{made.alert}",
    ]


def test_every_page_answers_and_holds_nothing_that_runs(site: Client, full: tuple[Workspace, Filled]) -> None:
    for address in addresses_of(full):
        answer = site.get(address, headers=PAGE)
        assert answer.status_code == 200, (address, answer.text)
        check(answer.text)


def test_hostile_text_is_shown_as_text(site: Client, full: tuple[Workspace, Filled]) -> None:
    for address in [a for a in addresses_of(full) if a != "/runs?kind="]:
        text = site.get(address, headers=PAGE).text
        assert "<script>document" not in text, address
        assert "<img src=x" not in text, address
    for address in [
        "/",
        f"/models/{NAME}/1",
        "/runs",
        f"/runs/{full[1].run}",
        "/data",
        f"/predictions/{full[1].prediction}",
        "/alerts",
        f"/alerts/{full[1].alert}",
    ]:
        assert HOSTILE in Read(site.get(address, headers=PAGE).text).text, address


def test_no_link_is_broken(site: Client) -> None:
    """Follows every link from the first page."""
    seen: set[str] = set()
    waiting = ["/"]
    while waiting and len(seen) < 300:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = site.get(address, headers=PAGE)
        assert answer.status_code == 200, address
        if answer.headers["content-type"].startswith("text/html"):
            read = check(answer.text)
            found = [urljoin(f"{ADDRESS}{address}", one) for one in read.addresses if one not in read.posted]
            waiting += [one.removeprefix(ADDRESS).partition("#")[0] for one in found if one.startswith(ADDRESS)]
    assert {"/models", "/runs", "/data", "/audit", f"/endpoints/{NAME}", f"/models/{NAME}/2", "/metrics"} <= seen
    assert f"/data/{NAME}/features/weather" in seen


def test_every_answer_is_protected(site: Client) -> None:
    for address in ["/", "/nothing-here", "/api/v1/health/live", "/static/0/kept.css", "/models/none"]:
        policy = site.get(address, headers=PAGE).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src" not in policy
        assert "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy
        assert site.get(address).headers["x-content-type-options"] == "nosniff"


def test_the_first_page_shows_the_loop(site: Client) -> None:
    page = Read(site.get("/", headers=PAGE).text)
    groups = [found.get("class") or "" for tag, found in page.elements if tag == "g"]
    stages = [one for one in groups if "stage" in one]
    # One ring for wide screens, one for telephones, which say the same.
    assert len(stages) == 20
    assert [one.removesuffix(" left").removesuffix(" right") for one in stages[10:]] == stages[:10]
    for name in ("plan", "data", "features", "train", "judge", "release", "serve", "watch", "decide", "retrain"):
        assert f"{name}: " in page.text
    assert "stage active" in stages
    assert "no service is up" in page.text
    assert "75%" in page.text
    assert "25%" in page.text
    assert "ROC AUC" in page.text


def test_serving_is_shown_against_training_and_the_store(site: Client) -> None:
    text = " ".join(Read(site.get(f"/endpoints/{NAME}", headers=PAGE).text).text.split())
    assert "the first 100 rows of serving, from 2013-04-10 on, do not differ surely from the training rows" in text
    assert "30% to 50%above what is declared" in text


def test_estimates_stand_beside_what_labels_said(site: Client) -> None:
    text = Read(site.get(f"/endpoints/{NAME}", headers=PAGE).text).text
    assert "Estimated before labels came" in text
    assert "estimates of roc_auc were" in text
    assert "40% of the rows have a value of" in text
    assert "blind to concept drift" in text


def test_an_empty_workspace_says_how_to_begin(open_site: Open) -> None:
    client = open_site()
    for address in ["/", "/models", "/runs", "/data", "/audit", "/audit?verify=true"]:
        answer = client.get(address, headers=PAGE)
        assert answer.status_code == 200
        check(answer.text)
    assert "kept init" in client.get("/", headers=PAGE).text


def test_the_timeline_tells_what_happened(site: Client) -> None:
    found = msgspec.json.decode(site.get(f"/endpoints/{NAME}/timeline.json").content, type=Timeline)
    series = found.metrics[0]
    assert (series.name, series.bound, series.direction) == ("ROC AUC", 0.6, "at_least")
    assert len(series.points) == 10
    assert {one.version for one in series.points} == {1}
    assert {one.version for one in series.others} == {2}
    assert [one.holds for one in series.points].index(False) == 6
    (drift,) = found.detectors
    assert drift.shares[-1] == pytest.approx(0.95)
    assert {one.lane for one in found.events} == {"alarm", "retrain", "release", "promote"}
    assert list(found.events) == sorted(found.events, key=lambda one: one.time)


def test_what_is_not_there_is_said_in_words_or_json(site: Client) -> None:
    for address in ["/nothing", "/models/none", "/models/flights/99", "/runs/none", "/data/no/such", "/endpoints/none"]:
        page = site.get(address, headers=PAGE)
        assert page.status_code == 404
        assert "There is nothing here" in check(page.text).text
        assert site.get(address).json()["error"] == "NotFound"
    assert site.get(f"/models/{HOSTILE}", headers=PAGE).status_code == 404
    check(site.get(f"/models/{HOSTILE}", headers=PAGE).text)
    assert site.get("/predictions/not-an-id", headers=PAGE).status_code == 400
    assert site.get("/models?bounds=roc_auc+is+good", headers=PAGE).status_code == 400


def test_a_prediction_is_found_by_its_id(site: Client, full: tuple[Workspace, Filled]) -> None:
    answer = site.get("/predictions", params={"id": f" {full[1].prediction} "}, headers=PAGE, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/predictions/{full[1].prediction}"
    chart = site.get(f"/predictions/{full[1].prediction}/explanation.json")
    assert "manifest" in chart.json()["error"]
    away = site.get("/predictions", params={"id": "//elsewhere.example"}, headers=PAGE, follow_redirects=False)
    assert urlsplit(away.headers["location"]).netloc == ""
    assert away.headers["location"].startswith("/predictions/")


def test_the_audit_chain_is_verified_on_demand(site: Client) -> None:
    assert "whole" in Read(site.get("/audit?verify=true", headers=PAGE).text).text


def test_static_files_are_cached_by_what_they_hold(site: Client) -> None:
    page = Read(site.get("/", headers=PAGE).text)
    plotly = next(one for one in page.addresses if one.endswith("plotly.min.js"))
    answer = site.get(plotly)
    assert answer.status_code == 200
    assert "plotly" in answer.text[:2000].lower()
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert site.get(plotly, headers={"Accept-Encoding": "identity"}).headers.get("content-encoding") is None
    assert site.get("/static/000000000000/kept.css").headers["cache-control"] == "no-cache"
    for name in ("nothing.css", "..%2f..%2fsite.py", "site.py", ".."):
        assert site.get(f"/static/0/{name}").status_code == 404


def test_our_own_scripts_make_nothing_run_from_text() -> None:
    from kept.web.assets import load  # noqa: PLC0415

    for name in ("kept.js", "runs.js", "timeline.js"):
        text = load(name).data.decode()
        assert not re.search(
            r"\beval\b|innerHTML\s*=(?!=)|insertAdjacentHTML|document\.write|new Function|https?://", text
        )


def test_the_page_of_a_version_says_why_it_was_trained_and_how_it_came_to_serve(
    site: Client, full: tuple[Workspace, Filled]
) -> None:
    first = site.get(f"/models/{NAME}/1", headers=PAGE).text
    assert "It is the first version of this endpoint." in first
    assert f'href="/endpoints/{NAME}"' in first
    assert HOSTILE not in first
