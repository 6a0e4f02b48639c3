"""Read model: what people say of devices; what they are found by: words, tags, integrations."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0012"
down_revision = "0011"

# Under row level security only comparisons that are "leakproof" may look into an index: those of a B-tree are, those
# of a GIN index (trigrams, arrays) are not. So words and tags are rows, and `q` is the beginning of a word.
SCRIPT = """
ALTER TABLE devices ADD label text, ADD tags text[] NOT NULL DEFAULT '{}', ADD metadata jsonb NOT NULL DEFAULT '{}',
    ADD hidden boolean NOT NULL DEFAULT false, ADD described_at timestamptz, ADD settled_at timestamptz;
COMMENT ON COLUMN devices.label IS 'its name for people; `name` is its id';
COMMENT ON COLUMN devices.described_at IS 'when people last said something of it; NULL: nothing holds';
COMMENT ON COLUMN devices.settled_at IS 'of the newest event of the registry that was applied';

CREATE TABLE device_words (
    organization integer NOT NULL,
    word text COLLATE "C" NOT NULL,
    device integer NOT NULL,
    PRIMARY KEY (organization, word, device)
);
COMMENT ON TABLE device_words IS 'what begins somewhere in id or name: its end, in small letters';
CREATE TABLE device_tags (
    organization integer NOT NULL,
    tag text COLLATE "C" NOT NULL,
    device integer NOT NULL,
    PRIMARY KEY (organization, tag, device)
);
CREATE TABLE device_sources (
    organization integer NOT NULL,
    source text COLLATE "C" NOT NULL,
    device integer NOT NULL,
    PRIMARY KEY (organization, source, device)
);

-- "Pump-Berlin042" is found by pump…, berlin042…, 042… and 42…: a word begins behind what is no letter or digit, where
-- letters and digits meet, at a capital behind a small letter, and behind leading zeros. At most 24 of a text.
CREATE FUNCTION hybridmq_words(said text) RETURNS SETOF text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT DISTINCT lower(substr(said, first.at, 64)) FROM (
        SELECT each.at FROM (
            SELECT at::integer, c ~ '[[:alnum:]]' AS letter, c BETWEEN '0' AND '9' AS digit, c <> lower(c) AS capital,
                c = '0' AS zero, lag(c ~ '[[:alnum:]]') OVER w AS after_letter,
                lag(c BETWEEN '0' AND '9') OVER w AS after_digit, lag(c <> upper(c)) OVER w AS after_small,
                substr(said, 1, at::integer - 1) ~ '(^|[^0-9])0+$' AS after_zeros
            FROM regexp_split_to_table(said, '') WITH ORDINALITY AS split (c, at)
            WINDOW w AS (ORDER BY at)
        ) each
        WHERE each.at = 1 OR (each.letter AND (NOT each.after_letter OR each.digit <> each.after_digit
            OR (each.capital AND each.after_small) OR (each.after_zeros AND each.digit AND NOT each.zero)))
        ORDER BY each.at LIMIT 24
    ) first
    WHERE said <> '';
END;

CREATE FUNCTION hybridmq_index_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM public.device_words w USING public.hybridmq_words(OLD.label) AS said
            WHERE w.organization = OLD.organization AND w.word = said AND w.device = OLD.id;
        DELETE FROM public.device_tags t
            WHERE t.organization = OLD.organization AND t.tag = ANY (OLD.tags) AND t.device = OLD.id;
    END IF;
    INSERT INTO public.device_words SELECT NEW.organization, said, NEW.id
        FROM (SELECT public.hybridmq_words(NEW.name) UNION SELECT public.hybridmq_words(NEW.label)) AS word (said)
        ON CONFLICT DO NOTHING;
    INSERT INTO public.device_tags SELECT NEW.organization, tag, NEW.id FROM unnest(NEW.tags) AS tag
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER devices_are_found AFTER INSERT OR UPDATE OF label, tags ON devices
    FOR EACH ROW EXECUTE FUNCTION hybridmq_index_device();

ALTER TABLE devices NO FORCE ROW LEVEL SECURITY; -- of its owner, for this statement
INSERT INTO device_words SELECT organization, word, id FROM devices, hybridmq_words(name) AS word;
ALTER TABLE devices FORCE ROW LEVEL SECURITY;

SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['device_words', 'device_tags', 'device_sources']) name;
CREATE POLICY tenant ON device_words USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON device_tags USING (organization = (SELECT hybridmq_organization()));
CREATE POLICY tenant ON device_sources USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON device_words, device_tags, device_sources TO hybridmq_query, hybridmq_projector;
GRANT INSERT, DELETE ON device_words, device_tags, device_sources TO hybridmq_projector;
CREATE INDEX presence_online ON presence (organization, device) WHERE online;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
