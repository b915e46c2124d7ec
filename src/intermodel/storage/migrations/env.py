"""Alembic's entry: runs migrations on the connection that `Database.open` hands over."""

from alembic import context

from intermodel.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
