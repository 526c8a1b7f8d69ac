"""Endpoints of decisions."""

from kept.store.migrations.statements import execute

revision = "0005"
down_revision = "0004"

_SQLITE = [
    """ALTER TABLE "decisions" ADD COLUMN endpoint VARCHAR(250)""",
    """CREATE INDEX IF NOT EXISTS decisions_run ON decisions (run_id)""",
]

_POSTGRESQL = [
    """
ALTER TABLE "decisions" ADD COLUMN "endpoint" character varying COLLATE "C"
""",
    """CREATE INDEX IF NOT EXISTS decisions_run ON decisions (run_id)""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
