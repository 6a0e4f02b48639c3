"""Rebuilds: their order and progress; shadow tables beside the read models, and the exchange of the two."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0004"
down_revision = "0003"

TABLES = """
CREATE TABLE rebuilds (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL DEFAULT 'ordered',
    actor text NOT NULL,
    command text,
    schema_version text,
    ordered_at timestamptz NOT NULL DEFAULT now(),
    began_at timestamptz,
    finished_at timestamptz,
    messages bigint NOT NULL DEFAULT 0,
    points bigint NOT NULL DEFAULT 0,
    carried bigint NOT NULL DEFAULT 0,
    reading_s double precision NOT NULL DEFAULT 0,
    messages_left bigint,
    comparison jsonb,
    error text
);
COMMENT ON COLUMN rebuilds.schema_version IS 'of the tables that the shadow was made of';
COMMENT ON COLUMN rebuilds.carried IS 'rows taken over as they are: the logs hold their messages no longer';
COMMENT ON COLUMN rebuilds.reading_s IS 'time at work, without the time after a crash';
CREATE UNIQUE INDEX rebuilds_open ON rebuilds ((true)) WHERE finished_at IS NULL;
SELECT hybridmq_lock_down('rebuilds');
GRANT SELECT, INSERT, UPDATE ON rebuilds TO hybridmq_projector;
GRANT SELECT ON alembic_version TO hybridmq_projector;
"""

# The projector owns no table, so what it may do to them is what these functions do. The schemas are ours alone.
FUNCTIONS = """
CREATE FUNCTION hybridmq_shadow_drop() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET client_min_messages = warning AS $$
BEGIN
    DROP SCHEMA IF EXISTS shadow CASCADE;
    DROP SCHEMA IF EXISTS shadow_old CASCADE;
END $$;

