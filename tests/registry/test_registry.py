from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from kept.core.errors import Conflict, Forbidden, Invalid, NotFound
from kept.core.ids import new_id
from kept.evaluation.comparison import compare
from kept.evaluation.gate import judge
from kept.evaluation.report import evaluate
from kept.governance.actor import Actor, Permission, automation, owner
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.governance.workspace import Workspace
from kept.plan.objective import at_least, at_most
from kept.registry.card import DataSource, Lineage, write_card
from kept.registry.catalog import (
    DropAlias,
    ListVersions,
    RegisterVersion,
    SearchVersions,
    SetAlias,
    ShowVersion,
    drop_alias,
    list_versions,
    register_version,
    search_versions,
    set_alias,
    show_version,
)
from kept.registry.consent import Approve, Waive, approve, waive
from kept.registry.markdown import render_markdown
from kept.registry.metric_bounds import parse_bounds
from kept.registry.version import ModelVersion

pytestmark = pytest.mark.each_database

Prepare = Callable[..., RegisterVersion]


@pytest.fixture
def prepare(workspace: Workspace) -> Prepare:
    """Makes the request that registers a judged model; `bound` is the AUC that it is held to."""

    def make(
        *, bound: float = 0.5, model: str = "flights", run_id: str | None = None, seed: int = 0
    ) -> RegisterVersion:
        random = np.random.default_rng(seed)
        scores = random.random(300)
        labels = (random.random(300) < scores).astype(float)
        frame = pl.DataFrame({"origin": ["EWR"] * 160 + ["JFK"] * 130 + ["<b>|LGA"] * 10})
        objectives = [at_least("roc_auc", bound), at_least("roc_auc", 0.4, by="origin"), at_most("size_mb", 20)]
        report = evaluate("binary", ("on time", "late"), scores, labels, frame, objectives, {"size_mb": 1.5}, seed=0)
        baseline = compare("binary", (0, 1), labels, scores, np.full(300, 0.5), name="baseline", seed=0)
        bundle = workspace.blobs.put(f"bundle {model} {seed}".encode())
        lineage = Lineage(
            question="Will it land <script>late</script>?",
            owner="ops@example.org",
            estimator="boosted_trees",
            data=(DataSource(dataset="flights", number=3, fingerprint="sha256:1", rows=1_000, quarantined=4),),
            features=("distance", "carrier"),
            parameters={"learning_rate": 0.1},
            training_rows=700,
            run_id=run_id,
            bundle=bundle,
            seeds={"run": 7},
        )
        return RegisterVersion(
            project="flights",
            model=model,
            bundle=bundle,
            run_id=run_id,
            verdict=judge(objectives, report, baseline=baseline),
            card=write_card(lineage, report, baseline=baseline),
        )

    return make


