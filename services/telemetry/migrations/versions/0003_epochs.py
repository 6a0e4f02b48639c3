"""Read models: where epochs begin and how far the stream still has them; what tells a message from another."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE checkpoints ADD COLUMN time_ns bigint, ADD COLUMN turn integer NOT NULL DEFAULT 0"
    )
    op.execute(
        "COMMENT ON COLUMN checkpoints.time_ns IS 'when the stream stored the message of this sequence'"
    )
    op.execute(
        "COMMENT ON COLUMN checkpoints.turn IS 'moved by whoever changes rows that a projector remembers'"
    )
    op.execute(
        "ALTER TABLE epochs ADD COLUMN first bigint NOT NULL DEFAULT 1, ADD COLUMN shared_until bigint,"
        " ADD COLUMN change text NOT NULL DEFAULT 'none'"
    )
    op.execute("ALTER TABLE epochs ALTER COLUMN first DROP DEFAULT")
    op.execute(
        "COMMENT ON COLUMN epochs.shared_until IS"
        " 'the last sequence that the stream still has as it was read; NULL in the newest epoch: all'"
    )
    # Until now every change of a stream was read anew from its beginning: nothing older is shared with it.
    op.execute("ALTER TABLE epochs NO FORCE ROW LEVEL SECURITY")  # the owner sees no row of it otherwise
    op.execute(
        "UPDATE epochs e SET shared_until = 0"
        " WHERE EXISTS (SELECT FROM epochs later WHERE later.stream = e.stream AND later.id > e.id)"
    )
    op.execute("ALTER TABLE epochs FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    raise NotImplementedError("read models are rebuilt from the log, not taken back")
