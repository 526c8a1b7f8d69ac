"""Writes deploy/prometheus/kept-monitoring.rules.yml: alerts for Prometheus on what Kept's monitors export.

Kept tells people itself (mail, chat, webhook). These rules are for those who gather all alerts in one place, and for what
Kept cannot tell itself: that it is down.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).parents[1] / "deploy" / "prometheus" / "kept-monitoring.rules.yml"
_HEAD = "# Written by tools/prometheus_rules.py. Scrape /metrics of `kept web` (port 8700) as the job kept-web.\n"

# name, expression, for how long, severity, summary, description
_RULES = (
    (
        "KeptDown",
        'up{job="kept-web"} == 0',
        "5m",
        "critical",
        "Kept's web process does not answer",
        "Nothing is known of its models while it is down. Start it: kept up.",
    ),
    (
        "KeptDrift",
        'kept_monitor_alarmed{monitor=~"drift|predictions|attribution"} == 1',
        "0m",
        "warning",
        "The {{ $labels.monitor }} monitor of {{ $labels.endpoint }} has alarmed",
        "The evidence has reached the bound that the budget of false alarms sets.",
    ),
    (
        "KeptDecay",
        'kept_monitor_alarmed{monitor="decay"} == 1',
        "0m",
        "critical",
        "The loss of {{ $labels.endpoint }} on labelled predictions has risen",
        "The evidence has reached the bound that the budget of false alarms sets.",
    ),
    (
        "KeptSkew",
        "kept_skew_holds == 0",
        "0m",
        "warning",
        "{{ $labels.feature }} of {{ $labels.endpoint }} is served otherwise than it is stored",
        "More of its values differ from the feature store than the project declares.",
    ),
    (
        "KeptEvidenceGrows",
        "kept_monitor_evidence / on (endpoint, monitor) kept_monitor_bound > 0.1 and on (endpoint, monitor) kept_monitor_alarmed == 0",
        "0m",
        "info",
        "The {{ $labels.monitor }} of {{ $labels.endpoint }} is at a tenth of its bound",
        "No alarm yet; look at what grows.",
    ),
    (
        "KeptObjectiveBroken",
        'kept_objective_holds{monitor="performance", slice=""} == 0',
        "0m",
        "warning",
        "{{ $labels.metric }} of {{ $labels.endpoint }} does not hold in its last window",
        "One window says little: Kept itself alerts when several in a row fail.",
    ),
    (
        "KeptEstimateBroken",
        'kept_objective_holds{monitor="estimate", slice=""} == 0',
        "0m",
        "warning",
        "{{ $labels.metric }} of {{ $labels.endpoint }} is estimated not to hold",
        "Estimates see what the inputs tell; they are blind to a change of what the inputs mean.",
    ),
    (
        "KeptServiceObjectiveBroken",
        'kept_objective_holds{monitor="service"} == 0',
        "0m",
        "warning",
        "{{ $labels.metric }} of {{ $labels.endpoint }} does not hold in its last window",
        "The service is slower, or fails more often, than was promised.",
    ),
    (
        "KeptFewLabels",
        "kept_label_coverage < 0.1",
        "0m",
        "warning",
        "Of {{ $labels.endpoint }} fewer than 10% of the predictions have labels",
        "What is measured on so few says little of the others.",
    ),
    (
        "KeptAlertUnanswered",
        'sum by (endpoint) (kept_alerts{state="open", severity="critical"}) > 0',
        "30m",
        "critical",
        "Nobody has answered for a critical alert of {{ $labels.endpoint }}",
        "See kept alerts list.",
    ),
    (
        "KeptNoticesOwed",
        "kept_notices_owed > 0",
        "15m",
        "warning",
        "{{ $labels.receiver }} does not take Kept's alerts",
        "They wait and are tried again. kept alerts show tells what is wrong.",
    ),
    (
        "KeptMonitorUnreadable",
        "kept_monitor_unreadable == 1",
        "0m",
        "critical",
        "What the monitors of {{ $labels.endpoint }} remember cannot be read",
        "It is not watched. Restore the workspace from a backup.",
    ),
)


def rules() -> dict[str, Any]:
    """The file's content."""
    return {
        "groups": [
            {
                "name": "kept-monitoring",
                "rules": [
                    {
                        "alert": alert,
                        "expr": expression,
                        "for": length,
                        "labels": {"severity": severity},
                        "annotations": {"summary": summary, "description": description},
                    }
                    for alert, expression, length, severity, summary, description in _RULES
                ],
            }
        ]
    }


def text() -> str:
    """The file as it is written."""
    return _HEAD + yaml.safe_dump(rules(), sort_keys=False, width=1000, allow_unicode=True)


if __name__ == "__main__":
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{OUT}\n")