def test_a_version_comes_back_as_it_was_registered(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    version = register_version(workspace, me, prepare(run_id=new_id()))
    assert (version.number, version.status, version.created_by) == (1, "accepted", "ada")
    assert show_version(workspace, me, ShowVersion(model="flights")).version == version
    assert msgspec.json.decode(msgspec.json.encode(version), type=ModelVersion) == version


def test_a_run_registers_once(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    request = prepare(run_id=new_id())
    assert register_version(workspace, me, request) == register_version(workspace, me, request)
    other = msgspec.structs.replace(request, bundle=workspace.blobs.put(b"another"))
    with pytest.raises(Conflict, match="registered version 1 with another bundle"):
        register_version(workspace, me, other)
    assert len(list_versions(workspace, me, ListVersions())) == 1


def test_parallel_registrations_number_without_a_gap(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    request = prepare()

    def register(_: int) -> int:
        return register_version(workspace, me, msgspec.structs.replace(request, run_id=new_id())).number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(register, range(50))) == list(range(1, 51))
    verify_audit(workspace, me, VerifyAudit())


def test_models_are_numbered_each_on_its_own(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    names = [register_version(workspace, me, prepare(model=model)).number for model in ("a", "b", "a")]
    assert names == [1, 1, 2]


def test_a_model_that_failed_is_registered_as_rejected_with_reasons(
    workspace: Workspace, me: Actor, prepare: Prepare
) -> None:
    version = register_version(workspace, me, prepare(bound=0.99))
    assert version.status == "rejected"
    (summary,) = list_versions(workspace, me, ListVersions(model="flights"))
    assert summary.failed == ("roc_auc at least 0.99",)
    assert summary.metrics["size_mb"] == 1.5


def test_what_cannot_be_registered_says_why(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    request: RegisterVersion = prepare(bound=0.99)
    with pytest.raises(NotFound, match="is not kept here"):
        register_version(workspace, me, msgspec.structs.replace(request, bundle="sha256:" + "0" * 64))
    lie = msgspec.structs.replace(request.verdict, accepted=True)
    with pytest.raises(Invalid, match="contradicts itself: failed are roc_auc at least 0.99"):
        register_version(workspace, me, msgspec.structs.replace(request, verdict=lie))
    with pytest.raises(Invalid, match="cannot be the name of a model"):
        register_version(workspace, me, msgspec.structs.replace(request, model="a/b"))


def test_a_reference_is_a_number_an_alias_an_id_or_latest(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    first, second = (register_version(workspace, me, prepare()) for _ in range(2))
    set_alias(workspace, me, SetAlias(model="flights", alias="champion", version="1"))
    for reference, expected in {"1": first, "champion": first, first.id: first, "latest": second, "2": second}.items():
        detail = show_version(workspace, me, ShowVersion(model="flights", version=reference))
        assert detail.judged.id == expected.id
    set_alias(workspace, me, SetAlias(model="flights", alias="champion", version="latest"))
    assert show_version(workspace, me, ShowVersion(model="flights", version="champion")).aliases == ("champion",)
    drop_alias(workspace, me, DropAlias(model="flights", alias="champion"))
    with pytest.raises(NotFound, match="Give a number from 1 to 2"):
        show_version(workspace, me, ShowVersion(model="flights", version="champion"))
    with pytest.raises(NotFound, match="there is no model 'trains'"):
        show_version(workspace, me, ShowVersion(model="trains"))
    with pytest.raises(NotFound, match="there is no alias"):
        drop_alias(workspace, me, DropAlias(model="flights", alias="champion"))


@pytest.mark.parametrize("alias", ["latest", "v3", "", "a b", "x" * 256])
def test_an_alias_cannot_be_mistaken_for_something_else(
    workspace: Workspace, me: Actor, prepare: Prepare, alias: str
) -> None:
    register_version(workspace, me, prepare())
    with pytest.raises(Invalid, match="alias name"):
        set_alias(workspace, me, SetAlias(model="flights", alias=alias, version="1"))


def test_search_by_text_status_and_bounds(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    good = register_version(workspace, me, prepare())
    bad = register_version(workspace, me, prepare(bound=0.99))
    other = register_version(workspace, me, prepare(model="trains"))

    def found(**asked: Any) -> set[str]:
        return {one.id for one in search_versions(workspace, me, SearchVersions(**asked))}

    assert found() == {good.id, bad.id, other.id}
    assert found(text="TRAIN") == {other.id}
    assert found(text="land") == {good.id, bad.id, other.id}
    assert found(text="100%") == set()
    assert found(status="rejected") == {bad.id}
    assert found(bounds="roc_auc > 0.5 and size_mb <= 1.5", status="accepted") == {good.id, other.id}
    assert found(bounds="roc_auc > 0.999") == set()
    assert len(found(limit=2)) == 2


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ("roc_auc", "is not a bound on a metric"),
        ("roc_auc > high", "is not a bound on a metric"),
        ("roc_auc > nan", "is not a bound on a metric"),
        ("roc_auk > 0.5", "Did you mean roc_auc"),
        (" and ".join(["roc_auc > 0.5"] * 51), "at most 50 terms"),
        ("x" * 9_000, "at most 50 terms"),
    ],
)
def test_bounds_that_cannot_be_read_say_how_to_write_them(bounds: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_bounds(bounds)


def test_a_list_has_a_cap(workspace: Workspace, me: Actor) -> None:
    with pytest.raises(Invalid, match="Ask for 1 to 1000"):
        list_versions(workspace, me, ListVersions(limit=10_000_000))


def test_approvals_and_waivers_are_the_words_of_people(workspace: Workspace, me: Actor, prepare: Prepare) -> None:
    register_version(workspace, me, prepare())
    register_version(workspace, me, prepare(bound=0.99))
    first = approve(workspace, me, Approve(model="flights", version="1"))
    assert approve(workspace, me, Approve(model="flights", version="1")) == first
    approve(workspace, owner("ben", "api"), Approve(model="flights", version="1"))
    detail = show_version(workspace, me, ShowVersion(model="flights", version="1"))
    assert [one.actor for one in detail.approvals] == ["ada", "ben"]
    waiver = waive(workspace, me, Waive(model="flights", version="2", reason="a pilot with ten users"))
    assert (waiver.kind, waiver.reason) == ("waiver", "a pilot with ten users")
    with pytest.raises(Invalid, match="needs a reason"):
        waive(workspace, me, Waive(model="flights", version="2", reason=" "))
    with pytest.raises(Conflict, match="was accepted"):
        waive(workspace, me, Waive(model="flights", version="1", reason="because"))
    for refused in (automation("loop"), Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))):
        with pytest.raises(Forbidden):
            approve(workspace, refused, Approve(model="flights", version="1"))
        with pytest.raises(Forbidden):
            waive(workspace, refused, Waive(model="flights", version="2", reason="why not"))
    outcomes = [one.outcome for one in list_audit(workspace, me, ListAudit(action="registry.waive"))]
    assert outcomes == ["refused", "refused", "failed", "failed", "done"]


def test_the_card_is_readable_and_nothing_in_it_becomes_markup(
    workspace: Workspace, me: Actor, prepare: Prepare
) -> None:
    version = register_version(workspace, me, prepare(bound=0.99, run_id=new_id()))
    card = render_markdown(version)
    assert card.startswith("# flights, version 1\n\nWill it land &lt;script&gt;late&lt;/script&gt;?\n\n**Rejected.**")
    assert "| roc_auc at least 0.99 |" in card
    assert "&lt;b&gt;\\|LGA" in card
    assert "not judged: it has 10 rows, fewer than 100" in card
    assert "700 rows to learn from; 2 features: distance, carrier." in card
    assert "4 rows of flights were set aside" in card
    assert "roc_auc is not judged in 1 slice of origin (10 test rows): too few" in card
    assert "<" not in card
    tables = [block for block in card.split("\n\n") if block.startswith("|")]
    for table in tables:
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1
