"""Alerts that are not over, found without those that are."""

from alembic import op
from sqlalchemy import text
from sqlalchemy.util import await_only

revision = "0018"
down_revision = "0017"

SCRIPT = "CREATE INDEX alerts_open ON alerts (organization, opened_at, id) WHERE state <> 'resolved'"


def upgrade() -> None:
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # SQLAlchemy begins its transaction with the first statement, not before
    await_only(bind.connection.driver_connection.execute(SCRIPT))  # type: ignore[union-attr]  # past SQLAlchemy


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
