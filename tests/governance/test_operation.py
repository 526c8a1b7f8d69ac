from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import column, select, table, update

from kept.core.errors import CheckFailed, Conflict, Damaged, Forbidden, Invalid
from kept.core.ids import new_id
from kept.core.spans import Span, Traces
from kept.governance.actor import Actor, Permission
from kept.governance.approvals import Approval
from kept.governance.journal import ListAudit, VerifyAudit, list_audit, verify_audit
from kept.governance.operation import Audit, operation
from kept.governance.records import approvals_of, insert_approval
from kept.governance.workspace import Workspace
from kept.store.schema import audit, audit_counts

pytestmark = pytest.mark.each_database


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    fail: bool = False
    fault: str = ""
    reason: str = "because"


def _sign(workspace: Workspace, actor: Actor, request: Sign) -> int:
    """Signs."""
    with workspace.database.writing() as connection:
        at = workspace.clock.now()
        approval = Approval(id=new_id(), kind="approval", subject=request.subject, actor=actor.name, reason="", at=at)
        insert_approval(connection, approval)
    if request.fail:
        raise Conflict("it is signed", fix="Sign another")
    if request.fault:
        raise RuntimeError(f"password=hunter2 {request.fault}")
    return 7


sign = operation("test.sign", needs=Permission.RELEASE, on="subject")(_sign)
count = operation("test.count", needs=Permission.VIEW, on="subject", audit=Audit.COUNTED)(_sign)
note = operation("test.note", needs=Permission.VIEW, on="subject", audit=Audit.COUNTED, grouped=True)(_sign)


def log(workspace: Workspace, me: Actor) -> list[Any]:
    return [(e.action, e.subject, e.outcome, e.actor) for e in list_audit(workspace, me, ListAudit())]


def test_what_is_done_and_the_entry_that_tells_of_it_are_one(workspace: Workspace, me: Actor) -> None:
    assert sign(workspace, me, Sign(subject="v1")) == 7
    assert log(workspace, me) == [("test.sign", "v1", "done", "ada")]
    entry = list_audit(workspace, me, ListAudit())[0]
    assert entry.details == {"request": {"subject": "v1", "fail": False, "fault": "", "reason": "because"}}


def test_an_entry_tells_of_no_secret(workspace: Workspace, me: Actor) -> None:
    hiding = operation("test.hide", needs=Permission.RELEASE, on="subject", hides=("reason",))(_sign)
    hiding(workspace, me, Sign(subject="v1", reason="hunter2"))
    hiding(workspace, me, Sign(subject="v1", reason=""))
    entries = list_audit(workspace, me, ListAudit())
    assert [entry.details["request"]["reason"] for entry in entries] == ["", "(not told)"]


def test_what_is_checked_before_refuses_outside_the_transaction(workspace: Workspace, me: Actor) -> None:
    def check(given: Workspace, request: Sign) -> None:
        # It is given the workspace itself and not a transaction of it.
        assert given.database is workspace.database
        raise Conflict(f"{request.subject} is none")

    checked = operation("test.check", needs=Permission.RELEASE, on="subject", before=check)(_sign)
    with pytest.raises(Conflict):
        checked(workspace, me, Sign(subject="v1"))
    assert log(workspace, me) == [("test.check", "v1", "failed", "ada")]
    with pytest.raises(Forbidden):
        checked(workspace, msgspec.structs.replace(me, permissions=frozenset()), Sign(subject="v1"))


def test_what_fails_leaves_its_entry_and_nothing_else(workspace: Workspace, me: Actor) -> None:
    with pytest.raises(Conflict):
        sign(workspace, me, Sign(subject="v1", fail=True))
    assert log(workspace, me) == [("test.sign", "v1", "failed", "ada")]
    with workspace.database.reading() as connection:
        assert approvals_of(connection, "v1") == []


def test_a_fault_of_ours_leaves_its_entry_too_but_not_what_it_says(workspace: Workspace, me: Actor) -> None:
    with pytest.raises(RuntimeError):
        sign(workspace, me, Sign(subject="v1", fault="oops"))
    assert log(workspace, me) == [("test.sign", "v1", "failed", "ada")]
    assert list_audit(workspace, me, ListAudit())[0].details["error"] == "RuntimeError"
    with workspace.database.reading() as connection:
        assert approvals_of(connection, "v1") == []


