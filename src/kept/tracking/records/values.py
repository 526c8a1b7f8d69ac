"""Rows of parameters and tags: text by name, of runs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, select

from kept.store.schema import run_params, run_tags
from kept.store.upsert import Upsert
from kept.tracking.records.keys import RunKey, pieces

PARAMS, TAGS = run_params, run_tags
_SET = {table.name: Upsert(table, overwrite=["value"]) for table in (run_params, run_tags)}
_OF_RUNS = {
    table.name: select(table.c.run, table.c.name, table.c.value)
    .where(table.c.run.in_(bindparam("runs", expanding=True)))
    .order_by(table.c.run, table.c.name)
    for table in (run_params, run_tags)
}
_NAMED_PARAMS = select(run_params.c.name, run_params.c.value).where(
    run_params.c.experiment == bindparam("experiment"),
    run_params.c.run == bindparam("run"),
    run_params.c.name.in_(bindparam("names", expanding=True)),
)


def put_params(connection: Connection, run: RunKey, values: Mapping[str, str]) -> None:
    """Sets parameters; the last value of a name wins."""
    _SET[run_params.name].into(connection, _rows(run, values))


def put_tags(connection: Connection, run: RunKey, values: Mapping[str, str]) -> None:
    """Sets tags; the last value of a name wins."""
    _SET[run_tags.name].into(connection, _rows(run, values))


def put_param_rows(connection: Connection, values: Iterable[tuple[RunKey, Mapping[str, str]]]) -> None:
    """Sets parameters of many runs, each once."""
    _SET[run_params.name].into(connection, [row for run, mine in values for row in _rows(run, mine)])


def put_tag_rows(connection: Connection, values: Iterable[tuple[RunKey, Mapping[str, str]]]) -> None:
    """Sets tags of many runs, each once."""
    _SET[run_tags.name].into(connection, [row for run, mine in values for row in _rows(run, mine)])


def delete_tag(connection: Connection, run: RunKey, name: str) -> bool:
    """Removes a tag; whether there was one."""
    query = delete(run_tags).where(
        run_tags.c.experiment == run.experiment, run_tags.c.name == name, run_tags.c.run == run.number
    )
    return connection.execute(query).rowcount == 1


def params_named(connection: Connection, run: RunKey, names: Iterable[str]) -> dict[str, str]:
    """Those of these parameters that the run has."""
    bound = {"experiment": run.experiment, "run": run.number, "names": list(names)}
    return {row.name: row.value for row in connection.execute(_NAMED_PARAMS, bound)}


def params_of(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    """Parameters by name, of each run that has any."""
    return _by_run(connection, run_params.name, numbers)


def tags_of(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    """Tags by name, of each run that has any."""
    return _by_run(connection, run_tags.name, numbers)


def _by_run(connection: Connection, table: str, numbers: Sequence[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for some in pieces(numbers):
        for run, name, value in connection.execute(_OF_RUNS[table], {"runs": some}):
            found[run][name] = value
    return found


def _rows(run: RunKey, values: Mapping[str, str]) -> list[dict[str, object]]:
    return [
        {"experiment": run.experiment, "name": name, "run": run.number, "value": value}
        for name, value in values.items()
    ]
