"""What people decide about where an interaction belongs, remembered and undoable."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from models.account import Account
from models.contact import Contact
from models.deal import Deal, DealContact, lock, stage_at
from models.errors import Conflict, NotFound
from models.event import announce, event_row
from models.existing import existing
from models.interaction import Choice, Copy, Held, Interaction, InteractionContact, Link
from models.ledger import LedgerEntry
from models.privacy import sights

REASONS = {"person": "chosen by hand", "thread": "same conversation as one chosen by hand"}


def choose_deal(session: Session, held: Held, deal_id: int, *, user_id: int, now: datetime) -> Link:
    """A person says which deal a held interaction belongs to. It also stands on the deals of other customers on it about
    which there was no question. The thread and the contacts learn it, and what else is held of the same thread follows.
    Raises Conflict, NotFound."""
    lock(session, held)
    if held.state != "open":
        raise Conflict("This item was decided already.")
    deal = _deal(session, deal_id)
    interaction = _interaction(session, held.interaction_id)
    _settle(session, held, interaction, state="chosen", outcome="logged", user_id=user_id, now=now)
    link = put_on_deal(session, interaction, deal, rule="person", user_id=user_id, now=now)
    _put_where_sure(session, held, interaction, deal_id, now)
    _teach(session, interaction, deal, user_id=user_id, now=now)
    for other in _held_alike(session, held, interaction):
        sibling = _interaction(session, other.interaction_id)
        _settle(session, other, sibling, state="chosen", outcome="logged", user_id=user_id, now=now)
        put_on_deal(session, sibling, deal, rule="thread", user_id=user_id, now=now)
    return link


def _put_where_sure(session: Session, held: Held, interaction: Interaction, chosen: int, now: datetime) -> None:
    for candidate in held.candidates:
        deal = session.get(Deal, candidate["deal_id"]) if candidate.get("sure") else None
        if deal is not None and deal.id != chosen:
            put_on_deal(session, interaction, deal, rule=candidate["rule"], user_id=None, now=now)


def choose_none(session: Session, held: Held, *, user_id: int, now: datetime) -> None:
    """A person says that it belongs to no deal: it stays on the contact's timeline. Raises Conflict."""
    lock(session, held)
    if held.state != "open":
        raise Conflict("This item was decided already.")
    interaction = _interaction(session, held.interaction_id)
    _settle(session, held, interaction, state="none", outcome="logged", user_id=user_id, now=now)


def undo_choice(session: Session, held: Held, *, now: datetime) -> None:
    """Take a choice back: the item is held again and so is what followed it in its thread; what it taught the thread and the
    contacts is forgotten. Raises Conflict."""
    lock(session, held)
    if held.state == "open":
        raise Conflict("This item is not decided.")
    interaction = _interaction(session, held.interaction_id)
    for choice in _taught_by(session, held, interaction):
        session.delete(choice)
    for other in [held, *_followers(session, held, interaction)]:
        _hold_again(session, other, now)
    session.flush()


def relink(session: Session, interaction: Interaction, deal_id: int, *, user_id: int, now: datetime) -> Link:
    """Put an interaction on another deal, off the ones it stood on, and remember it for the thread. One that was held is
    decided by it. Raises NotFound."""
    deal = _deal(session, deal_id)
    held = session.exec(select(Held).where(Held.interaction_id == interaction.id, Held.state == "open")).first()
    if held is not None:
        _settle(session, held, interaction, state="chosen", outcome="logged", user_id=user_id, now=now)
    for link in session.exec(
        select(Link).where(
            Link.interaction_id == interaction.id, col(Link.removed_at).is_(None), Link.deal_id != deal_id
        )
    ):
        link.removed_at = now
        session.add(link)
        _ask_again(session, link.deal_id, now)
    made = put_on_deal(session, interaction, deal, rule="person", user_id=user_id, now=now)
    _teach(session, interaction, deal, user_id=user_id, now=now)
    return made


def unlink(session: Session, interaction: Interaction, deal_id: int, *, now: datetime) -> None:
    """Take an interaction off a deal; it does not come back by itself. Raises NotFound."""
    link = session.exec(
        select(Link).where(
            Link.interaction_id == interaction.id, Link.deal_id == deal_id, col(Link.removed_at).is_(None)
        )
    ).first()
    if link is None:
        raise NotFound("It does not stand on that deal.")
    link.removed_at = now
    session.add(link)
    _ask_again(session, deal_id, now)


