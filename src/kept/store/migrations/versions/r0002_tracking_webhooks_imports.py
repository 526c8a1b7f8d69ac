"""Tracking webhooks imports."""

from kept.store.migrations.statements import execute

revision = "0002"
down_revision = "0001"

_SQLITE = [
    """
CREATE TABLE IF NOT EXISTS imports (
    source TEXT NOT NULL,
    kind VARCHAR(20) NOT NULL,
    "foreign" TEXT NOT NULL,
    local TEXT NOT NULL,
    mark TEXT NOT NULL,
    cursor TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (source, kind, "foreign")
)
""",
    """
CREATE TABLE IF NOT EXISTS log_writers (
    id VARCHAR(36) NOT NULL,
    run INTEGER NOT NULL,
    position BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id VARCHAR(36) NOT NULL,
    webhook_id VARCHAR(36) NOT NULL,
    event VARCHAR(40) NOT NULL,
    body TEXT NOT NULL,
    state VARCHAR(9) NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT,
    answered INTEGER,
    error TEXT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS webhooks (
    id VARCHAR(36) NOT NULL,
    name VARCHAR(63) NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT,
    status VARCHAR(8) NOT NULL,
    secret TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """CREATE INDEX IF NOT EXISTS log_writers_run ON log_writers (run)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (next_at)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_ended ON webhook_deliveries (ended_at)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_webhook ON webhook_deliveries (webhook_id, next_at)""",
]

_POSTGRESQL = [
    """
CREATE TABLE IF NOT EXISTS imports (
    source VARCHAR COLLATE "C" NOT NULL,
    kind VARCHAR COLLATE "C" NOT NULL,
    "foreign" VARCHAR COLLATE "C" NOT NULL,
    local VARCHAR COLLATE "C" NOT NULL,
    mark VARCHAR COLLATE "C" NOT NULL,
    cursor VARCHAR COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (source, kind, "foreign")
)
""",
    """
CREATE TABLE IF NOT EXISTS log_writers (
    id VARCHAR COLLATE "C" NOT NULL,
    run BIGINT NOT NULL,
    position BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    id VARCHAR COLLATE "C" NOT NULL,
    webhook_id VARCHAR COLLATE "C" NOT NULL,
    event VARCHAR COLLATE "C" NOT NULL,
    body VARCHAR COLLATE "C" NOT NULL,
    state VARCHAR COLLATE "C" NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT,
    answered BIGINT,
    error VARCHAR COLLATE "C",
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (id)
)
""",
    """
CREATE TABLE IF NOT EXISTS webhooks (
    id VARCHAR COLLATE "C" NOT NULL,
    name VARCHAR COLLATE "C" NOT NULL,
    url VARCHAR COLLATE "C" NOT NULL,
    events TEXT NOT NULL,
    description VARCHAR COLLATE "C",
    status VARCHAR COLLATE "C" NOT NULL,
    secret VARCHAR COLLATE "C",
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (id)
)
""",
    """CREATE INDEX IF NOT EXISTS log_writers_run ON log_writers (run)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (next_at)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_ended ON webhook_deliveries (ended_at)""",
    """CREATE INDEX IF NOT EXISTS webhook_deliveries_webhook ON webhook_deliveries (webhook_id, next_at)""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
