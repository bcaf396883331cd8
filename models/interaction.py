"""What really happened: e-mails and meetings, each once, however many mailboxes hold a copy; and why each is where it is."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, Session, SQLModel, UniqueConstraint, col, select

from models.bulk import among
from models.fields import instant, json_list


class Thread(SQLModel, table=True):
    """A conversation across mailboxes; when two turn out to be one, the older stays. ``visibility`` narrows what the accounts
    allow, for all that is yet to come in it."""

    id: int | None = Field(default=None, primary_key=True)
    created_at: datetime = instant()
    visibility: str = ""


class ThreadKey(SQLModel, table=True):
    """What leads to a thread: ``m:<Message-ID>`` (its own or a referenced one), ``p:<source>:<provider thread>`` or
    ``u:<calendar UID>``."""

    __tablename__ = "thread_key"  # pyright: ignore[reportAssignmentType]
    key: str = Field(primary_key=True)
    thread_id: int = Field(foreign_key="thread.id", index=True, ondelete="CASCADE")


_KNOWN_KEYS = select(ThreadKey.key, ThreadKey.thread_id).where(among(col(ThreadKey.key)))


def known_keys(session: Session, keys: Iterable[str]) -> list[tuple[str, int]]:
    """Those of the keys that lead to a thread, each with its id."""
    asked = list(keys)
    return list(session.exec(_KNOWN_KEYS, params={"keys": asked})) if asked else []


class Interaction(SQLModel, table=True):
    """One e-mail or meeting. ``new_text`` is what the sender wrote this time, ``text`` all of it; both empty when only
    headers may be kept. ``parties``: [{role, address, name, response, contact_id, ours}]. ``visibility`` narrows what the
    accounts allow. ``held``: nobody but the mailbox's owner sees it until a deal is chosen. ``rematch_at``: to be decided
    again then, because people or deals have changed. ``erased_at``: words of an erased person were taken out of it, and no
    copy brings them back. Ids are never used twice, because events name them."""

    __table_args__ = (
        Index("ix_interaction_fingerprint", "fingerprint"),
        Index("ix_interaction_ends", "kind", "held_at", "ends_at"),
        {"sqlite_autoincrement": True},
    )
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    direction: str
    occurred_at: datetime = instant(index=True)
    ends_at: datetime | None = instant(None)
    all_day: bool = False
    subject: str = ""
    snippet: str = ""
    text: str = ""
    new_text: str = ""
    machine: str = ""
    machine_reason: str = ""
    forwarded: bool = False
    status: str = ""
    held_at: datetime | None = instant(None)
    sequence: int = 0
    parties: list[dict[str, Any]] = json_list()
    attachments: list[dict[str, Any]] = json_list()
    links: list[str] = json_list()
    identity: str = Field(unique=True)
    fingerprint: str = ""
    thread_id: int | None = Field(default=None, index=True)
    visibility: str = ""
    held: bool = False
    rematch_at: datetime | None = instant(None, index=True)
    logged_at: datetime = instant()
    erased_at: datetime | None = instant(None)


class InteractionContact(SQLModel, table=True):
    """Which contacts took part, for their pages and clocks."""

    __tablename__ = "interaction_contact"  # pyright: ignore[reportAssignmentType]
    interaction_id: int = Field(foreign_key="interaction.id", primary_key=True, ondelete="CASCADE")
    contact_id: int = Field(foreign_key="contact.id", primary_key=True, index=True, ondelete="CASCADE")


class InteractionCompany(SQLModel, table=True):
    """Which companies it concerns, by their domains or their people: the company's timeline, also without a deal."""

    __tablename__ = "interaction_company"  # pyright: ignore[reportAssignmentType]
    interaction_id: int = Field(foreign_key="interaction.id", primary_key=True, ondelete="CASCADE")
    company_id: int = Field(foreign_key="company.id", primary_key=True, index=True, ondelete="CASCADE")


class Copy(SQLModel, table=True):
    """An interaction as one mailbox or calendar holds it. ``state``: present | trash | spam | deleted."""

    __table_args__ = (UniqueConstraint("source_id", "item_id"),)
    id: int | None = Field(default=None, primary_key=True)
    interaction_id: int = Field(foreign_key="interaction.id", index=True, ondelete="CASCADE")
    source_id: int = Field(foreign_key="source.id", index=True)
    account_id: int = Field(foreign_key="account.id", index=True)
    item_id: str
    state: str = "present"
    seen_at: datetime = instant()


class Link(SQLModel, table=True):
    """Why an interaction stands on a deal. ``made_by`` None: a rule did it. ``stage_id``: the deal's stage at that time.
    Kept when removed, so that it does not come back by itself."""

    __table_args__ = (UniqueConstraint("interaction_id", "deal_id"), Index("ix_link_deal", "deal_id", "removed_at"))
    id: int | None = Field(default=None, primary_key=True)
    interaction_id: int = Field(foreign_key="interaction.id", index=True, ondelete="CASCADE")
    deal_id: int = Field(foreign_key="deal.id", ondelete="CASCADE")
    rule: str
    score: float = 1.0
    reasons: list[str] = json_list()
    stage_id: int | None = None
    made_by: int | None = None
    made_at: datetime = instant()
    removed_at: datetime | None = instant(None)


class Held(SQLModel, table=True):
    """An interaction that waits for a person to say which deal. ``candidates``: [{deal_id, score, reasons[], sure?}], best
    first; a ``sure`` one is no part of the question (another customer's only deal). ``state``: open | chosen | none."""

    id: int | None = Field(default=None, primary_key=True)
    interaction_id: int = Field(foreign_key="interaction.id", unique=True, ondelete="CASCADE")
    account_id: int = Field(foreign_key="account.id", index=True)
    user_id: int = Field(foreign_key="user.id", index=True)
    candidates: list[dict[str, Any]] = json_list()
    reason: str = ""
    state: str = Field(default="open", index=True)
    created_at: datetime = instant()
    decided_at: datetime | None = instant(None)
    decided_by: int | None = None


class Choice(SQLModel, table=True):
    """What a person taught: this thread, or else this contact, belongs to this deal."""

    __table_args__ = (UniqueConstraint("kind", "key"),)
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    key: str
    deal_id: int = Field(foreign_key="deal.id", index=True, ondelete="CASCADE")
    made_by: int | None = None
    made_at: datetime = instant()


class Block(SQLModel, table=True):
    """What is never logged: an address, a domain or a label; of the team, or of one user."""

    __table_args__ = (UniqueConstraint("kind", "value", "user_id"),)
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    value: str
    user_id: int | None = Field(default=None, index=True)
    made_at: datetime = instant()
