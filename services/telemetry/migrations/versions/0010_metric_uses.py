"""Read models: in which units and kinds a metric is sent, learnt from what devices say."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0010"
down_revision = "0009"

SCRIPT = """
CREATE TABLE metric_uses (
    organization integer NOT NULL,
    metric integer NOT NULL REFERENCES metrics,
    unit text NOT NULL,
    kind text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    PRIMARY KEY (metric, unit, kind)
);
COMMENT ON COLUMN metric_uses.unit IS 'empty: sent without one';
COMMENT ON COLUMN metric_uses.kind IS 'number, boolean or text';
SELECT hybridmq_lock_down('metric_uses');
CREATE POLICY tenant ON metric_uses USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON metric_uses TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE ON metric_uses TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
