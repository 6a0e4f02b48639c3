"""Read model: commands to devices, as they stand."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0005"
down_revision = "0004"

# By the device's name, not its number: a command may be for one that was never heard.
SCRIPT = """
CREATE TABLE device_commands (
    organization integer NOT NULL,
    id text NOT NULL,
    device_id text NOT NULL,
    state text NOT NULL,
    queued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    delivered_at timestamptz,
    ended_at timestamptz,
    qos smallint NOT NULL,
    retain boolean NOT NULL,
    integration_id text NOT NULL,
    topic text NOT NULL,
    response_topic text NOT NULL,
    correlation_id text NOT NULL,
    actor text NOT NULL,
    remark text,
    payload bytea NOT NULL,
    answer_topic text,
    answer bytea,
    answer_message bigint,
    failure_code text,
    failure_detail text,
    PRIMARY KEY (organization, id)
) WITH (fillfactor = 70);
CREATE INDEX device_commands_newest ON device_commands (organization, device_id, queued_at, id);
CREATE INDEX device_commands_oldest ON device_commands (queued_at);
SELECT hybridmq_lock_down('device_commands');
CREATE POLICY tenant ON device_commands USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON device_commands TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE, DELETE ON device_commands TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
