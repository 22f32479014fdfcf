"""Alembic's entry: runs the migrations in the transaction that kb/catalogue/database.py hands over."""

from alembic import context

import kb.annotations.tables  # that Base knows them too
import kb.keys.tables
import kb.links.tables
import kb.processes.tables  # noqa: F401
from kb.catalogue.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
