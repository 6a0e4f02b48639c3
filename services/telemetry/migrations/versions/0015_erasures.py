"""Erasures: jobs that take all of a forgotten device's rows away."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0015"
down_revision = "0014"

SCRIPT = """
CREATE TABLE erasures (
    id text PRIMARY KEY,
    organization text NOT NULL,
    device text NOT NULL,
    forgotten_at timestamptz NOT NULL,
    forgotten_ns bigint NOT NULL,
    state text NOT NULL DEFAULT 'ordered',
    step text,
    began_at timestamptz,
    finished_at timestamptz,
    readings bigint NOT NULL DEFAULT 0,
    messages bigint NOT NULL DEFAULT 0,
    dead_letters bigint NOT NULL DEFAULT 0,
    commands bigint NOT NULL DEFAULT 0
);
COMMENT ON COLUMN erasures.forgotten_ns IS 'when the registry stored it: what MESSAGES stored before is erased';
CREATE INDEX erasures_newest ON erasures (organization, forgotten_at, id);
CREATE INDEX erasures_open ON erasures (forgotten_at) WHERE finished_at IS NULL;
SELECT hybridmq_lock_down('erasures');
CREATE POLICY tenant ON erasures USING (organization = current_setting('hybridmq.organization', true));
GRANT SELECT ON erasures TO hybridmq_query;
GRANT SELECT, INSERT, UPDATE ON erasures TO hybridmq_projector;
GRANT DELETE ON messages, dead_letters TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
