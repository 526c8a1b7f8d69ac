"""Writes the dashboard of the prediction service for Grafana from the names of its metrics.

.venv/bin/python tools/dashboard.py            writes deploy/grafana/kept-predictions.json
.venv/bin/python tools/dashboard.py --check    says when the file is not what this makes, and ends with 1
"""

import json
import sys
from pathlib import Path
from typing import Any

from kept.serving.stages import STAGES

FILE = Path(__file__).resolve().parent.parent / "deploy" / "grafana" / "kept-predictions.json"
_WIDTH, _HEIGHT = 12, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HERE = 'endpoint=~"$endpoint"'

# Title, unit, and for each line its legend and query.
Panel = tuple[str, str, list[tuple[str, str]]]


def panels() -> list[Panel]:
    """What is drawn, two in a row."""
    arm = "{{endpoint}} v{{version}} {{role}}"
    rate = f"rate(%s{{{_HERE}}}[$__rate_interval])"
    stages = f'rate(kept_stage_seconds_bucket{{{_HERE}, stage="%s"}}[$__rate_interval])'
    return [
        (
            "Requests by status",
            "reqps",
            [("{{endpoint}} {{status}}", f"sum by (endpoint, status) ({rate % 'kept_requests_total'})")],
        ),
        ("Rows predicted", "rowsps", [(arm, f"sum by (endpoint, version, role) ({rate % 'kept_predictions_total'})")]),
        (
            "Latency, 99 of 100",
            "s",
            [(arm, _quantile(0.99, "endpoint, version, role", rate % "kept_request_latency_seconds_bucket"))],
        ),
        (
            "Latency, the middle one",
            "s",
            [(arm, _quantile(0.5, "endpoint, version, role", rate % "kept_request_latency_seconds_bucket"))],
        ),
        ("Where time goes, 99 of 100", "s", [(stage, _quantile(0.99, "stage", stages % stage)) for stage in STAGES]),
        (
            "Share of requests without a prediction",
            "percentunit",
            [
                (
                    arm,
                    " / ".join(
                        f"sum by (endpoint, version, role) ({rate % name})"
                        for name in ("kept_request_errors_total", "kept_requests_total")
                    ),
                )
            ],
        ),
        (
            "Answered by a fallback",
            "reqps",
            [
                (
                    "{{endpoint}} v{{version}} {{reason}}, by {{role}}",
                    f"sum by (endpoint, version, reason, role) ({rate % 'kept_fallbacks_total'})",
                )
            ],
        ),
        (
            "What the log does not hold",
            "cps",
            [
                ("refused, not logged", "sum(rate(kept_unlogged_requests_total[$__rate_interval]))"),
                ("answered, dropped", "sum(rate(kept_log_entries_dropped_total[$__rate_interval]))"),
                ("answered, not of the share", "sum(rate(kept_log_requests_unsampled_total[$__rate_interval]))"),
                ("shadow rows dropped", "sum(rate(kept_shadow_rows_dropped_total[$__rate_interval]))"),
            ],
        ),
        (
            "Routes",
            "none",
            [
                ("revision", "max(kept_routing_revision)"),
                ("table can be read", "min(kept_routing_source_up)"),
                ("in trouble", "max(kept_routes_in_trouble)"),
                ("log is full", "max(kept_log_full)"),
            ],
        ),
    ]


def _quantile(share: float, by: str, buckets: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) ({buckets}))"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": "kept-predictions",
        "title": "Kept: predictions",
        "tags": ["kept"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "endpoint",
                    "label": "Endpoint",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": "label_values(kept_requests_total, endpoint)",
                    "includeAll": True,
                    "multi": True,
                    "refresh": 2,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": [_drawn(place, panel) for place, panel in enumerate(panels())],
    }


def _drawn(place: int, panel: Panel) -> dict[str, Any]:
    title, unit, lines = panel
    return {
        "id": place + 1,
        "title": title,
        "type": "timeseries",
        "datasource": _SOURCE,
        "gridPos": {"x": place % 2 * _WIDTH, "y": place // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "legendFormat": legend, "expr": query}
            for number, (legend, query) in enumerate(lines)
        ],
    }


def main() -> int:
    """Writes the file, or checks it."""
    made = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" in sys.argv:
        same = FILE.exists() and FILE.read_text(encoding="utf-8") == made
        if not same:
            sys.stdout.write(f"{FILE.name} is not what the tool makes: run tools/dashboard.py\n")
        return 0 if same else 1
    FILE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
