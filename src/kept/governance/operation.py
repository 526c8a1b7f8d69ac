"""Operations: every action that a person or program can take, as one function with one request and one answer.

From an operation come its HTTP route, its permission check, its audit entry and its face in the clients. A door can
only call the operation, and calling it is what checks and records, so no door can forget either.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import StrEnum
from types import ModuleType
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

from kept.core.errors import Forbidden, Invalid, KeptError
from kept.core.spans import Context, Span, new_span, now
from kept.governance.actor import Actor, Permission
from kept.governance.audit import AuditEntry
from kept.governance.records import CountedAction, append_entry, count_actions
from kept.governance.workspace import Workspace

Request = TypeVar("Request", bound=msgspec.Struct)
Answer = TypeVar("Answer")


_HIDDEN = "(not told)"


class Audit(StrEnum):
    """How an operation is recorded."""

    EACH = "each"
    """One entry in the chain for each call, in the call's own transaction."""
    COUNTED = "counted"
    """Counted by actor, subject and hour, in the call's own transaction."""
    READ = "read"
    """Changes nothing and leaves no entry; a refusal does."""


class Operation(Generic[Request, Answer]):
    """An action with its name, its permission and its way of being recorded. Call it like the function it holds."""

    def __init__(
        self,
        function: Callable[[Workspace, Actor, Request], Answer],
        *,
        name: str,
        needs: Permission,
        on: str | None,
        audit: Audit,
        remote: bool,
        grouped: bool,
        hides: tuple[str, ...],
        before: Callable[[Workspace, Any], None] | None,
    ) -> None:
        if grouped and audit is not Audit.COUNTED:
            raise Invalid("only what is counted can be grouped", where=f"operation {name}", fix="Use Audit.COUNTED")
        hints = get_type_hints(function)
        self.function = function
        self.name = name
        self.needs = needs
        self.on = on
        self.audit = audit
        self.remote = remote
        self.grouped = grouped
        self.hides = hides
        self.before = before
        self.request_type: type[Request] = hints[list(inspect.signature(function).parameters)[2]]
        self.answer_type: Any = hints["return"]
        self.summary = inspect.getdoc(function) or ""
        if not self.summary:
            raise Invalid("it says nothing of what it does", where=f"operation {name}", fix="Write its docstring")
        if on is not None and not hasattr(self.request_type, on):
            raise Invalid(f"its request has no field {on!r}", where=f"operation {name}", fix="Name the subject's field")

    def __call__(self, workspace: Workspace, actor: Actor, request: Request) -> Answer:
        """Checks, does and records. What it changes and the entry that tells of it are one transaction."""
        traces = workspace.traces
        if traces is None:
            return self._done(workspace, actor, request)
        context = workspace.trace or traces.sampled()
        if context is None:
            return self._done(replace(workspace, traces=None), actor, request)
        began, span, said = now(), new_span(), ""
        try:
            return self._done(replace(workspace, trace=Context(context.trace, span)), actor, request)
        except Exception as error:
            said = _said(error)
            raise
        finally:
            facts = {"kept.operation": self.name, "kept.subject": self._subject(request), "kept.origin": actor.origin}
            traces.tell(
                Span(
                    name=self.name,
                    trace=context.trace,
                    span=span,
                    parent=context.span,
                    start=began,
                    end=now(),
                    facts=dict(facts),
                    error=said,
                )
            )

    def _done(self, workspace: Workspace, actor: Actor, request: Request) -> Answer:
        try:
            actor.require(self.needs, self.name)
        except Forbidden as error:
            self._record_failure(workspace, actor, request, "refused", error)
            raise
        if self.audit is Audit.READ:
            return self.function(workspace, actor, request)
        try:
            if self.before is not None:
                self.before(workspace, request)
            if self.grouped:
                return workspace.database.grouped(
                    lambda connection: self.function(workspace.inside(connection), actor, request),
                    count_actions,
                    self._counted(workspace, actor, request),
                )
            with workspace.database.writing() as connection:
                answer = self.function(workspace.inside(connection), actor, request)
                if self.audit is Audit.COUNTED:
                    count_actions(connection, [self._counted(workspace, actor, request)])
                else:
                    append_entry(connection, self._entry(workspace, actor, request, "done", {}))
        except Forbidden as error:
            self._record_failure(workspace, actor, request, "refused", error)
            raise
        except Exception as error:
            if self.audit is Audit.EACH:
                self._record_failure(workspace, actor, request, "failed", error)
            raise
        return answer

    def _counted(self, workspace: Workspace, actor: Actor, request: Request) -> CountedAction:
        hour = workspace.clock.now().replace(minute=0, second=0, microsecond=0)
        return CountedAction(hour, actor.name, self.name, self._subject(request))

    def _record_failure(
        self, workspace: Workspace, actor: Actor, request: Request, outcome: str, error: Exception
    ) -> None:
        said = _said(error)
        with workspace.database.writing() as connection:
            append_entry(connection, self._entry(workspace, actor, request, outcome, {"error": said}))

    def _entry(
        self, workspace: Workspace, actor: Actor, request: Request, outcome: str, more: dict[str, Any]
    ) -> AuditEntry:
        return AuditEntry(
            sequence=0,
            at=workspace.clock.now(),
            actor=actor.name,
            origin=actor.origin,
            action=self.name,
            subject=self._subject(request),
            outcome=outcome,
            # What is stored is what JSON can carry, so that the seal is the same before and after.
            details=msgspec.json.decode(msgspec.json.encode({"request": self._for_audit(request), **more})),
            previous="",
        )

    def _for_audit(self, request: Request) -> Any:
        """The request as an entry holds it: without its secrets; in its own words where it has a method `for_audit`, as one
        that carries thousands does.
        """
        own: Callable[[], Any] | None = getattr(request, "for_audit", None)
        if own is not None:
            return own()
        if not self.hides:
            return request
        fields = msgspec.structs.asdict(request)
        return fields | {name: _HIDDEN for name in self.hides if fields[name]}

    def _subject(self, request: Request) -> str:
        return str(getattr(request, self.on)) if self.on else ""