def test_writers_at_once_make_one_chain(workspace: Workspace, me: Actor) -> None:
    def work(writer: int) -> None:
        for number in range(10):
            sign(workspace, me, Sign(subject=f"{writer}-{number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert verify_audit(workspace, me, VerifyAudit()).entries == 40


def test_what_json_cannot_carry_does_not_break_the_chain(workspace: Workspace, me: Actor) -> None:
    class Weigh(msgspec.Struct, frozen=True, kw_only=True):
        weight: float

    def weigh(workspace: Workspace, actor: Actor, request: Weigh) -> float:
        """Weighs."""
        return request.weight

    weigh.__annotations__["request"] = Weigh
    operation("test.weigh", needs=Permission.RELEASE)(weigh)(workspace, me, Weigh(weight=float("nan")))
    operation("test.weigh", needs=Permission.RELEASE)(weigh)(workspace, me, Weigh(weight=-0.0))
    assert verify_audit(workspace, me, VerifyAudit()).entries == 2


def test_the_newest_entries_of_a_subject_are_listed(workspace: Workspace, me: Actor) -> None:
    for number in range(4):
        sign(workspace, me, Sign(subject="v1", reason=str(number)))
        sign(workspace, me, Sign(subject="v2"))
    found = list_audit(workspace, me, ListAudit(subject="v1", action="test.sign", limit=2))
    assert [entry.details["request"]["reason"] for entry in found] == ["3", "2"]


@pytest.mark.parametrize("limit", [-1, 0, 1_001, 2**70])
def test_lists_have_a_cap(workspace: Workspace, me: Actor, limit: int) -> None:
    with pytest.raises(Invalid, match="Ask for 1 to 1000"):
        list_audit(workspace, me, ListAudit(limit=limit))


def test_a_refusal_is_recorded(workspace: Workspace, me: Actor) -> None:
    nobody = Actor(name="eve", origin="api", permissions=frozenset({Permission.VIEW}))
    with pytest.raises(Forbidden, match="eve may not do test.sign"):
        sign(workspace, nobody, Sign(subject="v1"))
    assert log(workspace, me) == [("test.sign", "v1", "refused", "eve")]


def test_grouped_actions_are_counted_when_they_are_done(workspace: Workspace, me: Actor) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: note(workspace, me, Sign(subject=f"v{number % 2}")), range(12))) == [7] * 12
    with pytest.raises(Conflict):
        note(workspace, me, Sign(subject="v2", fail=True))
    with pytest.raises(Forbidden):
        note(workspace, Actor(name="eve", origin="api", permissions=frozenset()), Sign(subject="v2"))
    assert log(workspace, me) == [("test.note", "v2", "refused", "eve")]
    with workspace.database.reading() as connection:
        counts = connection.execute(audit_counts.select()).mappings()
        assert {row["subject"]: row["count"] for row in counts} == {"v0": 6, "v1": 6}
        assert approvals_of(connection, "v2") == []
    with pytest.raises(Invalid, match="only what is counted can be grouped"):
        operation("test.wrong", needs=Permission.VIEW, on="subject", grouped=True)(_sign)


def test_counted_actions_are_counted_and_leave_no_entry(workspace: Workspace, me: Actor) -> None:
    for _ in range(2):
        count(workspace, me, Sign(subject="v1"))
    assert log(workspace, me) == []
    with workspace.database.reading() as connection:
        assert connection.execute(audit_counts.select()).mappings().one()["count"] == 2


def filled(workspace: Workspace, me: Actor) -> None:
    for number in range(5):
        with pytest.raises(Conflict):
            sign(workspace, me, Sign(subject=f"v{number}", fail=True))


