"""One handle on the database: short transactions, and a schema that is current or refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlmodel import Session, select

from models import tables
from models.contact import Company
from models.db import Database, StaleSchema, Unreachable, chunks, insert_ids, insert_many, insert_new, upsert
from models.keyring import Keyring
from models.ledger import LedgerEntry
from models.seed import seed
from models.setting import DEFAULTS, TeamSetting, set_team_setting, team_settings
from tests.models.cast import count, mailbox
from tests.support import NOW


def _stamp(db: Database, version: str | None) -> None:
    with db.write() as session:
        session.connection().execute(text("DELETE FROM alembic_version"))
        if version:
            session.connection().execute(text(f"INSERT INTO alembic_version VALUES ('{version}')"))


def test_the_migrations_make_exactly_the_tables_of_the_models(any_db: Database) -> None:
    with any_db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_a_current_schema_is_accepted_and_migrating_again_changes_nothing(any_db: Database) -> None:
    any_db.require_current()
    any_db.migrate()
    any_db.require_current()


def test_a_stale_schema_is_refused_with_the_command_that_mends_it(any_db: Database) -> None:
    _stamp(any_db, None)
    with pytest.raises(StaleSchema, match="dealtrail migrate"):
        any_db.require_current()


def test_a_newer_schema_is_refused_rather_than_damaged(any_db: Database) -> None:
    _stamp(any_db, "9999")
    with pytest.raises(StaleSchema, match="newer"):
        any_db.require_current()


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    db = Database("postgresql+psycopg://rae:hunter2@127.0.0.1:1/none")
    with pytest.raises(Unreachable) as caught:
        db.require_current()
    assert "127.0.0.1" in str(caught.value) and "hunter2" not in str(caught.value)
    db.close()


def test_a_database_file_gets_its_folder(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'deep' / 'down' / 'x.db'}")
    db.migrate()
    db.require_current()
    db.close()


def test_seeding_twice_seeds_once(any_db: Database, keyring: Keyring) -> None:
    with any_db.write() as session:
        before = (count(session, TeamSetting), count(session, tables.pipeline.Pipeline))
        seed(session, keyring)
        assert (count(session, TeamSetting), count(session, tables.pipeline.Pipeline)) == before


def test_writers_queue_and_none_is_lost(any_db: Database) -> None:
    """Two who read, then write, in one transaction must not both fail or overwrite each other (SQLite: BEGIN IMMEDIATE)."""
    start = threading.Barrier(6)

    def add(number: int) -> None:
        start.wait()
        for _ in range(5):
            with any_db.write() as session:
                session.exec(select(Company.id)).all()
                session.add(Company(name=f"{number}", created_at=NOW))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    with any_db.read() as session:
        assert count(session, Company) == 30


def test_a_reader_goes_on_while_somebody_writes(any_db: Database) -> None:
    with any_db.write() as writing:
        writing.add(Company(name="half", created_at=NOW))
        writing.flush()
        with any_db.read() as session:
            assert count(session, Company) == 0


def test_reading_commits_nothing(any_db: Database) -> None:
    with any_db.read() as session:
        session.add(Company(name="ghost", created_at=NOW))
        session.flush()
    with any_db.read() as session:
        assert count(session, Company) == 0


def test_instants_come_back_as_they_went_in_and_naive_ones_are_refused(any_db: Database) -> None:
    tokyo = datetime(2026, 11, 2, 18, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with any_db.write() as session:
        session.add(Company(name="now", created_at=tokyo))
    with any_db.read() as session:
        found = session.exec(select(Company.created_at)).one()
        assert found == tokyo and found.tzinfo is UTC
    with pytest.raises(StatementError, match="naive"), any_db.write() as session:
        session.add(Company(name="naive", created_at=datetime(2026, 1, 1)))


def _row(source: int, item: str, outcome: str = "ignored") -> dict[str, object]:
    return {"source_id": source, "item_id": item, "outcome": outcome, "updated_at": NOW}


def test_many_rows_go_in_with_few_statements_and_keep_their_order(any_db: Database) -> None:
    with any_db.write() as session:
        source = mailbox(session)[1].id or 0
        ids = insert_ids(session, Company, [{"name": f"{n}", "created_at": NOW} for n in range(1200)])
        assert len(set(ids)) == 1200
        assert session.get_one(Company, ids[1100]).name == "1100"
        insert_many(session, Company, [])
        insert_new(session, LedgerEntry, [_row(source, "a"), _row(source, "a", "logged"), _row(source, "b")])
        insert_new(session, LedgerEntry, [])
        upsert(session, LedgerEntry, [_row(source, "b", "held"), _row(source, "c")], ("source_id", "item_id"))
        upsert(session, LedgerEntry, [], ("source_id", "item_id"))
        assert insert_ids(session, Company, []) == []
        assert _outcomes(session) == {"a": "ignored", "b": "held", "c": "ignored"}


def _outcomes(session: Session) -> dict[str, str]:
    return {row.item_id: row.outcome for row in session.exec(select(LedgerEntry))}


def test_chunks_keep_every_value_once() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([])) == []


def test_team_settings_have_defaults_and_unknown_names_are_refused(any_db: Database) -> None:
    with any_db.write() as session:
        assert team_settings(session) == DEFAULTS
        set_team_setting(session, "grace_days", 3)
        set_team_setting(session, "grace_days", 4)
        set_team_setting(session, "internal_domains", ["acme.example"])
        with pytest.raises(KeyError):
            set_team_setting(session, "no such setting", 1)
    with any_db.read() as session:
        found = team_settings(session)
        assert (found["grace_days"], found["internal_domains"]) == (4, ["acme.example"])
