"""The page of golden decisions, read: its tables, the world that they declare, and the items of its rows."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import Session

from connectors.addresses import parse
from connectors.items import Meeting, Message, Party
from connectors.mail import read_message
from models.account import Account, Source, connect_account
from models.blocks import add_block
from models.contact import Company, Contact, add_company, add_contact
from models.deal import Actor, Deal, add_deal, move_deal
from models.interaction import Choice, ThreadKey
from models.setting import set_team_setting
from models.user import User, add_user
from tests.models.cast import conversation, letter, stage
from tests.support import NOW

PAGE = Path(__file__).with_name("golden_matching.md")
Row = dict[str, str]


def tables(page: Path = PAGE) -> dict[str, list[Row]]:
    """Every table of a page by its heading; each row by the table's own column names."""
    found: dict[str, list[Row]] = {}
    heading, columns = "", []
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading, columns = line.lstrip("# "), []
        elif line.startswith("|"):
            cells = [html.unescape(cell.strip().strip("`")) for cell in line.strip("|").split("|")]
            if not columns:
                columns = cells
            elif set(line) != {"|", "-"}:
                found.setdefault(heading, []).append(dict(zip(columns, cells, strict=True)))
    return found


def sentence(name: str) -> list[str]:
    """What a line of prose names: ``Internal domains: a, b.``"""
    said = re.search(rf"{name}: (.+?)\.(\s|$)", PAGE.read_text(encoding="utf-8"))
    assert said, name
    return listed(said.group(1))


def listed(cell: str) -> list[str]:
    """A cell's values."""
    return [part.strip() for part in cell.split(",") if part.strip()]


def moment(text: str) -> datetime:
    """A day (at nine in the morning) or a moment, UTC."""
    at = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return at if "T" in text else at.replace(hour=9)


@dataclass
class World:
    """The declared world by its names."""

    users: dict[str, User] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    companies: dict[str, Company] = field(default_factory=dict)
    people: dict[str, Contact] = field(default_factory=dict)
    deals: dict[str, Deal] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)


def build(session: Session, page: dict[str, list[Row]]) -> World:
    """Enter the declared world through the models' own verbs."""
    world = World()
    for row in page["Our team"]:
        _member(session, world, row)
    set_team_setting(session, "internal_domains", sentence("Internal domains"))
    set_team_setting(session, "internal_addresses", sentence("Internal addresses"))
    for row in page["Companies"]:
        world.companies[row["company"]] = add_company(session, row["company"], listed(row["domains"]), now=NOW)
    for row in page["People"]:
        firm = world.companies.get(row["company"])
        made = add_contact(
            session, name=row["name"], emails=listed(row["addresses"]), company_id=firm.id if firm else None, now=NOW
        )
        made.never_log = row["never log"] == "yes"
        world.people[row["name"]] = made
    for row in page["Deals"]:
        _deal(session, world, row)
    for row in page["Conversations so far"]:
        _conversation(session, world, row)
    for said in sentence("Taught"):
        name, _, deal = said.partition(" to ")
        _taught(session, world, "contact", world.people[name].id, deal)
    for row in page["Kept out"]:
        owner = world.users.get(row["whose"])
        add_block(session, kind=row["kind"], value=row["value"], user_id=owner.id if owner else None, now=NOW)
    session.flush()
    return world


def _member(session: Session, world: World, row: Row) -> None:
    user = world.users[row["who"]] = add_user(session, row["address"], role="rep", now=NOW)[0]
    if not row["mailbox"]:
        return
    account = world.accounts[row["who"]] = connect_account(
        session,
        user_id=user.id or 0,
        provider="google",
        subject=row["who"],
        email=row["address"],
        addresses=[row["address"], *listed(row["sends as"])],
        capabilities=listed(row["mailbox"]),
        missing=[],
        sealed_grant=b"sealed",
        visibility="full",
        now=NOW,
    )
    source = Source(account_id=account.id or 0, kind="mail", external_id=row["who"], next_sync_at=NOW)
    source.lease_owner = "golden"
    session.add(source)
    session.flush()
    world.sources[row["who"]] = source.id or 0


