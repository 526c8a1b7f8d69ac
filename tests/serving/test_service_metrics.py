"""What `/metrics` says, and that what is drawn and alarmed from it asks for what is there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from predicting import ROW, Service
from prometheus_client.parser import text_string_to_metric_families
from test_connections import Wire, request

from kept.serving.counters import Counters
from kept.serving.stages import STAGES, StageCounts, Watch

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "kept-predictions.json"
RULES = ROOT / "deploy" / "prometheus" / "kept-predictions.yml"
_NAME = re.compile(r"\bkept_[a-z_]+")


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels."""
    return {
        (one.name, *(f"{name}={value}" for name, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def there() -> set[str]:
    """Every name that a service gives which has answered something."""
    counters = Counters()
    arm = counters.of("late", "1", "champion")
    arm.count(200, 1, 500)
    arm.stages.add((1, 1, 1, 1), [1])
    counters.count_fallback("late", "1", "error", "fallback")
    return {name for name, *_ in samples(counters.text().decode())}


def test_each_stage_is_timed(service: Service) -> None:
    service.start()
    with httpx.Client(base_url=service.url) as client:
        for _ in range(160):
            assert client.post("/predict/late", json={"rows": [ROW]}).status_code == 200
        assert client.post("/predict/late", json={"rows": [{}]}).status_code == 400
        with Wire(service) as wire:
            wire.socket.sendall(request() * 30)
            for _ in range(30):
                assert wire.answer()[0] == 200
        found = samples(client.get("/metrics").text)
    service.stop()
    labels = ("endpoint=late", "role=champion")
    timed = {found["kept_stage_seconds_count", *labels, f"stage={stage}", "version=1"] for stage in STAGES}
    assert len(timed) == 1
    # One turn in 16, of 161 and what the others came in.
    assert 10 <= timed.pop() <= 40
    for stage in STAGES:
        assert 0 < found["kept_stage_seconds_sum", *labels, f"stage={stage}", "version=1"] < 5
    assert found["kept_request_latency_seconds_count", *labels, "version=1"] == 191
    assert found["kept_requests_total", *labels, "status=400", "version=1"] == 1
    assert found["kept_log_full",] == 0


def test_stages_of_a_turn_with_two_versions() -> None:
    watch = Watch()
    for _ in range(5):
        watch.mark()
    first, second = watch.stages(0), watch.stages(1)
    assert (first[0], *first[2:]) == (second[0], *second[2:])
    assert all(took >= 0 for took in (*first, *second))
    counts = StageCounts()
    counts.add((1_500, 999, 10**12, 0), [1_000, 2_000_000_000])
    assert counts.total_ns == [2_000_001_000, 3_000, 1_998, 2 * 10**12, 0]
    # Below 2, 1 and beyond all microseconds; a wait of 1 microsecond and one of 2 seconds.
    assert [[place for place, count in enumerate(stage) if count] for stage in counts.buckets] == [
        [1, 21],
        [1],
        [0],
        [23],
        [0],
    ]


def expressions(value: Any) -> list[str]:
    """Every query in a dashboard or a file of rules."""
    if isinstance(value, dict):
        own = [one for key, one in value.items() if key in {"expr", "query"} and isinstance(one, str)]
        return own + [found for one in value.values() for found in expressions(one)]
    return [found for one in value for found in expressions(one)] if isinstance(value, list) else []


@pytest.mark.parametrize("path", [DASHBOARD, RULES], ids=["dashboard", "rules"])
def test_every_query_asks_for_what_is_there(path: Path) -> None:
    asked = [name for one in expressions(yaml.safe_load(path.read_text())) for name in _NAME.findall(one)]
    assert len(asked) >= 5
    assert set(asked) <= there()


def test_the_dashboard_is_the_one_its_tool_makes() -> None:
    made = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "dashboard.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr


def test_each_rule_says_what_to_do() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
