"""Read models: the activity of one integration, found without reading everybody's."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Partial: devices come and go by the thousand, integrations do not.
    op.execute(
        "CREATE INDEX activity_of_integration ON activity (organization, subject, time, sequence)"
        " WHERE starts_with(subject, 'integration:')"
    )


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