def put_on_deal(
    session: Session, interaction: Interaction, deal: Deal, *, rule: str, user_id: int | None, now: datetime
) -> Link:
    """Link by a person's word (again, if it was taken off before), to the stage in which the deal stood at that time."""
    link = session.exec(select(Link).where(Link.interaction_id == interaction.id, Link.deal_id == deal.id)).first()
    why = REASONS.get(rule, "the only deal of another customer on it")
    link = link or Link(interaction_id=interaction.id or 0, deal_id=deal.id or 0, rule=rule, made_at=now)
    link.rule, link.score, link.reasons, link.removed_at = rule, 1.0, [why], None
    link.stage_id, link.made_by, link.made_at = stage_at(session, deal, interaction.occurred_at), user_id, now
    session.add(link)
    _ask_again(session, deal.id or 0, now)
    session.flush()
    announce(
        session,
        event_row(
            "interaction.logged",
            f"{interaction.id}:{deal.id}",
            interaction_payload(session, interaction, [link]),
            now=now,
            deal_id=deal.id,
        ),
    )
    return link


def interaction_payload(
    session: Session, interaction: Interaction, links: list[Link], *, viewer_id: int | None = None
) -> dict[str, Any]:
    """What an event tells of an interaction: to the whole team, so no more than a stranger to the mailbox may see; or to
    one person alone (``viewer_id``), to whom it must then be private."""
    seen = sights(session, [interaction], viewer_id)[interaction.id or 0]
    return logged_payload(
        {
            "id": interaction.id,
            "kind": interaction.kind,
            "direction": interaction.direction,
            "occurred_at": interaction.occurred_at,
            "subject": interaction.subject,
            "snippet": interaction.snippet,
            "machine": interaction.machine,
            "parties": interaction.parties,
        },
        [{"deal_id": link.deal_id, "rule": link.rule, "score": link.score, "reasons": link.reasons} for link in links],
        subject=seen.subject,
        text=seen.text,
    )


def logged_payload(row: dict[str, Any], links: list[dict[str, Any]], *, subject: bool, text: bool) -> dict[str, Any]:
    """The shape of ``interaction.logged``; at most 50 parties, so that a body stays under 20 kB."""
    return {
        "id": row["id"],
        "kind": row["kind"],
        "direction": row["direction"],
        "occurred_at": row["occurred_at"].isoformat().replace("+00:00", "Z"),
        "subject": row["subject"] if subject else None,
        "snippet": row["snippet"] if text else None,
        "machine": row["machine"] or None,
        "parties": [
            {key: party.get(key) for key in ("role", "address", "name", "contact_id", "ours")}
            for party in row["parties"][:50]
        ],
        "links": links,
    }


def _teach(session: Session, interaction: Interaction, deal: Deal, *, user_id: int, now: datetime) -> None:
    """The thread learns for sure; each contact learns, to be used where the thread knows nothing. Of several customers'
    people only those of the deal, where there are some: nothing was said about the others."""
    keys = [("thread", str(interaction.thread_id))] if interaction.thread_id else []
    contacts = session.exec(
        select(InteractionContact.contact_id).where(InteractionContact.interaction_id == interaction.id)
    ).all()
    theirs = _people_of(session, deal, contacts)
    keys += [("contact", str(contact_id)) for contact_id in contacts if contact_id in theirs or not theirs]
    for kind, key in keys:
        row = session.exec(select(Choice).where(Choice.kind == kind, Choice.key == key)).first()
        row = row or Choice(kind=kind, key=key, deal_id=deal.id or 0, made_at=now)
        row.deal_id, row.made_by, row.made_at = deal.id or 0, user_id, now
        session.add(row)


