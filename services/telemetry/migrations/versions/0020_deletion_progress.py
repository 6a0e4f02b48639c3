"""How far the deletion of what is past an organization's retention is."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE retentions ADD began_at timestamptz, ADD ended_at timestamptz,"
        " ADD rows_gone bigint NOT NULL DEFAULT 0"
    )
    op.execute(
        "COMMENT ON COLUMN retentions.rows_gone IS 'one by one since began_at; whole days go uncounted'"
    )


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
