"""Ends of incidents."""

from kept.store.migrations.statements import execute

revision = "0004"
down_revision = "0003"

_SQLITE = [
    """
CREATE TABLE "new_notices" (
    id VARCHAR(36) NOT NULL,
    alert_id VARCHAR(36) NOT NULL,
    about VARCHAR(10) NOT NULL,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT,
    delivered_at BIGINT,
    error TEXT,
    PRIMARY KEY (id)
)
""",
    """
INSERT INTO "new_notices" ("id", "alert_id", "target", "attempts", "next_at", "delivered_at", "error", "about") SELECT "id", "alert_id", "target", "attempts", "next_at", "delivered_at", "error", 'raised' FROM "notices"
""",
    """
DROP TABLE "notices"
""",
    """
ALTER TABLE "new_notices" RENAME TO "notices"
""",
    """CREATE INDEX IF NOT EXISTS notices_alert ON notices (alert_id)""",
    """CREATE INDEX IF NOT EXISTS notices_due ON notices (next_at)""",
]

_POSTGRESQL = [
    """
ALTER TABLE "notices" ADD COLUMN "about" character varying COLLATE "C"
""",
    """UPDATE "notices" SET "about" = 'raised'""",
    """ALTER TABLE "notices" ALTER COLUMN "about" SET NOT NULL""",
    """CREATE INDEX IF NOT EXISTS notices_alert ON notices (alert_id)""",
    """CREATE INDEX IF NOT EXISTS notices_due ON notices (next_at)""",
]


def upgrade() -> None:
    """The change of this revision."""
    execute(sqlite=_SQLITE, postgresql=_POSTGRESQL)
