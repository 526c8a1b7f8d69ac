"""OpenLineage events of batch scoring."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from deltalake import DeltaTable

from kept.app.scoring.rows import Origin
from kept.app.scoring.unfinished import note_killed, under_way
from kept.core.ids import new_id
from kept.governance.workspace import Workspace
from kept.registry.lineage_runs import model_of
from kept.registry.lineage_telling import Due, is_told, note
from kept.registry.openlineage import Data, EventType, Job, Work
from kept.registry.version import ModelVersion

_FILES = "file"


@contextmanager
def scoring_told(workspace: Workspace, version: ModelVersion, origin: Origin, to: Path) -> Iterator[None]:
    """Tells that scoring these rows with a version has begun, and at the end of the block how it ended.

    Nobody is told where the settings name nobody. When the process is killed, the next one that scores, or the worker, tells
    of the end.
    """
    if not is_told(workspace.settings):
        yield
        return
    # Of a table the version, of files what tells these very ones from others.
    seen = str(origin.version) if origin.version is not None else origin.digest
    rows = Data(name=origin.path, namespace=_FILES, version=seen)
    work = Work(id=new_id(), job=Job(name=f"{version.model}.scoring", kind="SCORING"), inputs=(rows, model_of(version)))

    def tell(event: EventType, *, at: datetime | None = None, outputs: tuple[Data, ...] = (), error: str = "") -> None:
        told = Work(id=work.id, job=work.job, inputs=work.inputs, outputs=outputs, error=error)
        note(workspace, [Due(work.id, event, at or workspace.clock.now(), lambda: told)])

    note_killed(workspace)
    with under_way(workspace, work) as began:
        tell("START", at=began)
        try:
            yield
        except Exception as error:
            tell("FAIL", error=str(error))
            raise
        except BaseException:
            tell("ABORT", error="it was stopped")
            raise
        tell("COMPLETE", outputs=(_scores(to.resolve()),))


def _scores(to: Path) -> Data:
    table = to.is_dir() and DeltaTable.is_deltatable(str(to))
    return Data(name=str(to), namespace=_FILES, version=str(DeltaTable(str(to)).version()) if table else None)
