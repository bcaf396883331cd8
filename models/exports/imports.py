"""The files around an import: what was said row by row, to be mended and imported again, and an empty template."""

import csv
from collections.abc import Iterator
from typing import IO

from sqlmodel import Session, col, select

from models.exports.files import write_csv
from models.imports.cells import text_of
from models.imports.columns import FAULTS_COLUMNS, LABELS
from models.imports.store import Import, ImportFault

PAGE = 1_000
_EXAMPLES = {
    "contacts": {
        "name": "Bea Buyer",
        "emails": "bea@northwind.example; bea@home.example",
        "company": "Northwind",
        "domain": "northwind.example",
        "title": "Head of purchasing",
        "phone": "0123 456789",
    },
    "deals": {
        "external_id": "A-1001",
        "name": "Fleet pilot",
        "company": "Northwind",
        "domain": "northwind.example",
        "contact_names": "Bea Buyer",
        "contact_emails": "bea@northwind.example",
        "owner": "rae@acme.example",
        "stage": "Proposal",
        "amount": "48000.00",
        "currency": "EUR",
        "created_at": "2026-09-01",
        "expected_close": "2026-12-12",
        "next_step": "Send the contract",
    },
}
_LEFT_OUT = {"contacts": {"first_name", "last_name"}, "deals": {"product", "status", "won_at", "lost_at", "pipeline"}}


def write_faults(session: Session, row: Import, file: IO[str]) -> int:
    """What was said, each with the row's number, whether it was taken, and its cells as they were; how many. Mended, the
    file can be imported as it is."""
    names = tuple(name.capitalize() for name in FAULTS_COLUMNS)
    return write_csv((*names, *row.columns), _faults(session, row), file)


def write_template(kind: str, file: IO[str]) -> None:
    """The columns that are known for certain, and one row as an example."""
    fields = [name for name in LABELS[kind] if name not in _LEFT_OUT[kind]]
    writer = csv.writer(file)
    writer.writerow([LABELS[kind][name] for name in fields])
    writer.writerow([_EXAMPLES[kind].get(name, "") for name in fields])


def _faults(session: Session, row: Import) -> Iterator[list[str | int]]:
    last = 0
    while True:
        page = session.exec(
            select(ImportFault)
            .where(ImportFault.import_id == row.id, col(ImportFault.id) > last)
            .order_by(col(ImportFault.id))
            .limit(PAGE)
        ).all()
        if not page:
            return
        last = page[-1].id or 0
        for one in page:
            yield [one.row, "yes" if one.taken else "no", one.reason, *(text_of(cell) for cell in one.cells)]
        session.expunge_all()