def operation(
    name: str,
    *,
    needs: Permission,
    on: str | None = None,
    audit: Audit = Audit.EACH,
    remote: bool = True,
    grouped: bool = False,
    hides: tuple[str, ...] = (),
    before: Callable[[Workspace, Any], None] | None = None,
) -> Callable[[Callable[[Workspace, Actor, Request], Answer]], Operation[Request, Answer]]:
    """Makes a function `(workspace, actor, request) -> answer` an operation.

    Args:
        name: `part.verb`.
        needs: the permission it asks of its actor.
        on: the request's field that names what it is done to.
        audit: how it is recorded.
        remote: whether it can be called over HTTP; False for what takes a path of this machine.
        grouped: whether it shares its transaction with other calls of the moment, for small and frequent writes that
            are counted: what it did survives the death of the process when it answers, but not that of the machine.
        hides: fields of the request that hold secrets; no entry tells what is in them.
        before: what is checked before the transaction begins, as it may take long; it refuses by raising.
    """

    def wrap(function: Callable[[Workspace, Actor, Request], Answer]) -> Operation[Request, Answer]:
        return Operation(
            function,
            name=name,
            needs=needs,
            on=on,
            audit=audit,
            remote=remote,
            grouped=grouped,
            hides=hides,
            before=before,
        )

    return wrap


def operations_in(modules: Iterable[ModuleType]) -> dict[str, Operation[Any, Any]]:
    """The table of operations that modules define, by name."""
    table: dict[str, Operation[Any, Any]] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Operation) and value.function.__module__ == module.__name__:
                if value.name in table:
                    raise Invalid("two operations have this name", where=value.name, fix="Rename one")
                table[value.name] = value
    return dict(sorted(table.items()))


def _said(error: Exception) -> str:
    """What is told of an error. What a fault of ours says of itself may hold anything, secrets too: its name is enough."""
    return str(error) if isinstance(error, KeptError) else type(error).__name__
