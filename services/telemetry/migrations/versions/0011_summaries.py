"""Redecodes: the index that finds samples by the sequence of their message is brought up to date when it is needed."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0011"
down_revision = "0010"

# Pages that no summary covers are read through each time; autovacuum makes summaries only now and then.
SCRIPT = """
CREATE FUNCTION hybridmq_summarize_samples() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT i.indexrelid::regclass FROM pg_index i
        JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
        JOIN pg_inherits h ON h.inhrelid = i.indrelid
        WHERE h.inhparent = 'public.samples'::regclass AND a.amname = 'brin'
    LOOP
        PERFORM brin_summarize_new_values(part);
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION hybridmq_summarize_samples FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hybridmq_summarize_samples TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
