"""Alembic's entry: runs the revisions on the connection that `services.telemetry.migrate` opened."""

from alembic import context

from services.telemetry.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
