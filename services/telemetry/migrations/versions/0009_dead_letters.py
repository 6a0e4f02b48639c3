"""Read model: dead letters, as they stand."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0009"
down_revision = "0008"

SCRIPT = """
CREATE TABLE dead_letters (
    received_at timestamptz NOT NULL,
    organization integer NOT NULL,
    id text NOT NULL,
    stream_created text NOT NULL,
    sequence bigint NOT NULL,
    subject text NOT NULL,
    source text NOT NULL,
    topic text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    decoder text NOT NULL,
    payload bytea NOT NULL,
    state text NOT NULL DEFAULT 'open',
    closed_at timestamptz,
    closed_by text,
    UNIQUE (organization, received_at, id)
) PARTITION BY RANGE (received_at);
COMMENT ON COLUMN dead_letters.sequence IS 'of the message in MESSAGES as it was created then; `subject` is there, too';
CREATE INDEX dead_letters_by_id ON dead_letters (organization, id);
ALTER TABLE partition_floors NO FORCE ROW LEVEL SECURITY; -- of its owner, for this row
INSERT INTO partition_floors VALUES ('dead_letters', (now() AT TIME ZONE 'UTC')::date - 400);
ALTER TABLE partition_floors FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    bottom date := (SELECT floor FROM partition_floors WHERE parent = 'dead_letters');
BEGIN
    EXECUTE format('CREATE TABLE dead_letters_old PARTITION OF dead_letters FOR VALUES FROM (MINVALUE) TO (%L)',
        bottom::text || ' 00:00+00');
END $$;
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['dead_letters', 'dead_letters_old']) name;
CREATE POLICY tenant ON dead_letters USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON dead_letters TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE ON dead_letters TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
