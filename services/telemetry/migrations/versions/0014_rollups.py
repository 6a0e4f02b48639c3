"""Roll-ups by minute, hour and day; which hours and days of a device are to be computed; retention."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0014"
down_revision = "0013"

# A row a metric, device and span: a question about one metric reads nothing of the others. Fixed widths first; the
# decimals and `…_other` are NULL but for numbers that no double holds, texts and booleans.
TABLES = """
CREATE TABLE rollups_1m (
    time timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    organization integer NOT NULL,
    device integer NOT NULL,
    metric integer NOT NULL,
    n integer NOT NULL,
    numbers integer NOT NULL,
    sum double precision,
    min double precision,
    max double precision,
    first double precision,
    last double precision,
    sum_exact numeric,
    min_exact numeric,
    max_exact numeric,
    first_other jsonb,
    last_other jsonb,
    PRIMARY KEY (device, metric, time)
) PARTITION BY RANGE (time);
COMMENT ON COLUMN rollups_1m.time IS 'of the beginning of its span';
COMMENT ON COLUMN rollups_1m.numbers IS 'how many of n are numbers';
COMMENT ON COLUMN rollups_1m.sum IS 'of doubles; what they would not add up exactly is in sum_exact';
CREATE TABLE rollups_1h (LIKE rollups_1m INCLUDING COMMENTS, PRIMARY KEY (device, metric, time))
    PARTITION BY RANGE (time);
CREATE TABLE rollups_1d (LIKE rollups_1m INCLUDING COMMENTS, PRIMARY KEY (device, metric, time))
    PARTITION BY RANGE (time);

CREATE TABLE dirty_hours (
    device integer NOT NULL,
    hour timestamptz NOT NULL,
    organization integer NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    version xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (device, hour)
) WITH (fillfactor = 70);
COMMENT ON TABLE dirty_hours IS 'whose samples changed since their roll-ups were computed, or have none yet';
COMMENT ON COLUMN dirty_hours.version IS 'of the transaction that changed samples last';
CREATE INDEX dirty_hours_oldest ON dirty_hours (hour, device);
CREATE TABLE dirty_days (
    device integer NOT NULL,
    day timestamptz NOT NULL,
    organization integer NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (device, day)
);
COMMENT ON TABLE dirty_days IS 'whose hours changed since the roll-up of the day was computed';
CREATE INDEX dirty_days_oldest ON dirty_days (day, device);

CREATE UNLOGGED TABLE rebuilt_hours (
    device integer NOT NULL,
    hour timestamptz NOT NULL,
    organization integer NOT NULL
);
COMMENT ON TABLE rebuilt_hours IS 'whose samples a rebuild that is under way makes otherwise than they are';

CREATE TABLE retentions (
    organization integer PRIMARY KEY REFERENCES organizations,
    raw_since timestamptz NOT NULL DEFAULT '-infinity',
    minutes_since timestamptz NOT NULL DEFAULT '-infinity',
    hours_since timestamptz NOT NULL DEFAULT '-infinity',
    raw_deleted timestamptz NOT NULL DEFAULT '-infinity',
    minutes_deleted timestamptz NOT NULL DEFAULT '-infinity',
    hours_deleted timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 70);
COMMENT ON COLUMN retentions.raw_since IS 'what is older is seen by nobody, and may be gone: it only moves on';
COMMENT ON COLUMN retentions.raw_deleted IS 'as far as the rows are gone, too';
"""

# All that is there was never rolled up. Its owner sees no row under forced row security.
HISTORY = """
ALTER TABLE samples NO FORCE ROW LEVEL SECURITY;
INSERT INTO dirty_hours (device, hour, organization)
    SELECT DISTINCT device, date_trunc('hour', time, 'UTC'), organization FROM samples;
ALTER TABLE samples FORCE ROW LEVEL SECURITY;
"""

# A day, a month, a year: so many partitions as a question can be planned over. What is older than the floor is in one.
PARTITIONS = """
ALTER TABLE partition_floors NO FORCE ROW LEVEL SECURITY;
INSERT INTO partition_floors
    SELECT 'rollups_1m', floor FROM partition_floors WHERE parent = 'samples'
    UNION ALL SELECT 'rollups_1h', (date_trunc('year', now() AT TIME ZONE 'UTC') - interval '10 years')::date
    UNION ALL SELECT 'rollups_1d', (date_trunc('year', now() AT TIME ZONE 'UTC') - interval '30 years')::date;
ALTER TABLE partition_floors FORCE ROW LEVEL SECURITY;

