"""The block list: whose mail is never logged, for the team or for one person's mailboxes."""

from datetime import datetime

from sqlmodel import Session, col, select

from models.addresses import canonical, canonical_domain
from models.discovery import drop_strangers
from models.errors import Conflict, Invalid
from models.interaction import Block

KINDS = ("address", "domain", "label")


def add_block(session: Session, *, kind: str, value: str, user_id: int | None, now: datetime) -> Block:
    """Block an address, a domain or a label; ``user_id`` None for the whole team; who is named is
    no longer offered as a contact. Raises Invalid, Conflict."""
    if kind not in KINDS:
        raise Invalid(f"A block is one of {', '.join(KINDS)}.", "kind")
    clean = {"address": canonical, "domain": canonical_domain}.get(kind, _label)(value)
    if not clean:
        raise Invalid(f"{value!r} is no {'e-mail address' if kind == 'address' else kind}.", "value")
    owner = col(Block.user_id).is_(None) if user_id is None else Block.user_id == user_id
    if session.exec(select(Block).where(Block.kind == kind, Block.value == clean, owner)).first():
        raise Conflict(f"{clean} is blocked already.")
    if kind != "label":
        drop_strangers(session, user_id, clean)
    block = Block(kind=kind, value=clean, user_id=user_id, made_at=now)
    session.add(block)
    session.flush()
    return block


def _label(value: str) -> str:
    return value.strip().lower()
