"""The fixtures themselves: each real part is really there."""

from __future__ import annotations

import pytest
import redis
from sqlalchemy import text

from models.db import Database
from models.pipeline import default_pipeline, stages_of


def test_every_database_is_migrated_and_seeded(any_db: Database) -> None:
    with any_db.read() as session:
        assert [stage.name for stage in stages_of(session, default_pipeline(session).id or 0)][0] == "Lead"


def test_postgres_is_a_real_one(postgres_url: str) -> None:
    db = Database(postgres_url)
    with db.engine.connect() as connection:
        assert "PostgreSQL" in str(connection.execute(text("select version()")).scalar())
    db.close()


@pytest.mark.redis
def test_redis_is_a_real_one(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    assert "redis_version" in client.info()
    client.close()