CREATE FUNCTION hybridmq_shadow_make(models text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    model text;
    held pg_class;
    part record;
BEGIN
    PERFORM hybridmq_shadow_drop();
    CREATE SCHEMA shadow;
    FOREACH model IN ARRAY models LOOP
        SELECT * INTO STRICT held FROM pg_class WHERE oid = format('public.%I', model)::regclass;
        EXECUTE format('CREATE TABLE shadow.%I (LIKE public.%I INCLUDING DEFAULTS INCLUDING GENERATED'
            ' INCLUDING IDENTITY INCLUDING COMMENTS INCLUDING CONSTRAINTS INCLUDING STORAGE'
            ' INCLUDING COMPRESSION) %s', model, model,
            CASE held.relkind WHEN 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(held.oid) ELSE '' END);
        IF held.reloptions IS NOT NULL THEN
            EXECUTE format('ALTER TABLE shadow.%I SET (%s)', model, array_to_string(held.reloptions, ', '));
        END IF;
        FOR part IN SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
            WHERE conrelid = held.oid AND contype IN ('p', 'u', 'f', 'x')
        LOOP
            EXECUTE format('ALTER TABLE shadow.%I ADD CONSTRAINT %I %s', model, part.conname, part.definition);
        END LOOP;
        FOR part IN SELECT pg_get_indexdef(i.indexrelid) AS definition FROM pg_index i
            WHERE i.indrelid = held.oid
                AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
        LOOP
            EXECUTE regexp_replace(part.definition, ' ON (ONLY )?public[.]', ' ON shadow.');
        END LOOP;
        IF held.relkind = 'p' THEN
            EXECUTE format('CREATE TABLE shadow.%I PARTITION OF shadow.%I FOR VALUES FROM (MINVALUE) TO (%L)',
                model || '_old', model,
                (SELECT floor::text || ' 00:00+00' FROM partition_floors p WHERE p.parent = model));
            EXECUTE format('ALTER TABLE shadow.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
                model || '_old');
        END IF;
        EXECUTE format('ALTER TABLE shadow.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', model);
        FOR part IN SELECT * FROM pg_policies WHERE schemaname = 'public' AND tablename = model LOOP
            EXECUTE format('CREATE POLICY %I ON shadow.%I FOR %s TO %s USING (%s)', part.policyname, model,
                part.cmd, array_to_string(part.roles, ', '), part.qual);
        END LOOP;
        FOR part IN SELECT grantee::regrole::text AS grantee, privilege_type
            FROM aclexplode(held.relacl) WHERE grantee <> held.relowner
        LOOP
            EXECUTE format('GRANT %s ON shadow.%I TO %s', part.privilege_type, model, part.grantee);
        END LOOP;
    END LOOP;
    -- Numbers of devices are one for all; what is counted of them is made anew.
    CREATE TABLE shadow.devices (LIKE public.devices INCLUDING DEFAULTS, PRIMARY KEY (id));
    CREATE TABLE shadow.checkpoints (LIKE public.checkpoints INCLUDING DEFAULTS, PRIMARY KEY (projection, partition));
    CREATE TABLE shadow.carried (name text PRIMARY KEY);
    CREATE FUNCTION shadow.hybridmq_ensure_day(parent text, day date) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    AS 'SELECT public.hybridmq_ensure_shadow_day($1, $2)';
    GRANT USAGE ON SCHEMA shadow TO hybridmq_projector;
    GRANT SELECT, INSERT, UPDATE ON shadow.devices, shadow.checkpoints, shadow.carried TO hybridmq_projector;
    REVOKE ALL ON FUNCTION shadow.hybridmq_ensure_day FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION shadow.hybridmq_ensure_day TO hybridmq_projector;
END $$;

CREATE FUNCTION hybridmq_ensure_shadow_day(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    child text := parent || to_char(day, '_YYYYMMDD');
BEGIN
    IF day < (SELECT floor FROM partition_floors p WHERE p.parent = hybridmq_ensure_shadow_day.parent)
        IS NOT FALSE THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('hybridmq_ensure_shadow_day'));
    IF to_regclass(format('shadow.%I', child)) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE shadow.%I (LIKE shadow.%I INCLUDING DEFAULTS)', child, parent);
    EXECUTE format('ALTER TABLE shadow.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE shadow.%I ATTACH PARTITION shadow.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
        day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
END $$;

CREATE FUNCTION hybridmq_shadow_analyze(models text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    model text;
BEGIN
    FOREACH model IN ARRAY models LOOP
        EXECUTE format('ANALYZE shadow.%I', model);
    END LOOP;
END $$;

-- Under a short statement_timeout, so that no reader waits for long: then it is tried again.
CREATE FUNCTION hybridmq_shadow_lock(models text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE 'LOCK TABLE ' || (SELECT string_agg(format('public.%I', model), ', ') FROM unnest(models) AS model)
        || ' IN ACCESS EXCLUSIVE MODE';
END $$;

CREATE FUNCTION hybridmq_shadow_swap(models text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved record;
    views record;
    definitions text[] := '{}';
BEGIN
    -- A view keeps to the tables that it was made of: it is said again, by their names.
    FOR views IN SELECT c.relname, c.reloptions, pg_get_viewdef(c.oid) AS body FROM pg_class c
        WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace
    LOOP
        definitions := definitions || format('CREATE OR REPLACE VIEW public.%I %s AS %s', views.relname,
            coalesce('WITH (' || array_to_string(views.reloptions, ', ') || ')', ''), views.body);
    END LOOP;
    CREATE SCHEMA shadow_old;
    FOR moved IN
        SELECT n.nspname AS home, CASE n.nspname WHEN 'public' THEN 'shadow_old' ELSE 'public' END AS goal, c.relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'shadow') AND c.relkind IN ('r', 'p') AND (c.relname = ANY(models)
            OR EXISTS (SELECT FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
                WHERE i.inhrelid = c.oid AND p.relname = ANY(models)))
        ORDER BY n.nspname
    LOOP
        EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', moved.home, moved.relname, moved.goal);
    END LOOP;
    FOR number IN 1 .. coalesce(array_length(definitions, 1), 0) LOOP
        EXECUTE definitions[number];
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION hybridmq_shadow_drop, hybridmq_shadow_make, hybridmq_ensure_shadow_day,
    hybridmq_shadow_analyze, hybridmq_shadow_lock, hybridmq_shadow_swap FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hybridmq_shadow_drop, hybridmq_shadow_make, hybridmq_shadow_analyze,
    hybridmq_shadow_lock, hybridmq_shadow_swap TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    connection = bind.connection.driver_connection
    for script in (TABLES, FUNCTIONS):
        await_only(connection.execute(script))  # type: ignore[union-attr]  # past SQLAlchemy: many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
