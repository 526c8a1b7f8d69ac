"""The statements of a revision. They are frozen text: what a released revision does never follows the code."""

from collections.abc import Sequence

from alembic import op


def execute(*, sqlite: Sequence[str], postgresql: Sequence[str]) -> None:
    """Runs the statements of the database that is being brought forward, as they stand."""
    connection = op.get_bind()
    for statement in sqlite if connection.dialect.name == "sqlite" else postgresql:
        # Without parameters, a colon or a percent sign is only itself.
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
