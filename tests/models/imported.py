"""Spreadsheets given to a database in one call: written, read into an import, and taken part by part."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from models.db import Database
from models.imports.rows import Seen
from models.imports.run import keep_file, settle, take_part
from models.imports.store import Import, ImportFault, ask_for
from models.keyring import Keyring
from tests.support import NOW


def text_of(rows: Sequence[Sequence[object]], separator: str = ",") -> str:
    """Rows as CSV."""
    made = io.StringIO()
    csv.writer(made, delimiter=separator).writerows(rows)
    return made.getvalue()


class Desk:
    """Where spreadsheets are handed in."""

    def __init__(self, db: Database, keyring: Keyring, folder: Path) -> None:
        self.db, self._keyring, self._folder = db, keyring, folder

    def hand_in(self, kind: str, content: str | bytes | Sequence[Sequence[object]], **columns: Any) -> int:
        """Keep a file; the import's id. More columns of the import by keyword."""
        if not isinstance(content, str | bytes):
            content = text_of(content)
        path = self._folder / "handed-in.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        import_id = keep_file(self.db, path, kind=kind, file_name="handed-in.csv", user_id=None, now=NOW)
        with self.db.write() as session:
            row = session.get_one(Import, import_id)
            for name, value in columns.items():
                setattr(row, name, value)
            session.add(row)
        return import_id

    def take(self, kind: str, content: str | bytes | Sequence[Sequence[object]], **columns: Any) -> Import:
        """Take a whole file; the import as it is at the end."""
        import_id = self.hand_in(kind, content, **columns)
        with self.db.write() as session:
            ask_for(session, session.get_one(Import, import_id), "running", now=NOW)
        seen: Seen = {}
        while True:
            with self.db.write() as session:
                row = session.get_one(Import, import_id)
                if settle(session, row, take_part(session, self._keyring, row, now=NOW, seen=seen), now=NOW):
                    return row

    def said(self, row: Import) -> list[tuple[int, bool, str]]:
        """(row, taken, reason) of everything that was said."""
        with self.db.read() as session:
            rows = session.exec(
                select(ImportFault).where(ImportFault.import_id == row.id).order_by(col(ImportFault.id))
            ).all()
        return [(one.row, one.taken, one.reason) for one in rows]

    def all(self, model: Any) -> list[Any]:
        """Every row of a table, oldest first."""
        with self.db.read() as session:
            return list(session.exec(select(model).order_by(model.id)).all())


def counts(row: Import) -> tuple[int, int, int, int]:
    """(created, updated, unchanged, refused)."""
    return row.created, row.updated, row.same, row.refused
