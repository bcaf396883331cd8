"""Where else an erased person may stand: every column that holds people's words, and the few places with a form of their own.

``WORDS`` is held complete by a test that looks at every text and JSON column of every table.
"""

import json
import zlib
from collections import Counter
from typing import Any

from sqlmodel import Session, SQLModel, col, or_, select

from models.account import Walk
from models.addresses import canonical, weak
from models.db import table
from models.deal import Deal, StageChange
from models.discovery import Discovery
from models.event import Event
from models.idempotency import IdempotentAnswer
from models.imports.store import Import, ImportFault, ImportPart
from models.interaction import Block, Held, Link
from models.keyring import Keyring, KeyringError, hasher
from models.merging import Merge
from models.redaction import Redactor
from models.simulation import SimulatedMove, Simulation
from models.suggestion import Signal, Suggestion
from models.webhook import Attempt

WORDS: dict[type[SQLModel], tuple[str, ...]] = {
    Deal: ("name", "next_step", "close_reason"),
    StageChange: ("before",),
    Suggestion: ("reason", "evidence", "dismissal"),
    Signal: ("quote", "value"),
    Link: ("reasons",),
    Held: ("candidates", "reason"),
    Event: ("payload",),
    Attempt: ("answer", "error"),
    Import: ("file_name", "samples", "facts", "stages", "owners", "error"),
    ImportFault: ("reason", "cells"),
    Simulation: ("changes", "error"),
    SimulatedMove: ("before", "after"),
}


def forget_elsewhere(
    session: Session, keyring: Keyring, contact_id: int, addresses: set[str], hide: Redactor, counts: Counter[str]
) -> None:
    """Mask every mention in these columns, and forget offers, merges, blocks, searches, files and answers about them."""
    for model, names in WORDS.items():
        counts["other_rows"] += _sweep(session, model, names, hide)
    _forget_offers(session, keyring, contact_id, addresses, counts)
    _forget_merges(session, contact_id, hide, counts)
    for block in session.exec(select(Block).where(Block.kind == "address")).all():
        if weak(canonical(block.value)) in {weak(one) for one in addresses}:
            session.delete(block)
            counts["blocks"] += 1
    for walk in session.exec(select(Walk)).all():
        counts["searches"] += _forget_terms(session, walk, addresses)
    for part in session.exec(select(ImportPart)).all():
        counts["import_parts"] += _mask_part(session, part, hide)
    for answer in session.exec(select(IdempotentAnswer).where(IdempotentAnswer.body != "")).all():
        counts["kept_answers"] += _forget_answer(session, keyring, answer, hide)
    session.flush()


def _sweep(session: Session, model: type[SQLModel], names: tuple[str, ...], hide: Redactor) -> int:
    columns = [table(model).c[name] for name in names]
    found = session.exec(select(model).where(hide.within(*columns))).all()
    done = 0
    for row in found:
        before = {name: getattr(row, name) for name in names}
        after = {name: hide.mask_all(value) for name, value in before.items()}
        if after != before:
            for name, value in after.items():
                setattr(row, name, value)
            session.add(row)
            done += 1
    session.flush()
    return done


def _forget_offers(
    session: Session, keyring: Keyring, contact_id: int, addresses: set[str], counts: Counter[str]
) -> None:
    """Offers of this person, and what told of them under a name made of the address's hash."""
    digest = hasher(session, keyring).digest
    hashes = [digest(form) for one in addresses for form in (one, weak(one))]
    mine = or_(
        col(Discovery.hash).in_(hashes), col(Discovery.address).in_(addresses), Discovery.contact_id == contact_id
    )
    for row in session.exec(select(Discovery).where(mine)).all():
        once = f"contact.discovered:{row.user_id}:{row.hash.hex()}"
        for event in session.exec(select(Event).where(Event.once == once)).all():
            event.once = f"contact.discovered:erased:{event.id}"
            event.payload = {"id": None, "address": None, "name": None, "company": None, "seen": 0}
            session.add(event)
        session.delete(row)
        counts["offers"] += 1
    session.flush()


def _forget_merges(session: Session, contact_id: int, hide: Redactor, counts: Counter[str]) -> None:
    """A merge remembers the row that it took away; undoing it would bring the person back."""
    theirs = or_(Merge.kept_id == contact_id, Merge.gone_id == contact_id)
    for row in session.exec(select(Merge).where(Merge.kind == "contact", theirs)).all():
        session.delete(row)
        counts["merges"] += 1
    counts["other_rows"] += _sweep(session, Merge, ("gone_name", "record"), hide)


def _forget_terms(session: Session, walk: Walk, addresses: set[str]) -> bool:
    """Whom a mailbox is or was searched for; what remains keeps its place in the list."""
    terms = list(walk.state.get("terms") or [])
    kept = [term for term in terms if term not in addresses]
    if len(kept) == len(terms):
        return False
    at = int(walk.state.get("at", 0))
    passed = sum(term in addresses for term in terms[:at])
    walk.state = walk.state | {"terms": kept, "at": at - passed}
    session.add(walk)
    return True


def _mask_part(session: Session, part: ImportPart, hide: Redactor) -> bool:
    """Rows of a file that waits to be taken."""
    rows: list[Any] = json.loads(zlib.decompress(part.packed))
    masked = hide.mask_all(rows)
    if masked == rows:
        return False
    part.packed = zlib.compress(json.dumps(masked, separators=(",", ":")).encode("utf-8", "replace"), 6)
    session.add(part)
    return True


def _forget_answer(session: Session, keyring: Keyring, answer: IdempotentAnswer, hide: Redactor) -> bool:
    """Answers of the last day that tell of them; one that no key opens goes too."""
    try:
        told = keyring.open(answer.body.encode()).decode("utf-8", "replace")
        told = json.dumps(json.loads(told), ensure_ascii=False) if told[:1] in ("{", "[") else told
    except (KeyringError, ValueError):
        told = ""
    if told and not hide.finds(told):
        return False
    session.delete(answer)
    return True
