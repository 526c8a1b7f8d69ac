"""What Prometheus is given, and the rules that read it."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kept.core.durations import duration
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.gauges import GAUGES, Gauges
from kept.monitoring.incidents import Acknowledge, acknowledge

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "kept-monitoring.rules.yml"


def gauges(workspace: Workspace, me: Actor) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(workspace, me))
    text = generate_latest(registry).decode()
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


@pytest.mark.each_database
def test_alerts_and_what_is_owed(workspace: Workspace, me: Actor) -> None:
    assert gauges(workspace, me) == {}
    there = replace(workspace, settings=msgspec.structs.replace(workspace.settings, webhook_url="https://a.example"))
    one = RaiseAlert(
        project="p", endpoint="e", kind="drift", severity="warning", title='drifted "a"', evidence={}, version_id="v"
    )
    first = raise_alert(there, me, one)
    raise_alert(there, me, one)
    raise_alert(there, me, msgspec.structs.replace(one, title="another"))
    acknowledge(there, me, Acknowledge(incident=first.id))
    labels = {"endpoint": "e", "kind": "drift", "severity": "warning"}
    assert gauges(there, me) == {
        ("kept_alerts", frozenset({**labels, "state": "open"}.items())): 1.0,
        ("kept_alerts", frozenset({**labels, "state": "acknowledged"}.items())): 1.0,
        ("kept_notices_owed", frozenset({("receiver", "webhook")})): 2.0,
    }


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prometheus_rules", ROOT / "tools" / "prometheus_rules.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_rules_are_those_that_the_tool_writes() -> None:
    assert RULES.read_text(encoding="utf-8") == tool().text(), "write them again: python tools/prometheus_rules.py"


def every_rule() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    assert set(document) == {"groups"}
    assert all(set(group) <= {"name", "interval", "rules"} for group in document["groups"])
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_rule_reads_what_is_exported() -> None:
    known = {one.name: set(one.labels) for one in GAUGES}
    found = every_rule()
    assert len({one["alert"] for one in found}) == len(found) > 5
    for rule in found:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        duration(rule["for"])
        names = re.findall(r"kept_[a-z_]+", rule["expr"])
        assert names or rule["expr"].startswith("up{")
        for name in names:
            assert name in known, rule["alert"]
        for name, matched in re.findall(r"(kept_[a-z_]+)\{([^}]*)\}", rule["expr"]):
            assert {one.split("=")[0].strip() for one in matched.split(",")} <= known[name]
        told = re.findall(r"\$labels\.([a-z_]+)", str(rule["annotations"]))
        of_names = set.intersection(*(known[name] for name in names)) if names else set()
        assert set(told) <= of_names, rule["alert"]
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_every_gauge_says_what_it_is() -> None:
    assert len({one.name for one in GAUGES}) == len(GAUGES)
    assert all(re.fullmatch(r"kept_[a-z_]+", one.name) and one.says for one in GAUGES)
