"""Activity: by trace, by device, by credential, by its id."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("ALTER TABLE activity ADD trace_id text")
    op.execute(
        "CREATE INDEX activity_of_device ON activity (organization, device_id, time, sequence)"
        " WHERE device_id IS NOT NULL"
    )
    op.execute(
        "CREATE INDEX activity_of_credential ON activity (organization, subject, time, sequence)"
        " WHERE starts_with(subject, 'credential:')"
    )
    op.execute("CREATE INDEX activity_by_id ON activity (organization, id)")


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