def _deal(session: Session, world: World, row: Row) -> None:
    steps = [one.split(" ", 1) for one in listed(row["stages"])]
    people = [one.partition(": ")[::2] for one in listed(row["people"])]
    firm, owner = world.companies.get(row["company"]), world.users.get(row["owner"])
    deal = add_deal(
        session,
        name=row["deal"],
        stage=stage(session, steps[0][1]),
        company_id=firm.id if firm else None,
        owner_id=owner.id if owner else None,
        contacts=[(world.people[name].id or 0, role) for name, role in people],
        created_at=moment(steps[0][0]),
        now=NOW,
    )
    for day, name in steps[1:]:
        move_deal(session, deal, stage(session, name), actor=Actor(None), now=moment(day), reason="as declared")
    world.deals[row["deal"]] = deal
    world.names[deal.id or 0] = row["deal"]


def _conversation(session: Session, world: World, row: Row) -> None:
    thread = conversation(session)
    for known in listed(row["known by"]):
        kind, _, value = known.rpartition(" ")
        prefix = {"": "m:", "Gmail thread": f"p:{world.sources['Rae']}:", "calendar": "u:"}[kind]
        session.add(ThreadKey(key=prefix + value, thread_id=thread))
    for name in listed(row["stands on"]) or [""]:
        letter(session, thread=thread, on=world.deals.get(name), occurred_at=moment("2026-10-01"))
    if row["put by hand on"]:
        _taught(session, world, "thread", thread, row["put by hand on"])


def _taught(session: Session, world: World, kind: str, key: int | None, deal: str) -> None:
    session.add(Choice(kind=kind, key=str(key), deal_id=world.deals[deal].id or 0, made_at=NOW))


# ---- the items


def fields(cell: str) -> Row:
    """An item's cell: ``From: a · To: b``."""
    parts = [part.partition(":") for part in cell.split(" · ")]
    return {name.strip(): value.strip() for name, _, value in parts}


_NOT_HEADERS = {"Folder", "Mailbox", "Label", "Date", "Conversation", "Several deals", "Arrived"}


def message(item: Row, item_id: str = "golden", later: timedelta = timedelta(0)) -> Message:
    """A mail as the connector reads it from these headers, written and arrived so much later."""
    given = {"To": "rae@acme.example", "Subject": "Hello", "Message-ID": f"<{item_id}@golden.example>"} | item
    written = moment(given.get("Date", "2026-11-02")) + later
    folder = given.get("Folder", "mail")
    headers = [(name, value) for name, value in given.items() if name not in _NOT_HEADERS]
    return read_message(
        item_id=item_id,
        thread=given.get("Conversation", ""),
        at=moment(given["Arrived"]) + later if "Arrived" in given else written,
        headers=[*headers, ("Date", f"{written:%a, %d %b %Y %H:%M:%S +0000}")],
        place=folder if folder != "sent" else "mail",  # type: ignore[arg-type]
        outbound=folder == "sent",
        labels=tuple(listed(given.get("Label", ""))),
    )


def meeting(item: Row) -> Meeting:
    """A meeting as a connector hands it over."""
    at, state = moment(item.get("Date", "2026-11-02")), item.get("Meeting is", "")
    rooms = [Party("attendee", one.address, resource=True) for one in parse(item.get("Room", ""), "attendee")]
    return Meeting(
        "golden",
        item.get("UID", "golden@cal.example"),
        at,
        at,
        at,
        status="cancelled" if state == "cancelled" else "confirmed",
        private=state == "private",
        my_response="declined" if state == "declined" else "none",
        parties=(*parse(item["Organizer"], "organizer"), *parse(item.get("Invited", ""), "attendee"), *rooms),
    )
