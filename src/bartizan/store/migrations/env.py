"""Alembic's entry: runs migrations on the connection that `bartizan.store.database` hands over."""

from alembic import context

from bartizan.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