CREATE FUNCTION hybridmq_rollup_unit(parent text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE parent WHEN 'rollups_1m' THEN 'day' WHEN 'rollups_1h' THEN 'month' WHEN 'rollups_1d' THEN 'year' END
$$;

CREATE FUNCTION hybridmq_ensure_rollups(at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tier text;
    unit text;
    first timestamp;
    child text;
BEGIN
    FOREACH tier IN ARRAY ARRAY['rollups_1m', 'rollups_1h', 'rollups_1d'] LOOP
        unit := hybridmq_rollup_unit(tier);
        first := date_trunc(unit, at AT TIME ZONE 'UTC');
        CONTINUE WHEN first < (SELECT floor FROM partition_floors p WHERE p.parent = tier);
        child := tier || to_char(first, '_YYYYMMDD');
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(hashtext('hybridmq_ensure_day'));
        CONTINUE WHEN to_regclass(child) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES)', child, tier);
        PERFORM hybridmq_lock_down(child);
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', tier, child,
            first::text || '+00', (first + ('1 ' || unit)::interval)::text || '+00');
    END LOOP;
END $$;

-- Whole spans only: a month goes when all of its hours are past.
CREATE FUNCTION hybridmq_drop_rollups(parent text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    child text;
    dropped integer := 0;
    unit text := hybridmq_rollup_unit(parent);
BEGIN
    IF unit IS NULL THEN
        RAISE EXCEPTION 'no roll-ups of ours: %', parent;
    END IF;
    FOR child IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(parent) AND c.relname ~ '_[0-9]{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') + ('1 ' || unit)::interval <= before AT TIME ZONE 'UTC'
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', child);
        dropped := dropped + 1;
    END LOOP;
    IF before AT TIME ZONE 'UTC' >=
        (SELECT floor FROM partition_floors p WHERE p.parent = hybridmq_drop_rollups.parent) THEN
        EXECUTE format('TRUNCATE %I', parent || '_old');
    END IF;
    RETURN dropped;
END $$;

DO $$
DECLARE
    bottom record;
BEGIN
    FOR bottom IN SELECT * FROM partition_floors WHERE parent LIKE 'rollups%' LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE) TO (%L)',
            bottom.parent || '_old', bottom.parent, bottom.floor::text || ' 00:00+00');
        PERFORM hybridmq_lock_down(bottom.parent || '_old');
    END LOOP;
END $$;
"""

# Row security hides what is past an organization's retention: no query has to think of it.
SECURITY = """
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['rollups_1m', 'rollups_1h', 'rollups_1d', 'dirty_hours', 'dirty_days',
    'rebuilt_hours', 'retentions']) name;
ALTER FUNCTION hybridmq_organization() PARALLEL SAFE;
CREATE POLICY tenant ON retentions USING (organization = (SELECT hybridmq_organization()));
CREATE FUNCTION hybridmq_raw_since() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce((SELECT raw_since FROM public.retentions
        WHERE organization = (SELECT public.hybridmq_organization())), '-infinity') $$;
CREATE FUNCTION hybridmq_minutes_since() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce((SELECT minutes_since FROM public.retentions
        WHERE organization = (SELECT public.hybridmq_organization())), '-infinity') $$;
CREATE FUNCTION hybridmq_hours_since() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT coalesce((SELECT hours_since FROM public.retentions
        WHERE organization = (SELECT public.hybridmq_organization())), '-infinity') $$;
ALTER POLICY tenant ON samples USING (
    organization = (SELECT hybridmq_organization()) AND time >= (SELECT hybridmq_raw_since()));
ALTER POLICY tenant ON messages USING (
    organization = (SELECT hybridmq_organization()) AND received_at >= (SELECT hybridmq_raw_since()));
CREATE POLICY tenant ON rollups_1m USING (
    organization = (SELECT hybridmq_organization()) AND time >= (SELECT hybridmq_minutes_since()));
CREATE POLICY tenant ON rollups_1h USING (
    organization = (SELECT hybridmq_organization()) AND time >= (SELECT hybridmq_hours_since()));
CREATE POLICY tenant ON rollups_1d USING (
    organization = (SELECT hybridmq_organization()) AND time >= (SELECT hybridmq_hours_since()));
CREATE POLICY tenant ON dirty_hours USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON dirty_days USING (organization = (SELECT hybridmq_organization()));

GRANT SELECT ON rollups_1m, rollups_1h, rollups_1d, dirty_hours, dirty_days, retentions
    TO hybridmq_query, hybridmq_projector;
GRANT INSERT, DELETE ON rollups_1m, rollups_1h, rollups_1d TO hybridmq_projector;
GRANT INSERT, UPDATE, DELETE ON dirty_hours, dirty_days, retentions TO hybridmq_projector;
GRANT SELECT, INSERT, TRUNCATE ON rebuilt_hours TO hybridmq_projector;
GRANT DELETE ON messages TO hybridmq_projector;
REVOKE ALL ON FUNCTION hybridmq_ensure_rollups, hybridmq_drop_rollups FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hybridmq_ensure_rollups, hybridmq_drop_rollups TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    connection = bind.connection.driver_connection
    for script in (TABLES, HISTORY, PARTITIONS, SECURITY):
        await_only(connection.execute(script))  # type: ignore[union-attr]  # past SQLAlchemy: many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
