"""From a file to an import that waits, and from there, part by part, to rows: each part's rows, faults and progress are one
transaction. What new people, domains and deals reach back to is asked for once a part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session

from models.addresses import forget_many
from models.contact import Newcomer
from models.db import Database
from models.erasure import Erased, erased_among
from models.errors import Invalid, ModelError, NotFound
from models.imports import columns
from models.imports.chance import Chance, read_chance
from models.imports.deals import Deals
from models.imports.firms import Firms
from models.imports.meanings import Owners, Stages
from models.imports.people import People, Person, domains_of, read_person
from models.imports.rows import Cells, Fault, Outcome, Plan, Seen, Taken, plan_of
from models.imports.sheet import Row, open_sheet
from models.imports.store import PART, Import, forget_parts, keep_faults, keep_part, part_of, remove_import
from models.imports.survey import Survey
from models.keyring import Keyring
from models.reach import deals_changed, domains_added, people_added
from models.setting import team_settings

SAMPLES = 5
TELL_EVERY = 20
"""Parts between two words about the progress of reading."""
ERASED = "Somebody in this row was erased and is not taken in again; an administrator can lift that."
REPEATS = "Row {row} is the same {what}; this row was taken for it too."


def keep_file(
    db: Database,
    path: Path,
    *,
    kind: str,
    file_name: str,
    user_id: int | None,
    now: datetime,
    told: Callable[[int], None] = lambda rows: None,
) -> int:
    """Read a whole file once, as a stream, into parts that wait in the database; the id of the import, its columns
    recognised. ``told``: called with the rows read so far. Raises Invalid for what is no spreadsheet, and leaves nothing."""
    with db.write() as session:
        row = Import(kind=kind, file_name=file_name[:200], user_id=user_id, made_at=now)
        session.add(row)
        session.flush()
        import_id = row.id or 0
    try:
        _read(db, path, import_id, kind, told)
    except BaseException:
        with db.write() as session:
            stored = session.get(Import, import_id)
            if stored is not None:
                remove_import(session, stored)
        raise
    return import_id


def _read(db: Database, path: Path, import_id: int, kind: str, told: Callable[[int], None]) -> None:
    with open_sheet(path, lambda cells: columns.score(kind, cells)) as sheet:
        survey, samples = Survey(sheet.columns), []
        for number, part in enumerate(_parts(sheet.rows)):
            for row in part:
                survey.add(row[1])
            samples += [row[1] for row in part[: SAMPLES - len(samples)]]
            with db.write() as session:
                keep_part(session, import_id, number, part)
            if number % TELL_EVERY == 0:
                told(survey.rows)
        if not survey.rows:
            raise Invalid("The file has column names and no rows below them.", "file")
        facts = survey.facts()
        mapping, certainty = columns.propose(kind, sheet.columns, facts)
        with db.write() as session:
            row = session.get(Import, import_id)
            if row is None:
                raise NotFound("There is no such import.")
            row.how, row.columns, row.samples, row.facts = sheet.how, sheet.columns, samples, facts
            row.mapping, row.certainty, row.total = mapping, certainty, survey.rows
            row.from_1904, row.state = sheet.from_1904, "ready"
            session.add(row)


def _parts(rows: Iterator[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == PART:
            yield part
            part = []
    if part:
        yield part


def take_part(session: Session, keyring: Keyring, row: Import, *, now: datetime, seen: Seen) -> Taken:
    """Take the next part's rows, and count. Nothing here moves the import: see ``settle`` and ``check_off``."""
    rows = part_of(session, row.id or 0, row.position // PART)
    plan = plan_of(row, team_settings(session)["default_currency"])
    taken = Taken()
    read = READERS[row.kind]
    known: list[tuple[Row, Any]] = []
    for one in rows:
        try:
            known.append((one, read(Cells(plan, one))))
        except (Fault, ModelError) as fault:
            taken.say(one, str(fault), taken=False)
    known = _without_erased(session, row.kind, known, taken)
    hands = _Hands(session, keyring, row.kind, plan, [found for _, found in known], now)
    for one, found in known:
        if hands.may_wait(found) and not _repeated_by(found, seen):
            _queue(hands, one, found, seen)
            continue
        if hands.is_waited_for(found):
            _enter(session, hands, taken)
        _take(session, hands, one, found, taken, seen)
    _enter(session, hands, taken)
    hands.reach()
    forget_many()
    return taken


def _without_erased(session: Session, kind: str, known: list[tuple[Row, Any]], taken: Taken) -> list[tuple[Row, Any]]:
    """The rows without people who were erased; what is said of theirs keeps no cell."""
    erased = erased_among(session, [address for _, found in known for address in found.emails])
    kept = []
    for one, found in known:
        if erased.isdisjoint(found.emails):
            kept.append((one, found))
        elif kind == "contacts":
            taken.say((one[0], []), ERASED, taken=False)
        else:
            found.leave_out(erased, ERASED)
            kept.append(((one[0], []), found))
    return kept


def settle(session: Session, row: Import, taken: Taken, *, now: datetime) -> bool:
    """Count what became of a part that is written in this same transaction; whether it was the last. Then nothing of the
    file is kept but what was said about single rows."""
    _count(session, row, taken)
    done = row.position >= row.total
    if done:
        row.state, row.finished_at, row.next_run_at = "done", now, None
        row.samples, row.facts = [], {column: found | {"values": None} for column, found in row.facts.items()}
        forget_parts(session, row.id or 0)
    session.add(row)
    return done


def check_off(session: Session, row: Import, taken: Taken, *, now: datetime) -> bool:
    """Count what would become of a part whose rows were written and taken back; whether it was the last."""
    _count(session, row, taken)
    done = row.position >= row.total
    if done:
        row.state, row.finished_at, row.next_run_at = "ready", now, None
        row.checked = {name: getattr(row, name) for name in ("total", *COUNTS)}
    session.add(row)
    return done


def missing(row: Import) -> str:
    """What is needed and not there, in one sentence; empty when the import can start."""
    return columns.missing(row.kind, row.columns, row.mapping)


COUNTS = ("created", "updated", "same", "refused", "noted")
READERS: dict[str, Callable[[Cells], Person | Chance]] = {"contacts": read_person, "deals": read_chance}
Waiting = tuple[Row, Newcomer, list[str]]
"""A row, who comes of it, and what was said about it."""
WHAT = {"contacts": "person", "deals": "deal"}


def _count(session: Session, row: Import, taken: Taken) -> None:
    row.created += taken.created
    row.updated += taken.updated
    row.same += taken.same
    row.refused += taken.refused
    row.noted += len({fault["row"] for fault in taken.faults if fault["taken"]})
    row.position = min(row.total, row.position + PART)
    keep_faults(session, row.id or 0, sorted(taken.faults, key=lambda fault: fault["row"]))


def _take(session: Session, hands: "_Hands", one: Row, found: Any, taken: Taken, seen: Seen) -> None:
    """One row in a savepoint of its own: a refused one leaves nothing behind."""
    written = hands.written
    try:
        before = _repeated(found, seen)
        with session.begin_nested():
            outcome, said = hands.take(found)
    except (Fault, ModelError) as fault:
        told = (one[0], []) if isinstance(fault, Erased) else one
        taken.say(told, str(fault), taken=False)
        if hands.written != written:
            hands.look_again()
        return
    for key in found.keys:
        seen.setdefault(hash(key), before or one[0])
    taken.count("updated" if before and outcome == "created" else outcome)
    said = [*found.said, *said] + ([REPEATS.format(row=before, what=WHAT[hands.kind])] if before else [])
    if said:
        taken.say(one, " ".join(said), taken=True)


def _queue(hands: "_Hands", one: Row, found: Any, seen: Seen) -> None:
    """Somebody new, of whom no other row has spoken yet: entered together with others, in few statements."""
    hands.queue(one, found)
    for key in found.keys:
        seen.setdefault(hash(key), one[0])


def _enter(session: Session, hands: "_Hands", taken: Taken) -> None:
    """Enter who waits. Should one of them be there by now, in another transaction, each is entered alone."""
    waiting = hands.waiting()
    if not waiting:
        return
    try:
        with session.begin_nested():
            hands.enter([new for _, new, _ in waiting])
    except ModelError:
        hands.look_again()
        for one, new, said in waiting:
            _enter_one(session, hands, one, new, said, taken)
        return
    for one, _, said in waiting:
        _tell_created(one, said, taken)


def _enter_one(session: Session, hands: "_Hands", one: Row, new: Newcomer, said: list[str], taken: Taken) -> None:
    try:
        with session.begin_nested():
            hands.enter_one(new)
    except ModelError as fault:
        taken.say((one[0], []) if isinstance(fault, Erased) else one, str(fault), taken=False)
        hands.look_again()
        return
    _tell_created(one, said, taken)


def _tell_created(one: Row, said: list[str], taken: Taken) -> None:
    taken.count("created")
    if said:
        taken.say(one, " ".join(said), taken=True)


def _repeated_by(found: Any, seen: Seen) -> set[int]:
    """The rows of this file that were the same."""
    return {seen[hash(key)] for key in found.keys if hash(key) in seen}


def _repeated(found: Any, seen: Seen) -> int:
    """The row of this file that was the same; 0 for none. Raises Fault when there are two that differ."""
    rows = _repeated_by(found, seen)
    if len(rows) > 1:
        raise Fault(f"Rows {', '.join(map(str, sorted(rows)))} each hold one of its addresses: these are two contacts.")
    return rows.pop() if rows else 0


class _Hands:
    """Whatever takes the rows of one part, with what it has read for them."""

    def __init__(
        self, session: Session, keyring: Keyring, kind: str, plan: Plan, rows: list[Any], now: datetime
    ) -> None:
        self.kind = kind
        self._session, self._keyring, self._plan, self._rows, self._now = session, keyring, plan, rows, now
        self._fresh: list[str] = []
        self._domains: list[str] = []
        self._changed: list[int] = []
        self._waiting: list[Waiting] = []
        self._waited_for: set[str] = set()
        self._look()

    def _look(self) -> None:
        domains = (
            domains_of(self._rows) if self.kind == "contacts" else [one for row in self._rows for one in row.domains]
        )
        self._firms = Firms(self._session, (row.company for row in self._rows), domains, now=self._now)
        self._people = People(
            self._session, (one for row in self._rows for one in row.emails), self._firms, now=self._now
        )
        self._deals = None
        if self.kind == "deals":
            self._deals = Deals(self._session, self._plan, self._rows, self._firms, self._people, now=self._now)

    def look_again(self) -> None:
        """What was read may name rows that were taken back."""
        self._keep()
        self._look()

    @property
    def written(self) -> int:
        return self._firms.written + self._people.written

    def take(self, found: Any) -> tuple[Outcome, list[str]]:
        """Raises Fault, ModelError."""
        return self._people.take(found) if self._deals is None else self._deals.take(found)

    def may_wait(self, found: Any) -> bool:
        """Whether a row is of somebody whom nobody knows, nor waits for."""
        return self.kind == "contacts" and self._people.is_new(found) and not self.is_waited_for(found)

    def is_waited_for(self, found: Any) -> bool:
        """Whether one who waits has an address of this row."""
        return not self._waited_for.isdisjoint(found.emails)

    def queue(self, one: Row, found: Any) -> None:
        """Decide on a row now, and enter its person later. Their company is made at once, in the order of the rows."""
        new, said = self._people.newcomer(found)
        self._waiting.append((one, new, [*found.said, *said]))
        self._waited_for |= set(found.emails)

    def waiting(self) -> list["Waiting"]:
        """Who waits, handed over."""
        found, self._waiting, self._waited_for = self._waiting, [], set()
        return found

    def enter(self, people: list[Newcomer]) -> None:
        """Raises ModelError, and then nobody was entered."""
        self._people.add_all(people)

    def enter_one(self, new: Newcomer) -> None:
        """Raises ModelError."""
        self._people.add(new)

    def reach(self) -> None:
        """Ask for earlier mail of who is new, once."""
        self._keep()
        if self._fresh:
            people_added(self._session, self._keyring, self._fresh, self._now)
        if self._domains:
            domains_added(self._session, self._keyring, self._domains, self._now)
        if self._changed:
            deals_changed(self._session, self._changed, self._now)

    def _keep(self) -> None:
        self._fresh += self._people.fresh
        self._domains += self._firms.fresh_domains
        self._changed += self._deals.changed if self._deals is not None else []


@dataclass(frozen=True)
class Meant:
    """What a value of a column is taken to mean. ``id`` None: nothing that is known; ``sure`` is False for a guess."""

    value: str
    rows: int
    id: int | None
    sure: bool


def stage_values(session: Session, row: Import) -> list[Meant]:
    """The values of the column of stages, most frequent first."""
    stages = Stages(session, row.stages)
    found = []
    for value, count in _values(row, "stage"):
        stage, sure = stages.find(stages.default, value)
        found.append(Meant(value, count, stage.id if stage else None, sure))
    return found


def owner_values(session: Session, row: Import) -> list[Meant]:
    """The values of the column of owners, most frequent first."""
    owners = Owners(session, row.owners)
    return [Meant(value, count, owners.find(value), True) for value, count in _values(row, "owner")]


def _values(row: Import, name: str) -> list[tuple[str, int]]:
    column = next((column for column, field in row.mapping.items() if field == name), "")
    values = row.facts[column]["values"] if column else None
    return [(" ".join(value.split()), count) for value, count in (values or {}).items()]
