"""Read models: devices, samples, messages, activity; checkpoints; partitions by day; row level security."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0001"
down_revision = None

# A sample is what one device measured at one time: one row with arrays, not one row a reading. Measured with
# three readings each: 12 µs of PostgreSQL's CPU a message instead of 18, and a row is what the API lists.
TABLES = """
CREATE TABLE organizations (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE metrics (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization integer NOT NULL REFERENCES organizations,
    name text NOT NULL,
    UNIQUE (organization, name)
);
-- Room on each page, so that the counters are updated without touching an index (HOT).
CREATE TABLE devices (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization integer NOT NULL REFERENCES organizations,
    first_seen timestamptz,
    last_seen timestamptz,
    messages bigint NOT NULL DEFAULT 0,
    online_since timestamptz,
    online boolean,
    name text NOT NULL,
    UNIQUE (organization, name)
) WITH (fillfactor = 50);
CREATE INDEX devices_newest ON devices (organization, id);
-- Which metrics a device has, and the last day that has one: where the latest value is looked for.
CREATE TABLE device_metrics (
    organization integer NOT NULL,
    device integer NOT NULL REFERENCES devices,
    metric integer NOT NULL REFERENCES metrics,
    day date NOT NULL,
    PRIMARY KEY (device, metric)
);
CREATE TABLE samples (
    time timestamptz NOT NULL,
    sequence bigint NOT NULL,
    organization integer NOT NULL,
    device integer NOT NULL,
    epoch smallint NOT NULL,
    position smallint NOT NULL,
    flags smallint NOT NULL,
    source text NOT NULL,
    topic text NOT NULL,
    metrics integer[] NOT NULL,
    numbers double precision[] NOT NULL,
    others jsonb,
    units jsonb
) PARTITION BY RANGE (time);
COMMENT ON COLUMN samples.position IS 'of the sample in its message';
COMMENT ON COLUMN samples.numbers IS 'beside metrics; NULL for texts, booleans; nearest for large integers';
COMMENT ON COLUMN samples.others IS 'metric id to text, boolean, or an integer that no double holds exactly';
COMMENT ON COLUMN samples.units IS 'metric id to unit, where the device said one';
CREATE INDEX samples_newest ON samples (organization, time, sequence);
CREATE INDEX samples_of_device ON samples (device, time, sequence);
CREATE TABLE messages (
    received_at timestamptz NOT NULL,
    sequence bigint NOT NULL,
    organization integer NOT NULL,
    device integer,
    epoch smallint NOT NULL,
    qos smallint NOT NULL,
    retain boolean NOT NULL,
    source text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    failure text
) PARTITION BY RANGE (received_at);
CREATE INDEX messages_newest ON messages (organization, received_at, sequence);
CREATE INDEX messages_of_device ON messages (device, received_at, sequence);
CREATE TABLE activity (
    time timestamptz NOT NULL,
    sequence bigint NOT NULL,
    organization integer NOT NULL,
    epoch smallint NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    summary text NOT NULL,
    actor text NOT NULL,
    subject text,
    device_id text,
    reason text,
    duration_ms double precision,
    details jsonb NOT NULL
) PARTITION BY RANGE (time);
CREATE INDEX activity_newest ON activity (organization, time, sequence);
CREATE TABLE epochs (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream text NOT NULL,
    created text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN epochs.created IS 'as the server says it, in nanoseconds';
CREATE TABLE checkpoints (
    projection text NOT NULL,
    partition smallint NOT NULL,
    epoch smallint NOT NULL REFERENCES epochs,
    sequence bigint NOT NULL,
    PRIMARY KEY (projection, partition)
) WITH (fillfactor = 50);
"""

# No default partition: with one, newest-first reads could not go from day to day and stop (ordered append).
# All that is older than 400 days is in one partition, so a clock gone wrong makes no thousand of them.
PARTITIONS = """
CREATE TABLE partition_floors (parent text PRIMARY KEY, floor date NOT NULL);
INSERT INTO partition_floors
    SELECT parent, (now() AT TIME ZONE 'UTC')::date - 400
    FROM unnest(ARRAY['samples', 'messages', 'activity']) parent;

CREATE FUNCTION hybridmq_lock_down(name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
END $$;

-- Attached, not created in place: that locks out no reader and no writer of the other days.
CREATE FUNCTION hybridmq_ensure_day(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    child text := parent || to_char(day, '_YYYYMMDD');
BEGIN
    IF day < (SELECT floor FROM partition_floors p WHERE p.parent = hybridmq_ensure_day.parent)
        IS NOT FALSE THEN
        RETURN; -- or no table of ours
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('hybridmq_ensure_day'));
    IF to_regclass(child) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', child, parent);
    PERFORM hybridmq_lock_down(child);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child,
        day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
END $$;

CREATE FUNCTION hybridmq_drop_days(parent text, before date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    child text;
    dropped integer := 0;
    bottom date := (SELECT floor FROM partition_floors p WHERE p.parent = hybridmq_drop_days.parent);
BEGIN
    IF bottom IS NULL THEN
        RAISE EXCEPTION 'no partitioned table of ours: %', parent;
    END IF;
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(parent) AND c.relname ~ '_[0-9]{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', child);
        dropped := dropped + 1;
    END LOOP;
    IF bottom <= before THEN
        EXECUTE format('TRUNCATE %I', parent || '_old');
    END IF;
    RETURN dropped;
END $$;

DO $$
DECLARE
    bottom record;
BEGIN
    FOR bottom IN SELECT * FROM partition_floors LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)',
            bottom.parent || '_old', bottom.parent, bottom.floor::text || ' 00:00+00');
        PERFORM hybridmq_lock_down(bottom.parent || '_old');
    END LOOP;
END $$;
"""

# The setting is an organization's id; without it, or after its transaction, nothing is seen.
SECURITY = """
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['organizations', 'metrics', 'devices', 'device_metrics',
    'samples', 'messages', 'activity', 'epochs', 'checkpoints', 'partition_floors']) name;
