"""Alembic's entry: runs the migrations in the transaction that kb/database.py hands over."""

from alembic import context

from kb.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
