"""The verbs of a simulation: ask for one, apply what it showed, move what it moves."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from models.addresses import canonical, canonical_domain, same_mailbox, weak
from models.blocks import KINDS, add_block
from models.db import chunks, insert_new, table
from models.deal import Deal
from models.errors import Conflict, Invalid, NotFound
from models.interaction import Block, Held, Interaction, Link
from models.keyring import Keyring, hasher
from models.ledger import LedgerEntry, reopen_hashes
from models.linking import first_keeper
from models.reach import wake
from models.setting import MATCHING, checked_setting, set_team_setting, team_settings
from models.simulation import KEPT, SPAN, SimulatedMove, Simulation, cancel

PAGE = 200
GONE = "no deal by the present settings"


def propose(
    session: Session,
    *,
    settings: Mapping[str, Any],
    block: Iterable[Mapping[str, str]] = (),
    unblock: Iterable[int] = (),
    user_id: int,
    now: datetime,
) -> Simulation:
    """Ask what would move; one that this person asked for before and did not apply is cancelled. Raises Invalid (a setting
    that is none of matching's or cannot be, or nothing that differs), NotFound (a block)."""
    wrong = [name for name in settings if name not in MATCHING]
    if wrong:
        raise Invalid(f"{wrong[0]!r} does not decide about matching. Known: {', '.join(MATCHING)}.", wrong[0])
    present = team_settings(session)
    checked = {name: checked_setting(name, value) for name, value in settings.items()}
    differing = {name: value for name, value in checked.items() if value != present[name]}
    blocks = [_checked_block(one) for one in block]
    ids = list(unblock)
    for key in ids:
        found = session.get(Block, key)
        if found is None or found.user_id is not None:
            raise NotFound(f"There is no block {key} of the team's.")
    if not (differing or blocks or ids):
        raise Invalid("Nothing would change: this is how it is set already.")
    for older in session.exec(
        select(Simulation).where(Simulation.user_id == user_id, col(Simulation.state).in_(("computing", "ready")))
    ).all():
        cancel(session, older, now=now)
    old = select(Simulation).where(col(Simulation.finished_at) < now - KEPT)
    for older in session.exec(old).all():
        session.delete(older)
    row = Simulation(
        user_id=user_id,
        changes={"settings": differing, "block": blocks, "unblock": ids},
        basis=basis_of(session),
        since=now - SPAN,
        made_at=now,
        next_run_at=now,
    )
    session.add(row)
    session.flush()
    return row


def basis_of(session: Session) -> str:
    """A name for everything that a simulation rests on."""
    present = {name: value for name, value in team_settings(session).items() if name in MATCHING}
    blocks = sorted((row.kind, row.value) for row in session.exec(select(Block).where(col(Block.user_id).is_(None))))
    return sha256(json.dumps([present, blocks], sort_keys=True).encode()).hexdigest()[:32]


def start_applying(session: Session, keyring: Keyring, row: Simulation, *, user_id: int, now: datetime) -> None:
    """Make the settings what was proposed, and have exactly the shown items moved. Raises Conflict when it is not ready, or
    the settings are no longer those that it was computed on."""
    if row.state != "ready":
        raise Conflict({"computing": "It is still being computed."}.get(row.state, f"This simulation is {row.state}."))
    if row.basis != basis_of(session):
        raise Conflict("The settings have changed since this was computed. Look again.")
    freed = freed_hashes(session, keyring, row)
    for name, value in row.changes["settings"].items():
        set_team_setting(session, name, value)
    for key in row.changes["unblock"]:
        session.delete(session.get_one(Block, key))
    for one in row.changes["block"]:
        add_block(session, kind=one["kind"], value=one["value"], user_id=None, now=now)
    wake(session, reopen_hashes(session, freed, now=now), now)
    row.state, row.next_run_at, row.applied_at, row.position = "applying", now, now, 0
    row.user_id = user_id
    session.add(row)
    session.flush()


def freed_hashes(session: Session, keyring: Keyring, row: Simulation) -> list[bytes]:
    """The hashes of what would no longer be kept out: of blocks that go, and of domains that count as a company's from then
    on."""
    digest = hasher(session, keyring).digest
    forms: set[str] = set()
    for key in row.changes["unblock"]:
        block = session.get(Block, key)
        if block is not None and block.kind == "address":
            forms |= {block.value, same_mailbox(block.value), weak(block.value)}
        elif block is not None and block.kind == "domain":
            forms.add(f"@{block.value}")
    now_free = set(team_settings(session)["free_mail_exceptions"])
    excepted = set(row.changes["settings"].get("free_mail_exceptions", [])) - now_free
    return [digest(form) for form in forms | {f"@{domain}" for domain in excepted}]


def apply_page(session: Session, row: Simulation, now: datetime) -> bool:
    """Move the next items; whether that was the last of them. What somebody has touched since stays where it is."""
    moves = session.exec(
        select(SimulatedMove)
        .where(SimulatedMove.simulation_id == row.id, SimulatedMove.state == "proposed")
        .order_by(col(SimulatedMove.id))
        .limit(PAGE)
    ).all()
    ids = [move.interaction_id for move in moves]
    standing, decided = standing_of(session, ids)
    deals: set[int] = set()
    for move in moves:
        key = move.interaction_id
        item = session.get_one(Interaction, key)
        links = standing.get(key, [])
        same = sorted(link.deal_id for link in links) == move.before["deals"] and item.held == move.before["held"]
        if key in decided or not same:
            move.state = "left"
        else:
            deals |= _move(session, item, links, move.after, now)
            move.state = "done"
        session.add(move)
    row.position += len(moves)
    row.counts = row.counts | {"left": row.counts.get("left", 0) + sum(move.state == "left" for move in moves)}
    if len(moves) < PAGE:
        row.state, row.finished_at, row.next_run_at = "applied", now, None
        row.lease_owner, row.lease_until = "", None
    session.add(row)
    session.flush()
    for part in chunks(deals):
        rows = table(Deal)
        session.connection().execute(update(rows).where(rows.c.id.in_(part)).values(suggest_at=now))
    return len(moves) < PAGE


def standing_of(session: Session, ids: Iterable[int]) -> tuple[dict[int, list[Link]], set[int]]:
    """The links that stand, and those about which a person decided (put on a deal, taken off one, sent to none)."""
    standing: dict[int, list[Link]] = {}
    decided: set[int] = set()
    for part in chunks(ids):
        done = select(Held.interaction_id).where(col(Held.interaction_id).in_(part), Held.state != "open")
        decided |= set(session.exec(done.where(col(Held.decided_by).is_not(None))).all())
        for link in session.exec(select(Link).where(col(Link.interaction_id).in_(part))):
            if link.removed_at is None:
                standing.setdefault(link.interaction_id, []).append(link)
            if link.removed_at is not None or link.made_by is not None:
                decided.add(link.interaction_id)
    return standing, decided


def _move(session: Session, item: Interaction, links: list[Link], after: dict[str, Any], now: datetime) -> set[int]:
    """Off the deals where it stood by a rule, on to those that were shown, or to its owner's questions."""
    wanted = {link["deal_id"]: link for link in after["links"] if session.get(Deal, link["deal_id"]) is not None}
    touched = {link.deal_id for link in links} ^ set(wanted)
    for link in links:
        if link.deal_id not in wanted:
            session.delete(link)
    session.flush()
    rows = [{"interaction_id": item.id, "made_at": now, **link} for link in wanted.values()]
    insert_new(session, Link, rows)
    asked = after["outcome"] == "held" and _ask(session, item, after, now)
    if item.held and not asked:
        for held in session.exec(select(Held).where(Held.interaction_id == item.id, Held.state == "open")).all():
            held.state, held.decided_at = "chosen" if wanted else "none", now
            session.add(held)
    item.held = asked
    session.add(item)
    reason = after["reason"] if asked or wanted else GONE
    ledger = table(LedgerEntry)
    session.connection().execute(
        update(ledger)
        .where(ledger.c.interaction_id == item.id)
        .values(outcome="held" if asked else "logged", reason=reason[:200], updated_at=now)
    )
    return touched


def _ask(session: Session, item: Interaction, after: dict[str, Any], now: datetime) -> bool:
    """A question to the owner of the oldest copy; whether there is anybody to ask."""
    owner = first_keeper(session, item.id or 0)
    if owner is None:
        return False
    held = session.exec(select(Held).where(Held.interaction_id == item.id)).first()
    held = held or Held(interaction_id=item.id or 0, account_id=owner.id or 0, user_id=owner.user_id, created_at=now)
    held.candidates, held.reason, held.state = after["candidates"], after["reason"], "open"
    held.decided_at = held.decided_by = None
    session.add(held)
    session.flush()
    return True


def _checked_block(one: Mapping[str, str]) -> dict[str, str]:
    kind, value = one.get("kind", ""), one.get("value", "")
    if kind not in KINDS:
        raise Invalid(f"A block is one of {', '.join(KINDS)}.", "kind")
    clean = {"address": canonical, "domain": canonical_domain}.get(kind, str.strip)(value).lower()
    if not clean:
        raise Invalid(f"{value!r} is no {'e-mail address' if kind == 'address' else kind}.", "block")
    return {"kind": kind, "value": clean}