CREATE POLICY tenant ON organizations USING (name = current_setting('hybridmq.organization', true));
CREATE FUNCTION hybridmq_organization() RETURNS integer LANGUAGE sql STABLE AS
    $$ SELECT id FROM public.organizations WHERE name = current_setting('hybridmq.organization', true) $$;
CREATE POLICY tenant ON metrics USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON devices USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON device_metrics USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON samples USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON messages USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON activity USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY everybody ON partition_floors FOR SELECT TO CURRENT_USER USING (true);

CREATE VIEW readings WITH (security_invoker = true) AS
    SELECT s.organization, s.device, one.metric, s.time, s.epoch, s.sequence, s.position, s.flags,
        one.number, s.others -> one.metric::text AS other, s.units ->> one.metric::text AS unit
    FROM samples s CROSS JOIN LATERAL unnest(s.metrics, s.numbers) AS one (metric, number);

GRANT USAGE ON SCHEMA public TO hybridmq_projector, hybridmq_query;
GRANT SELECT ON organizations, metrics, devices, device_metrics, samples, messages, activity, readings
    TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE ON organizations, metrics, devices, device_metrics TO hybridmq_projector;
GRANT INSERT ON samples, messages, activity TO hybridmq_projector;
GRANT SELECT, INSERT, UPDATE ON epochs, checkpoints TO hybridmq_projector;
REVOKE ALL ON FUNCTION hybridmq_ensure_day, hybridmq_drop_days, hybridmq_lock_down FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hybridmq_ensure_day, hybridmq_drop_days TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    connection = bind.connection.driver_connection
    for script in (TABLES, PARTITIONS, SECURITY):
        await_only(connection.execute(script))  # type: ignore[union-attr]  # past SQLAlchemy: many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
