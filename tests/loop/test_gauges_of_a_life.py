"""The gauges of an endpoint that has drifted, as Prometheus reads them."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from world import NAME, MakeWorld, World

from kept.monitoring.gauges import GAUGES, Gauges
from kept.plan.policy import decay, drift


def gauges(world: World) -> dict[str, dict[tuple[str, ...], float]]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(world.workspace, world.me))
    order = {one.name: one.labels for one in GAUGES}
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for one in family.samples:
            found.setdefault(one.name, {})[tuple(one.labels[name] for name in order[one.name])] = one.value
    return found


@pytest.mark.each_database
def test_evidence_bounds_objectives_and_alerts_are_shown(make_world: MakeWorld) -> None:
    world = make_world(lambda project: project.retrain(on=[drift(), decay()], dry_run=True))
    world.days(4)
    quiet = gauges(world)
    assert quiet["kept_monitor_alarmed"] == {(NAME, "drift"): 0.0, (NAME, "decay"): 0.0}
    assert quiet["kept_monitor_evidence"][NAME, "drift"] < quiet["kept_monitor_bound"][NAME, "drift"] == 225
    assert quiet["kept_objective_bound"] == {(NAME, "roc_auc", "", "at_least"): 0.6}
    assert quiet["kept_objective_holds"][NAME, "1", "roc_auc", "", "performance"] == 1
    value = quiet["kept_objective_value"][NAME, "1", "roc_auc", "", "performance"]
    low, high = (quiet[f"kept_objective_{end}"][NAME, "1", "roc_auc", "", "performance"] for end in ("low", "high"))
    assert low < value < high
    assert quiet["kept_label_coverage"] == {(NAME, "1"): 1.0}
    assert quiet["kept_window_rows"] == {(NAME, "1"): 200.0}
    assert quiet["kept_monitor_unreadable"] == {(NAME,): 0.0}
    assert "kept_alerts" not in quiet
    world.shift = 2.0
    world.days(3)
    loud = gauges(world)
    assert loud["kept_monitor_alarmed"][NAME, "drift"] == 1
    assert loud["kept_alerts"] == {(NAME, "drift", "warning", "open"): 1.0}
