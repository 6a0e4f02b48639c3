"""Statistics: counters by minute and by hour, of messages and of activity."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0016"
down_revision = "0015"

# Of messages and of activity apart: each is written in the transaction of its own projection, and made anew from its
# own log. `scope` is 0 of an organization, 1 of an integration, 2 of a device, 3 of a credential.
SCRIPT = """
CREATE TABLE message_minutes (
    time timestamptz NOT NULL,
    organization integer NOT NULL,
    scope smallint NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    readings bigint NOT NULL,
    dead_letters bigint NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (organization, scope, name, time)
) PARTITION BY RANGE (time);
CREATE TABLE message_hours (LIKE message_minutes, PRIMARY KEY (organization, scope, name, time))
    PARTITION BY RANGE (time);
CREATE TABLE activity_minutes (
    time timestamptz NOT NULL,
    organization integer NOT NULL,
    scope smallint NOT NULL,
    messages bigint NOT NULL,
    bytes bigint NOT NULL,
    errors bigint NOT NULL,
    connects bigint NOT NULL,
    disconnects bigint NOT NULL,
    refusals bigint NOT NULL,
    links_up bigint NOT NULL,
    links_down bigint NOT NULL,
    links_degraded bigint NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (organization, scope, name, time)
) PARTITION BY RANGE (time);
CREATE TABLE activity_hours (LIKE activity_minutes, PRIMARY KEY (organization, scope, name, time))
    PARTITION BY RANGE (time);
COMMENT ON COLUMN activity_hours.messages IS 'of a credential, once a connection ended; else 0';

ALTER TABLE partition_floors NO FORCE ROW LEVEL SECURITY; -- of its owner, for these rows
INSERT INTO partition_floors SELECT parent, (now() AT TIME ZONE 'UTC')::date - 400
    FROM unnest(ARRAY['message_minutes', 'message_hours', 'activity_minutes', 'activity_hours']) parent;
ALTER TABLE partition_floors FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['message_minutes', 'message_hours', 'activity_minutes', 'activity_hours'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)', parent || '_old', parent,
            ((now() AT TIME ZONE 'UTC')::date - 400)::text || ' 00:00+00');
        PERFORM hybridmq_lock_down(parent);
        PERFORM hybridmq_lock_down(parent || '_old');
        EXECUTE format('CREATE POLICY tenant ON %I USING (organization = (SELECT hybridmq_organization()))', parent);
        EXECUTE format('GRANT SELECT ON %I TO hybridmq_query, hybridmq_projector', parent);
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO hybridmq_projector', parent);
    END LOOP;
END $$;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