def test_a_whole_chain_is_verified(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    assert verify_audit(workspace, me, VerifyAudit()).entries == 5


def test_a_key_that_is_written_twice_is_found(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    with workspace.database.writing() as connection:
        place = table("audit", column("sequence"), column("details"))
        written = connection.execute(select(place.c.details).where(place.c.sequence == 3)).scalar_one()
        doubled = written.replace('"request":', '"request":{"subject":"another"},"request":', 1)
        assert doubled != written
        connection.execute(update(place).where(place.c.sequence == 3).values(details=doubled))
    with pytest.raises(Damaged, match="audit entry 3"):
        verify_audit(workspace, me, VerifyAudit())


@pytest.mark.parametrize(
    "change",
    [
        audit.update().where(audit.c.sequence == 3).values(actor="eve"),
        audit.update().where(audit.c.sequence == 3).values(details={"request": {}}),
        audit.delete().where(audit.c.sequence == 3),
        audit.delete().where(audit.c.sequence == 1),
    ],
)
def test_an_edit_of_the_log_is_found(workspace: Workspace, me: Actor, change: Any) -> None:
    filled(workspace, me)
    with workspace.database.writing() as connection:
        connection.execute(change)
    with pytest.raises(Damaged, match="audit entry"):
        verify_audit(workspace, me, VerifyAudit())


@pytest.mark.parametrize(
    "values",
    [
        {"details": "{"},
        {"details": "null"},
        {"details": "[]"},
        {"details": "[" * 100_000},
        {"at": 2**63 - 1},
        {"at": -(2**63)},
    ],
    ids=["no JSON", "null", "a list", "too deep", "after all times", "before all times"],
)
def test_what_is_no_entry_is_found_and_its_place_told(workspace: Workspace, me: Actor, values: dict[str, Any]) -> None:
    filled(workspace, me)
    raw = table("audit", *(column(name) for name in values), column("sequence"))
    with workspace.database.writing() as connection:
        connection.execute(update(raw).where(raw.c.sequence == 3).values(values))
    with pytest.raises(Damaged, match="audit, behind entry 2: what is written there is no entry"):
        verify_audit(workspace, me, VerifyAudit())
    with pytest.raises(Damaged, match="audit, before entry 4"):
        list_audit(workspace, me, ListAudit())


def test_an_end_that_was_cut_off_is_found_by_an_earlier_check(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    found = verify_audit(workspace, me, VerifyAudit())
    earlier = VerifyAudit(entries=found.entries, head=found.head)
    assert verify_audit(workspace, me, earlier) == found
    sign(workspace, me, Sign(subject="later"))
    assert verify_audit(workspace, me, earlier).entries == found.entries + 1
    with workspace.database.writing() as connection:
        connection.execute(audit.delete().where(audit.c.sequence > 3))
    assert verify_audit(workspace, me, VerifyAudit()).entries == 3
    with pytest.raises(CheckFailed, match="audit entry 4: it is shorter than it was"):
        verify_audit(workspace, me, earlier)


def test_half_of_an_earlier_check_is_refused(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    found = verify_audit(workspace, me, VerifyAudit())
    for half in (VerifyAudit(entries=found.entries), VerifyAudit(head=found.head)):
        with pytest.raises(Invalid, match="by its entries and its head"):
            verify_audit(workspace, me, half)


def test_a_chain_that_was_made_anew_is_found_by_an_earlier_check(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    found = verify_audit(workspace, me, VerifyAudit())
    with workspace.database.writing() as connection:
        connection.execute(audit.delete())
    filled(workspace, me)
    assert verify_audit(workspace, me, VerifyAudit()).entries == found.entries
    with pytest.raises(CheckFailed, match=f"audit entry {found.entries}: it is another chain than it was"):
        verify_audit(workspace, me, VerifyAudit(entries=found.entries, head=found.head))


def test_swapped_entries_are_found(workspace: Workspace, me: Actor) -> None:
    filled(workspace, me)
    with workspace.database.writing() as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute(audit.update().where(audit.c.sequence == old).values(sequence=new))
    with pytest.raises(Damaged):
        verify_audit(workspace, me, VerifyAudit())


def test_an_operation_must_say_what_it_does() -> None:
    def silent(workspace: Workspace, actor: Actor, request: Sign) -> int:
        return 0

    with pytest.raises(Invalid, match="Write its docstring"):
        operation("test.silent", needs=Permission.VIEW)(silent)


class Told:
    """Keeps the spans that it is to carry."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def carry(self, spans: Sequence[Span]) -> bool:
        self.spans += spans
        return True


def test_an_operation_is_told_of_as_a_span_without_secrets(workspace: Workspace, me: Actor) -> None:
    told = Told()
    traces = Traces(told)
    traced = replace(workspace, traces=traces)
    assert sign(traced, me, Sign(subject="v1")) == 7
    with pytest.raises(Conflict):
        sign(traced, me, Sign(subject="v1", fail=True))
    with pytest.raises(RuntimeError):
        sign(traced, me, Sign(subject="v1", fault="!"))
    assert sign(replace(workspace, traces=Traces(told, share=0.0)), me, Sign(subject="v1")) == 7
    traces.close()
    assert [(one.name, one.facts["kept.subject"], one.error) for one in told.spans] == [
        ("test.sign", "v1", ""),
        ("test.sign", "v1", "it is signed. Sign another"),
        ("test.sign", "v1", "RuntimeError"),
    ]
    assert all(one.start < one.end for one in told.spans)


@operation("test.outer", needs=Permission.VIEW, audit=Audit.READ)
def outer(workspace: Workspace, actor: Actor, request: Sign) -> int:
    """Asks another one."""
    return sign(workspace, actor, request)


def test_what_an_operation_asks_of_another_is_a_part_of_it(workspace: Workspace, me: Actor) -> None:
    told = Told()
    for share in (0.0, 1.0):
        traces = Traces(told, share)
        asked = replace(workspace, traces=traces)
        outer(asked, me, Sign(subject="v1"))
        outer(asked.within_trace(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), me, Sign(subject="v1"))
        outer(asked.within_trace(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"), me, Sign(subject="v1"))
        traces.close()
    assert [one.name for one in told.spans] == ["test.sign", "test.outer"] * 3
    for inner, around in zip(told.spans[::2], told.spans[1::2], strict=True):
        assert (inner.trace, inner.parent) == (around.trace, around.span)
    assert [one.parent for one in told.spans[1::2]] == [0xB7AD6B7169203331, 0, 0xB7AD6B7169203331]
