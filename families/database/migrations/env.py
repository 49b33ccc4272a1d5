"""How Alembic runs here: on the connection that it is handed, all in one transaction.

A migration is a file in `versions`, written by hand. A test compares what all of them make with families.database.tables.
"""

from alembic import context

from families.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
