"""Read models: presence with since and why, connections, statistics of credentials."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0002"
down_revision = "0001"

# Presence has rows of its own: two projections write it, and only those rows are locked by both.
TABLES = """
CREATE TABLE presence (
    device integer PRIMARY KEY REFERENCES devices,
    organization integer NOT NULL,
    online boolean NOT NULL,
    since timestamptz NOT NULL,
    why text NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN presence.at IS 'of the newest evidence that was weighed';
INSERT INTO presence
    SELECT id, organization, online, coalesce(online_since, last_seen, now()), 'status',
        coalesce(online_since, last_seen, now())
    FROM devices WHERE online IS NOT NULL;
ALTER TABLE devices DROP COLUMN online, DROP COLUMN online_since;

-- Those that are open, and the ones that ended a short while ago: what comes late does not open them again.
CREATE TABLE connections (
    organization integer NOT NULL,
    credential text NOT NULL,
    id text NOT NULL,
    device integer REFERENCES devices,
    connected_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (organization, credential, id)
) WITH (fillfactor = 50);
CREATE INDEX connections_of_device ON connections (device) WHERE device IS NOT NULL;
CREATE INDEX connections_ended ON connections (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE credential_statistics (
    organization integer NOT NULL,
    credential text NOT NULL,
    connects bigint NOT NULL DEFAULT 0,
    messages_in bigint NOT NULL DEFAULT 0,
    bytes_in bigint NOT NULL DEFAULT 0,
    messages_out bigint NOT NULL DEFAULT 0,
    bytes_out bigint NOT NULL DEFAULT 0,
    last_connected_at timestamptz,
    last_disconnected_at timestamptz,
    last_disconnect_reason text,
    last_address text,
    PRIMARY KEY (organization, credential)
) WITH (fillfactor = 50);
CREATE TABLE credential_refusals (
    organization integer NOT NULL,
    credential text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (organization, credential, reason)
) WITH (fillfactor = 50);
"""

SECURITY = """
SELECT hybridmq_lock_down(name)
    FROM unnest(ARRAY['presence', 'connections', 'credential_statistics', 'credential_refusals']) name;
CREATE POLICY tenant ON presence USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON connections USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON credential_statistics USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON credential_refusals USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON presence, connections, credential_statistics, credential_refusals
    TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE ON presence, connections, credential_statistics, credential_refusals
    TO hybridmq_projector;
GRANT DELETE ON connections TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    connection = bind.connection.driver_connection
    for script in (TABLES, SECURITY):
        await_only(connection.execute(script))  # type: ignore[union-attr]  # past SQLAlchemy: many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