def _people_of(session: Session, deal: Deal, contact_ids: Iterable[int]) -> set[int]:
    """Those who take part in a deal or work for its company."""
    wanted = list(contact_ids)
    found = set(
        session.exec(
            select(DealContact.contact_id).where(
                DealContact.deal_id == deal.id, col(DealContact.contact_id).in_(wanted)
            )
        ).all()
    )
    if deal.company_id is not None:
        firm = select(Contact.id).where(col(Contact.id).in_(wanted), Contact.company_id == deal.company_id)
        found |= {contact_id for contact_id in session.exec(firm) if contact_id is not None}
    return found


def _held_alike(session: Session, held: Held, interaction: Interaction) -> list[Held]:
    return _in_thread(session, held, interaction, Held.state == "open", Held.user_id == held.user_id)


def _in_thread(session: Session, held: Held, interaction: Interaction, *such: Any) -> list[Held]:
    """The other held items of its thread that are such."""
    if interaction.thread_id is None:
        return []
    others = select(Held).join(Interaction, col(Interaction.id) == Held.interaction_id)
    return list(
        session.exec(others.where(Held.id != held.id, Interaction.thread_id == interaction.thread_id, *such)).all()
    )


def _taught_by(session: Session, held: Held, interaction: Interaction) -> list[Choice]:
    """What this decision taught, as long as no later one has overruled it."""
    contacts = session.exec(
        select(InteractionContact.contact_id).where(InteractionContact.interaction_id == interaction.id)
    ).all()
    keys = {("thread", str(interaction.thread_id))} | {("contact", str(contact_id)) for contact_id in contacts}
    found = session.exec(select(Choice).where(col(Choice.key).in_([key for _, key in keys]))).all()
    return [row for row in found if (row.kind, row.key) in keys and row.made_at == held.decided_at]


def _followers(session: Session, held: Held, interaction: Interaction) -> list[Held]:
    """What was settled together with it, in the same thread."""
    if held.state != "chosen" or held.decided_by is None:
        return []
    together = (Held.state == "chosen", Held.decided_at == held.decided_at, Held.decided_by == held.decided_by)
    return _in_thread(session, held, interaction, *together)


def _hold_again(session: Session, held: Held, now: datetime) -> None:
    interaction = _interaction(session, held.interaction_id)
    for link in session.exec(select(Link).where(Link.interaction_id == interaction.id, col(Link.removed_at).is_(None))):
        _ask_again(session, link.deal_id, now)
        session.delete(link)
    held.state, held.decided_at, held.decided_by = "open", None, None
    interaction.held = True
    _set_outcome(session, interaction, "held", held.reason, now)
    session.add_all([held, interaction])


def _settle(
    session: Session, held: Held, interaction: Interaction, *, state: str, outcome: str, user_id: int, now: datetime
) -> None:
    held.state, held.decided_at, held.decided_by = state, now, user_id
    interaction.held = False
    _set_outcome(session, interaction, outcome, "chosen by hand" if state == "chosen" else "no deal, by hand", now)
    session.add_all([held, interaction])
    session.flush()


def _set_outcome(session: Session, interaction: Interaction, outcome: str, reason: str, now: datetime) -> None:
    for entry in session.exec(select(LedgerEntry).where(LedgerEntry.interaction_id == interaction.id)):
        entry.outcome, entry.reason, entry.updated_at = outcome, reason, now
        session.add(entry)


def _ask_again(session: Session, deal_id: int, now: datetime) -> None:
    deal = session.get(Deal, deal_id)
    if deal is not None:
        deal.suggest_at = now
        session.add(deal)


def _deal(session: Session, deal_id: int) -> Deal:
    return existing(session, Deal, deal_id, "deal")


def _interaction(session: Session, interaction_id: int) -> Interaction:
    return existing(session, Interaction, interaction_id, "interaction")


def first_keeper(session: Session, interaction_id: int) -> Account | None:
    """The account that holds the oldest copy; its owner is who is asked."""
    copies = select(Account).join(Copy, col(Copy.account_id) == Account.id).order_by(col(Copy.id))
    return session.exec(copies.where(Copy.interaction_id == interaction_id)).first()


def owner_of_copy(session: Session, interaction_id: int) -> list[int]:
    """The users whose mailboxes hold a copy."""
    return list(
        session.exec(
            select(Account.user_id)
            .join(Copy, col(Copy.account_id) == Account.id)
            .where(Copy.interaction_id == interaction_id)
            .distinct()
        ).all()
    )
