"""How many devices were online, by the minute: as runs of minutes with the same number."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0019"
down_revision = "0018"

SCRIPT = """
CREATE TABLE presence_runs (
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    organization integer NOT NULL,
    online integer NOT NULL,
    PRIMARY KEY (organization, since)
) WITH (fillfactor = 50);
COMMENT ON TABLE presence_runs IS 'counted each minute; between two runs nobody counted';
COMMENT ON COLUMN presence_runs.until IS 'the last minute that was counted so';
SELECT hybridmq_lock_down('presence_runs');
CREATE POLICY tenant ON presence_runs USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON presence_runs TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE, DELETE ON presence_runs TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("what was counted cannot be counted again")
