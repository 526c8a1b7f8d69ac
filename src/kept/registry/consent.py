"""Approvals before a release, and waivers of failed objectives: operations by which a person consents."""

import msgspec

from kept.core.errors import Conflict, Forbidden, Invalid
from kept.core.ids import new_id
from kept.governance.actor import Actor, Permission
from kept.governance.approvals import Approval
from kept.governance.operation import operation
from kept.governance.records import approvals_of, insert_approval
from kept.governance.workspace import Workspace
from kept.registry.catalog import resolve


class Approve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's consent to releasing a version."""

    model: str
    version: str
    reason: str = ""


class Waive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word that a rejected version may be released all the same, and why."""

    model: str
    version: str
    reason: str


@operation("registry.approve", needs=Permission.RELEASE, on="model")
def approve(workspace: Workspace, actor: Actor, request: Approve) -> Approval:
    """Records that a person approves a version. Each person counts once."""
    _require_person(actor, "approve")
    with workspace.database.writing() as connection:
        version = resolve(connection, request.model, request.version)
        for known in approvals_of(connection, version.id):
            if known.kind == "approval" and known.actor == actor.name:
                return known
        approval = Approval(
            id=new_id(),
            kind="approval",
            subject=version.id,
            actor=actor.name,
            reason=request.reason,
            at=workspace.clock.now(),
        )
        insert_approval(connection, approval)
    return approval


@operation("registry.waive", needs=Permission.RELEASE, on="model")
def waive(workspace: Workspace, actor: Actor, request: Waive) -> Approval:
    """Records that a rejected version may be released although it failed, with the reason."""
    _require_person(actor, "waive")
    if not request.reason.strip():
        raise Invalid("a waiver needs a reason", where=request.model, fix="Say why it may be released all the same")
    with workspace.database.writing() as connection:
        version = resolve(connection, request.model, request.version)
        if version.status == "accepted":
            raise Conflict(f"version {version.number} was accepted", where=request.model, fix="Release it as it is")
        waiver = Approval(
            id=new_id(),
            kind="waiver",
            subject=version.id,
            actor=actor.name,
            reason=request.reason,
            at=workspace.clock.now(),
        )
        insert_approval(connection, waiver)
    return waiver


def _require_person(actor: Actor, verb: str) -> None:
    if actor.is_automation:
        fix = "Ask a person who may release"
        raise Forbidden(f"{actor.name} is not a person and cannot {verb}", where="registry", fix=fix)
