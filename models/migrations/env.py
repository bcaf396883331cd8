"""Alembic's entry: runs the migrations against the URL that ``models.db`` hands over."""

from alembic import context
from sqlalchemy import create_engine, pool

from models.tables import metadata

url = context.config.attributes["url"]
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
