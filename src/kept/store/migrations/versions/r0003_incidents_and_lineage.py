"""Incidents and lineage."""

from kept.store.migrations.statements import execute

revision = "0003"
down_revision = "0002"

_SQLITE = [
    """
CREATE TABLE IF NOT EXISTS incidents (
    id VARCHAR(36) NOT NULL,
    project VARCHAR(250) NOT NULL,
    endpoint VARCHAR(250) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    severity VARCHAR(10) NOT NULL,
    title TEXT NOT NULL,
    columns TEXT NOT NULL,
    version_id VARCHAR(36),
    owner TEXT NOT NULL,
    state VARCHAR(20) NOT NULL,
    alerts INTEGER NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    last_event_time BIGINT,
    alert_id VARCHAR(36) NOT NULL,
    level INTEGER NOT NULL,
    next_at BIGINT,
    acknowledged_by TEXT,
    acknowledged_at BIGINT,
    note TEXT NOT NULL,
    resolved_by TEXT,
    resolved_at BIGINT,
    resolution TEXT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS lineage_events (
    run_id VARCHAR(36) NOT NULL,
    event VARCHAR(10) NOT NULL,
    target VARCHAR(10) NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT,
    taken_at BIGINT,
    error TEXT,
    PRIMARY KEY (run_id, event, target)
)
""",
    """
CREATE TABLE IF NOT EXISTS mutes (
    id VARCHAR(36) NOT NULL,
    endpoint VARCHAR(250) NOT NULL,
    kind VARCHAR(20),
    "column" TEXT,
    until BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (id)
)
""",
    """CREATE INDEX IF NOT EXISTS incidents_due ON incidents (next_at)""",
    """CREATE INDEX IF NOT EXISTS incidents_endpoint ON incidents (endpoint, state, kind)""",
    """CREATE INDEX IF NOT EXISTS incidents_last ON incidents (last_at)""",
    """CREATE INDEX IF NOT EXISTS lineage_events_due ON lineage_events (target, next_at)""",
    """CREATE INDEX IF NOT EXISTS mutes_endpoint ON mutes (endpoint, until)""",
]

_POSTGRESQL = [
    """
CREATE TABLE IF NOT EXISTS incidents (
    id VARCHAR COLLATE "C" NOT NULL,
    project VARCHAR COLLATE "C" NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    severity VARCHAR COLLATE "C" NOT NULL,
    title VARCHAR COLLATE "C" NOT NULL,
    columns TEXT NOT NULL,
    version_id VARCHAR COLLATE "C",
    owner VARCHAR COLLATE "C" NOT NULL,
    state VARCHAR COLLATE "C" NOT NULL,
    alerts BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    last_event_time BIGINT,
    alert_id VARCHAR COLLATE "C" NOT NULL,
    level BIGINT NOT NULL,
    next_at BIGINT,
    acknowledged_by VARCHAR COLLATE "C",
    acknowledged_at BIGINT,
    note VARCHAR COLLATE "C" NOT NULL,
    resolved_by VARCHAR COLLATE "C",
    resolved_at BIGINT,
    resolution VARCHAR COLLATE "C" NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS lineage_events (
    run_id VARCHAR COLLATE "C" NOT NULL,
    event VARCHAR COLLATE "C" NOT NULL,
    target VARCHAR COLLATE "C" NOT NULL,
    body VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    taken_at BIGINT,
    error VARCHAR COLLATE "C",
    PRIMARY KEY (run_id, event, target)
)
""",
    """
CREATE TABLE IF NOT EXISTS mutes (
    id VARCHAR COLLATE "C" NOT NULL,
    endpoint VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C",
    "column" VARCHAR COLLATE "C",
    until BIGINT NOT NULL,
    reason VARCHAR COLLATE "C" NOT NULL,
    created_by VARCHAR COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (id)
)
""",
    """CREATE INDEX IF NOT EXISTS incidents_due ON incidents (next_at)""",
    """CREATE INDEX IF NOT EXISTS incidents_endpoint ON incidents (endpoint, state, kind)""",
    """CREATE INDEX IF NOT EXISTS incidents_last ON incidents (last_at)""",
    """CREATE INDEX IF NOT EXISTS lineage_events_due ON lineage_events (target, next_at)""",
    """CREATE INDEX IF NOT EXISTS mutes_endpoint ON mutes (endpoint, until)""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
