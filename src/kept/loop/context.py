"""The context of one look at one endpoint, which is handed to whatever the loop does with it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from kept.deployment.endpoint import EndpointStatus, RouteRecord
from kept.governance.actor import Actor
from kept.governance.workspace import Workspace
from kept.loop.decision import Kind
from kept.loop.decisions import Decide, decide
from kept.loop.triggers import TriggerName
from kept.monitoring.alert import Kind as AlertKind
from kept.monitoring.alert import Severity
from kept.monitoring.alerts import RaiseAlert, raise_alert
from kept.monitoring.plan import MonitoringPlan


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision follows from: the trigger of the training it belongs to, and its run."""

    trigger: TriggerName
    run_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class LoopContext:
    """What is known of one endpoint when it is looked at, and how decisions and alerts about it are recorded."""

    workspace: Workspace
    actor: Actor
    plan: MonitoringPlan
    status: EndpointStatus
    routes: list[RouteRecord]
    now: datetime | None
    """The endpoint's event time; None when no prediction was shipped yet."""

    @property
    def endpoint(self) -> str:
        """The endpoint's name."""
        return self.status.endpoint.name

    @property
    def champion(self) -> str | None:
        """The version that serves."""
        return self.status.route.route.champion.version_id if self.status.route else None

    @property
    def reports_only(self) -> bool:
        """Whether nothing is to be done in this workspace, only told."""
        return self.workspace.settings.dry_run

    def inside(self, workspace: Workspace) -> "LoopContext":
        """The same context within a transaction."""
        return replace(self, workspace=workspace)

    def decide(
        self, kind: Kind, cause: Cause, reason: str, evidence: dict[str, Any], *, window: str | None = None
    ) -> None:
        """Takes a decision; with a window, a training learns from so much event time."""
        request = Decide(
            project=self.plan.name,
            endpoint=self.endpoint,
            kind=kind,
            trigger=cause.trigger,
            reason=reason,
            evidence=evidence,
            run_id=cause.run_id,
            event_time=self.now,
            window=window,
        )
        decide(self.workspace, self.actor, request)

    def alert(
        self, kind: AlertKind, severity: Severity, title: str, evidence: dict[str, Any], version_id: str | None
    ) -> None:
        """Tells people of something that the loop did."""
        request = RaiseAlert(
            project=self.plan.name,
            endpoint=self.endpoint,
            kind=kind,
            severity=severity,
            title=title,
            evidence=evidence,
            version_id=version_id,
            event_time=self.now,
        )
        raise_alert(self.workspace, self.actor, request)
