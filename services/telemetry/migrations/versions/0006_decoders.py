"""Read models: which decoder made a sample; what stateful decoders know of their senders."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0006"
down_revision = "0005"

# Numbers of 4 bytes, not 2: each change of settings by any tenant takes one.
SCRIPT = """
CREATE TABLE decoders (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    version integer NOT NULL,
    settings_hash text NOT NULL,
    UNIQUE (name, version, settings_hash)
);
COMMENT ON COLUMN decoders.settings_hash IS 'tells settings apart without showing them; empty: the defaults';
SELECT hybridmq_lock_down('decoders');
CREATE POLICY everybody ON decoders FOR SELECT USING (true);
GRANT SELECT ON decoders TO hybridmq_query, hybridmq_projector;
GRANT INSERT ON decoders TO hybridmq_projector;
ALTER TABLE samples ADD COLUMN decoder integer;
COMMENT ON COLUMN samples.decoder IS 'NULL: stored before this was noted';

CREATE TABLE decoder_states (
    organization text NOT NULL,
    source text NOT NULL,
    sender text NOT NULL,
    part text NOT NULL,
    epoch smallint NOT NULL,
    sequence bigint NOT NULL,
    since timestamptz NOT NULL,
    value bytea,
    PRIMARY KEY (organization, source, sender, part, epoch, sequence)
);
COMMENT ON TABLE decoder_states IS 'every part as of the message that changed it; value NULL: it was gone then';
CREATE INDEX decoder_states_oldest ON decoder_states (since);
CREATE TABLE decoder_counters (
    organization text NOT NULL,
    source text NOT NULL,
    sender text NOT NULL,
    epoch smallint NOT NULL,
    sequence bigint NOT NULL,
    counter integer NOT NULL,
    PRIMARY KEY (organization, source, sender)
) WITH (fillfactor = 70);
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['decoder_states', 'decoder_counters']) name;
GRANT SELECT, INSERT, UPDATE, DELETE ON decoder_states, decoder_counters TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
