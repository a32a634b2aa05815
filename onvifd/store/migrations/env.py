"""Called by alembic with the connection and transaction of `store.migrate`."""

from __future__ import annotations

from alembic import context

from onvifd.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
