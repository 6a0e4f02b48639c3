"""Redecodes: their jobs; samples found by the sequence of their message; what a rebuild may look at."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0008"
down_revision = "0007"

# A BRIN index: rows of a day stand in the order of their sequences, so it is a few pages and costs a write nothing.
SCRIPT = """
CREATE TABLE redecodes (
    id text PRIMARY KEY,
    organization text NOT NULL,
    integration text NOT NULL,
    "start" timestamptz NOT NULL,
    "end" timestamptz NOT NULL,
    decoder jsonb NOT NULL,
    decoder_version integer NOT NULL,
    state text NOT NULL DEFAULT 'ordered',
    reported boolean NOT NULL DEFAULT false,
    ordered_at timestamptz NOT NULL,
    began_at timestamptz,
    finished_at timestamptz,
    first bigint,
    sequence bigint,
    last bigint,
    through_ns bigint,
    log_from timestamptz,
    messages bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    resolved bigint NOT NULL DEFAULT 0,
    working_s double precision NOT NULL DEFAULT 0,
    error text
);
COMMENT ON COLUMN redecodes.reported IS 'whether the registry has its end';
COMMENT ON COLUMN redecodes.sequence IS 'the last message of MESSAGES that it came to; first and last bound the range';
COMMENT ON COLUMN redecodes.through_ns IS 'when that message was stored';
CREATE INDEX redecodes_newest ON redecodes (organization, ordered_at, id);
CREATE INDEX redecodes_open ON redecodes (id) WHERE NOT reported;
CREATE TABLE redecode_doubts (
    redecode text NOT NULL REFERENCES redecodes ON DELETE CASCADE,
    device integer NOT NULL,
    metric integer NOT NULL,
    PRIMARY KEY (redecode, device, metric)
);
COMMENT ON TABLE redecode_doubts IS
    'what lost readings (metric 0: messages): whether it has others is looked up at the end';
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['redecodes', 'redecode_doubts']) name;
CREATE POLICY tenant ON redecodes USING (organization = current_setting('hybridmq.organization', true));
GRANT SELECT ON redecodes TO hybridmq_query;
GRANT SELECT, INSERT, UPDATE ON redecodes TO hybridmq_projector;
GRANT SELECT, INSERT, DELETE ON redecode_doubts TO hybridmq_projector;

CREATE INDEX samples_of_message ON samples USING brin (sequence int8_minmax_multi_ops)
    WITH (pages_per_range = 32, autosummarize = on);
GRANT DELETE ON samples, device_metrics, presence TO hybridmq_projector;
GRANT UPDATE ON messages TO hybridmq_projector;
GRANT SELECT ON partition_floors TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
