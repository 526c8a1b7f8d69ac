"""Late rows."""

from kept.store.migrations.statements import execute

revision = "0006"
down_revision = "0005"

_SQLITE = [
    """
CREATE TABLE IF NOT EXISTS monitor_checkpoints (
    endpoint VARCHAR(250) NOT NULL,
    monitor VARCHAR(250) NOT NULL,
    start BIGINT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (endpoint, monitor, start)
)
""",
]

_POSTGRESQL = [
    """
CREATE TABLE IF NOT EXISTS monitor_checkpoints (
    endpoint VARCHAR COLLATE "C" NOT NULL,
    monitor VARCHAR COLLATE "C" NOT NULL,
    start BIGINT NOT NULL,
    state BYTEA NOT NULL,
    PRIMARY KEY (endpoint, monitor, start)
)
""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
