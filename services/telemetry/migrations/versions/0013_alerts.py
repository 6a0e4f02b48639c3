"""Alerts: what rules remember, what waits to be told, and the read model of what was told."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0013"
down_revision = "0012"

SCRIPT = """
CREATE TABLE alert_feeds (name text PRIMARY KEY, token bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50);
COMMENT ON COLUMN alert_feeds.token IS 'moves with every write of a feed: whose memory has another one reads anew';
INSERT INTO alert_feeds VALUES ('messages'), ('activity'), ('presence');
CREATE TABLE alert_states (
    organization text NOT NULL,
    rule text NOT NULL,
    target text NOT NULL,
    feed text NOT NULL REFERENCES alert_feeds,
    revision bigint NOT NULL,
    phase text NOT NULL,
    since timestamptz,
    noticed timestamptz,
    first jsonb,
    alert text,
    alert_of jsonb,
    over timestamptz,
    memory jsonb,
    PRIMARY KEY (organization, rule, target)
);
COMMENT ON COLUMN alert_states.target IS 'a device, an integration; empty: the organization';
CREATE TABLE alert_marks (
    organization text NOT NULL,
    device text NOT NULL,
    marks jsonb NOT NULL,
    PRIMARY KEY (organization, device)
) WITH (fillfactor = 50);
COMMENT ON COLUMN alert_marks.marks IS 'metric to the newest value: its time in µs, the number, when it was received';
CREATE TABLE alert_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text NOT NULL,
    alert text NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL
);
CREATE TABLE alerts (
    organization integer NOT NULL,
    id text NOT NULL,
    state text NOT NULL DEFAULT 'open',
    opened_at timestamptz NOT NULL,
    actor text NOT NULL,
    rule_id text NOT NULL,
    rule_name text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    device_id text,
    integration_id text,
    metric text,
    summary text NOT NULL,
    since timestamptz NOT NULL,
    evidence jsonb NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    acknowledge_note text,
    resolved_at timestamptz,
    resolved_by text,
    reason text,
    resolve_note text,
    resolve_summary text,
    resolve_evidence jsonb,
    PRIMARY KEY (organization, id)
);
CREATE INDEX alerts_newest ON alerts (organization, opened_at, id);
CREATE INDEX alerts_over ON alerts (resolved_at) WHERE state = 'resolved';
-- Rules of devices that went look at what was said lately.
CREATE INDEX presence_said ON presence (organization, at);
SELECT hybridmq_lock_down(name) FROM unnest(ARRAY['alert_feeds', 'alert_states', 'alert_marks', 'alert_outbox',
    'alerts']) name;
CREATE POLICY tenant ON alerts USING (organization = (SELECT hybridmq_organization()));
GRANT SELECT ON alerts TO hybridmq_query, hybridmq_projector;
GRANT INSERT, UPDATE, DELETE ON alerts TO hybridmq_projector;
GRANT SELECT, UPDATE ON alert_feeds TO hybridmq_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON alert_states, alert_marks, alert_outbox TO hybridmq_projector;
"""


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # many statements


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
