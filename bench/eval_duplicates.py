"""Duplicates: what is one must become one, and what is two must stay two. By the labels of the Enron release itself.

*Mail*: the release keeps up to ten copies of a mail, each under a Message-ID of its own, and says which belong together. The
copies are dealt out to the mailboxes of colleagues, as a relay would that gives each receiver's copy another id; they are
synced, and what stands on a timeline is compared with the release's ``canonical_id``.

*People and firms*: the counterparties' addresses are imported twice from one file, in another spelling and under another
spelling of the firm; a counterparty is a firm by its domain, or a person alone.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

import house as building
import sandbox
import sync as syncing
from bench.eval_crm import _house, _import
from bench.eval_enron import _counterparties, _enter, _lines, _message, _rows, eval_house
from bench.figures import figure, keep_cases, say
from connecting import store_grant
from models.account import Account
from models.contact import Company, Contact, ContactAddress, is_free_mail
from models.interaction import Copy, Interaction
from models.setting import set_team_setting
from models.user import add_user

Letter = tuple[bytes, list[str], datetime]


def run(folder: Path) -> None:
    """Print duplicates.wrong_merges (0 is the aim), and how many of how many known duplicates became one: of mail, people, firms."""
    cases = _mail(folder) + _people(folder)
    figure("duplicates.wrong_merges", sum(case["case"].startswith("two") for case in cases))
    keep_cases("duplicates", cases)


# ---- mail


def _mail(folder: Path) -> list[dict[str, Any]]:
    canonical = {
        member[3]: row["canonical_id"] for row in _lines(folder / "duplicates.jsonl.gz") for member in row["members"]
    }
    cases: list[dict[str, Any]] = []
    pairs = right = 0
    for box in _rows(folder / "mailboxes.csv"):
        with (
            _synced(folder, box["mailbox"], box["owner_addresses"].split(), canonical) as (house, names),
            house.db.read() as session,
        ):
            found = _by_interaction(session, names)
        of: dict[str, list[int]] = defaultdict(list)
        for interaction_id, ids in found.items():
            for one in ids:
                of[one].append(interaction_id)
            if len(set(ids)) > 1:
                cases.append({"case": "two mails in one entry", "ids": sorted(set(ids))})
        for one, entries in of.items():
            pairs += len(entries) * (len(entries) - 1) // 2
            alike = sum(a == b for a, b in combinations(entries, 2))
            right += alike
            if len(set(entries)) > 1:
                cases.append({"case": "one mail in several entries", "id": one, "entries": len(set(entries))})
    say(f"  mail: {right} of {pairs} pairs of copies became one entry")
    figure("duplicates.mail_pairs", pairs)
    figure("duplicates.mail_merged", right / max(1, pairs))
    return cases


def _by_interaction(session: Session, names: dict[tuple[str, str], str]) -> dict[int, list[str]]:
    """The canonical ids of the copies that each entry stands for."""
    rows = session.exec(
        select(Interaction.id, Account.email, Copy.item_id)
        .join(Copy, Copy.interaction_id == Interaction.id)  # pyright: ignore[reportArgumentType]
        .join(Account, Account.id == Copy.account_id)  # pyright: ignore[reportArgumentType]
    ).all()
    found: dict[int, list[str]] = defaultdict(list)
    for interaction_id, email, item_id in rows:
        found[interaction_id or 0].append(names[(email, item_id)])
    return found


@contextmanager
def _synced(
    folder: Path, mailbox: str, addresses: list[str], canonical: dict[str, str]
) -> Iterator[tuple[building.House, dict[tuple[str, str], str]]]:
    """A house in which the copies of each mail lie with different colleagues; canonical ids by (mailbox, item)."""
    world, dealt = sandbox.World(), Counter[str]()
    names: dict[tuple[str, str], str] = {}
    domain = addresses[0].rpartition("@")[2]
    for row in _lines(folder / "mailboxes.jsonl.gz"):
        if row["mailbox"] != mailbox:
            continue
        key = canonical.get(row["message_id"], row["message_id"])
        email = f"colleague{dealt[key]}@{domain}" if dealt[key] else addresses[0]
        dealt[key] += 1
        raw, _, at = _message(row, row["message_id"])
        sent = ["SENT"] if row["from"].lower() in addresses and email == addresses[0] else ["INBOX"]
        names[(email, world.mailbox(email).deliver(raw, labels=sent, at=at.timestamp(), history=False))] = key
    emails = sorted({email for email, _ in names})
    with sandbox.serve(world) as server, eval_house(server) as house:
        with house.db.write() as session:
            set_team_setting(session, "internal_addresses", addresses)
            for row in _counterparties(folder):
                if row["mailbox"] == mailbox:
                    _enter(session, row)
            for number, email in enumerate(emails):
                add_user(session, email, role="rep" if number else "admin", now=building.now())
        for email in emails:
            granted = house.providers["google"].adopt(world.refresh_token(email))
            with house.db.write() as session:
                store_grant(session, house.keyring, granted, email)
        syncing.sync("", wait=True, house=house)
        yield house, names


# ---- people and firms


def _people(folder: Path) -> list[dict[str, Any]]:
    entity_of = {
        address: row["entity"] if row["entity_is"] == "domain" and not is_free_mail(row["entity"]) else ""
        for row in _counterparties(folder)
        for address in row["addresses"].split()
    }
    with _house() as house:
        done = _import(house, "contacts", _file(entity_of).encode())
        with house.db.read() as session:
            holder = dict(session.exec(select(ContactAddress.address, ContactAddress.contact_id)).all())
            firm = dict(session.exec(select(Contact.id, Contact.company_id)).all())
            firms = session.exec(select(Company.id)).all()
    cases: list[dict[str, Any]] = []
    for person, count in Counter(holder.values()).items():
        if count > 1:
            cases.append({"case": "two people in one contact", "contact": person, "addresses": count})
    entities: dict[int, set[str]] = defaultdict(set)
    for address, person in holder.items():
        if firm[person] and entity_of.get(address):
            entities[firm[person] or 0].add(entity_of[address])
    cases += [{"case": "two firms in one company", "company": key} for key, known in entities.items() if len(known) > 1]
    wanted = len({entity for entity in entity_of.values() if entity})
    say(
        f"  people: {len(holder)} of {len(entity_of)} taken, {len(set(holder.values()))} contacts; {done.refused} rows refused"
    )
    say(f"  firms: {wanted} in the file, {len(firms)} companies")
    figure("duplicates.people", len(entity_of))
    figure("duplicates.people_merged", (done.updated + done.same) / max(1, len(entity_of)))
    figure("duplicates.firms", wanted)
    figure("duplicates.firms_merged", sum(len(known) == 1 for known in entities.values()) / max(1, len(firms)))
    return cases


def _file(entity_of: dict[str, str]) -> str:
    """Every address twice: as it is, and in capitals behind a name; every firm by its domain, and as people write it."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(("Name", "Email", "Company"))
    for address, entity in entity_of.items():
        writer.writerow(("", address, entity))
    for address, entity in entity_of.items():
        spelled = f"{entity.partition('.')[0].capitalize()} Inc." if entity else ""
        writer.writerow(("", f"Somebody <{address.upper()}>", spelled))
    return made.getvalue()
