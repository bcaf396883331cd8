"""Enron: five complete mailboxes of real mail against the timelines that should come of them.

The counterparties are given as contacts and companies with one deal each; every mailbox is synced through the sandbox; what
stands on a deal's timeline is compared with ``timeline_truth`` by canonical Message-ID.
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

import house as building
import sandbox
import sync as syncing
from bench.figures import figure, keep_cases, say
from connecting import store_grant
from models.contact import add_company, add_contact, is_free_mail
from models.deal import Deal, add_deal
from models.interaction import Interaction, Link
from models.ledger import LedgerEntry
from models.setting import set_team_setting
from models.user import add_user

LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
FAST = 60_000_000


def run(folder: Path) -> None:
    """Print enron.recall, enron.precision, enron.internal_stored and enron.machine_touches."""
    boxes = _rows(folder / "mailboxes.csv")
    owners = {row["mailbox"]: row["owner_addresses"].split() for row in boxes}
    internal = json.loads((folder / "internal_domains.json").read_text(encoding="utf-8"))[
        "internal_registrable_domains"
    ]
    labels = {(row["mailbox"], row["canonical_id"]): row for row in _rows(folder / "labels.csv.gz")}
    truth = {
        (row["mailbox"], row["entity"], row["canonical_id"].strip("<>"))
        for row in _rows(folder / "timeline_truth.csv.gz")
    }
    entities = {(mailbox, entity) for mailbox, entity, _ in truth}
    found: set[tuple[str, str, str]] = set()
    stored_internal = machine_touches = 0
    for mailbox, addresses in owners.items():
        wanted = [row for row in _counterparties(folder) if (row["mailbox"], row["entity"]) in entities]
        mine = [row for row in wanted if row["mailbox"] == mailbox]
        with _synced(folder, mailbox, addresses, internal, mine) as house, house.db.read() as session:
            links = _timeline(session, mailbox)
            found |= {(m, e, i) for m, e, i, _ in links}
            stored_internal += _internal_stored(session, labels, mailbox)
            machine_touches += _machine_touches(labels, links)
            say(f"{mailbox}: {_sum(session)}")
    right = found & truth
    figure("enron.recall", len(right) / len(truth))
    figure("enron.precision", len(right) / max(1, len(found)))
    figure("enron.internal_stored", stored_internal)
    figure("enron.machine_touches", machine_touches)
    cases = [{"case": "missing", "mailbox": m, "entity": e, "id": i} for m, e, i in sorted(truth - found)]
    cases += [{"case": "extra", "mailbox": m, "entity": e, "id": i} for m, e, i in sorted(found - truth)]
    keep_cases("enron", cases)


@contextmanager
def _synced(
    folder: Path, mailbox: str, addresses: list[str], internal: list[str], counterparties: list[dict[str, str]]
) -> Iterator[building.House]:
    """One mailbox, loaded into a sandbox and synced to the end."""
    world = sandbox.World()
    owner = addresses[0]
    box = world.mailbox(owner)
    for raw, labels, at in _mails(folder, mailbox):
        box.deliver(raw, labels=labels, at=at.timestamp(), history=False)
    with sandbox.serve(world) as server, eval_house(server) as house:
        with house.db.write() as session:
            add_user(session, owner, role="admin", now=building.now())
            set_team_setting(session, "internal_domains", internal)
            set_team_setting(session, "internal_addresses", addresses)
            for row in counterparties:
                _enter(session, row)
        granted = house.providers["google"].adopt(world.refresh_token(owner))
        with house.db.write() as session:
            store_grant(session, house.keyring, granted, owner)
        syncing.sync("", wait=True, house=house)
        yield house


@contextmanager
def eval_house(server: sandbox.Server) -> Iterator[building.House]:
    """A fresh house beside a pretend Google whose quota is not what is looked at, and which looks at no header that it need
    not."""
    with tempfile.TemporaryDirectory() as temporary:
        house = building.open_house(
            _env_file=None,
            data_dir=Path(temporary),
            google_client_id="eval",
            google_client_secret="eval-secret",
            google_api_root=server.google_api_root,
            google_oauth_root=server.google_oauth_root,
            gmail_units_per_minute=FAST,
            gmail_project_units_per_minute=FAST,
            budget_share=1.0,
            backfill_months=0,
            tick_seconds=0.1,
            log_level="error",
        )
        try:
            yield house
        finally:
            house.db.close()


def _enter(session: Session, row: dict[str, str]) -> None:
    """A counterparty as a company (or a person alone) with one deal, named after the entity."""
    now, company = building.now(), None
    if row["entity_is"] == "domain" and not is_free_mail(row["entity"]):
        company = add_company(session, row["entity"], [row["entity"]], now=now)
    contacts = [
        add_contact(session, name="", emails=[address], now=now, company_id=company.id if company else None)
        for address in row["addresses"].split()
    ]
    add_deal(
        session,
        name=row["entity"],
        now=now,
        company_id=company.id if company else None,
        contacts=[(contact.id or 0, "") for contact in contacts],
        created_at=LONG_AGO,
    )


def _timeline(session: Session, mailbox: str) -> list[tuple[str, str, str, str]]:
    """(mailbox, entity, Message-ID, machine kind) of everything that stands on a deal."""
    rows = session.exec(
        select(Deal.name, Interaction.identity, Interaction.machine)
        .join(Link, Link.deal_id == Deal.id)  # pyright: ignore[reportArgumentType]
        .join(Interaction, Interaction.id == Link.interaction_id)  # pyright: ignore[reportArgumentType]
    ).all()
    return [(mailbox, name, identity.removeprefix("m:").partition("#")[0], machine) for name, identity, machine in rows]


def _internal_stored(session: Session, labels: dict[tuple[str, str], dict[str, str]], mailbox: str) -> int:
    """Mails between colleagues of which anything but an item id was kept."""
    stored = {identity.removeprefix("m:") for identity in session.exec(select(Interaction.identity)).all()}
    return sum(
        1
        for (box, canonical), row in labels.items()
        if box == mailbox and row["internal_only"] == "1" and canonical.strip("<>") in stored
    )


def _machine_touches(labels: dict[tuple[str, str], dict[str, str]], links: list[tuple[str, str, str, str]]) -> int:
    """Mails written by machines, by the labels, that stand on a timeline as if a person had written them."""
    sure = ("automated", "bounce", "out_of_office")
    return sum(
        1
        for box, _, canonical, machine in links
        if not machine and labels.get((box, f"<{canonical}>"), {}).get("automated") in sure
    )


def _sum(session: Session) -> str:
    counts: dict[str, int] = {}
    for outcome in session.exec(select(LedgerEntry.outcome)).all():
        counts[outcome] = counts.get(outcome, 0) + 1
    return f"{sum(counts.values())} items = " + " + ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, packed or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a packed JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _counterparties(folder: Path) -> list[dict[str, str]]:
    return _rows(folder / "counterparties.csv")


def _mails(folder: Path, mailbox: str) -> Iterator[tuple[bytes, list[str], datetime]]:
    """Each stored copy as a message with its canonical Message-ID."""
    canonical: dict[tuple[str, str, str], str] = {}
    for row in _lines(folder / "duplicates.jsonl.gz"):
        for member in row["members"]:
            canonical[(member[0], member[1], member[2])] = row["canonical_id"]
    for row in _lines(folder / "mailboxes.jsonl.gz"):
        if row["mailbox"] == mailbox:
            key = (row["mailbox"], row["folder"], row["n"])
            yield _message(row, canonical.get(key, row["message_id"]))


def _message(row: dict[str, Any], message_id: str) -> tuple[bytes, list[str], datetime]:
    at = datetime.fromisoformat(row["date"].replace("Z", "+00:00"))
    sent = row["folder"].strip("_").lower() in ("sent", "sent_mail", "sent_items")
    message = EmailMessage(policy=SMTP.clone(max_line_length=0, utf8=True))
    message["Message-ID"] = message_id
    message["Date"] = format_datetime(at)
    message["From"] = row["from"]
    for name in ("to", "cc", "bcc"):
        clean = [address for address in row[name] if "@" in address]
        if clean:
            message[name.title()] = ", ".join(clean)
    message["Subject"] = " ".join((row["subject"] or "").split())
    message.set_content(row["body"] or "", charset="utf-8", cte="8bit")
    return message.as_bytes(), ["SENT"] if sent else ["INBOX"], at
