"""The demonstration: a pretend Google and Microsoft in a process of their own, Dealtrail beside it, and one terminal that
tells what happens. The database is a new one each time, under ``data/demo``."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from sqlmodel import Session, col, func, select

import house as building
import serving
import settings as setting_page
import sync as syncing
from connecting import store_grant
from connectors.items import Message
from models.addresses import canonical
from models.contact import add_company, add_contact, is_free_mail
from models.deal import add_deal
from models.errors import Invalid, ModelError
from models.event import Event
from models.interaction import Interaction
from models.ledger import LedgerEntry
from models.pipeline import default_pipeline, stage_by_name
from models.suggestion import Suggestion
from models.user import add_user, find_user, set_password

FOLDER = Path("data/demo")
PASSWORD = "dealtrail-demo"
FAST = 600_000
"""Gmail units, and Outlook requests, a minute in the demonstration: the pretend providers do not mind."""
SAID_WHY = 2
"""The exit status of the pretend providers after a sentence on standard error."""
SENT_TO_READ = 300
MOST_PEOPLE = 40
out = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Sandbox:
    """A running pretend Google and Microsoft: where they are, whose mailboxes they hold, and of own mail how many were loaded,
    malformed ones included."""

    api_root: str
    oauth_root: str
    graph_root: str
    login_root: str
    accounts: list[dict[str, str]]
    outlook_accounts: list[dict[str, str]]
    mails: int = 0
    malformed: int = 0

    @property
    def everybody(self) -> list[tuple[str, dict[str, str]]]:
        """(provider, account), Google's first."""
        google = [("google", account) for account in self.accounts]
        return google + [("microsoft", account) for account in self.outlook_accounts]

    @property
    def described(self) -> str:
        """What was started, in a sentence."""
        counts = [_mailboxes(len(self.accounts), "at Google")]
        if self.outlook_accounts:
            counts.append(_mailboxes(len(self.outlook_accounts), "in Outlook"))
        return f"A pretend Google and Microsoft are running at {self.api_root}: {' and '.join(counts)}."


def _mailboxes(count: int, where: str) -> str:
    return f"{count} mailbox{'' if count == 1 else 'es'} {where}"


def run(*, mail: Path | None, me: str, live_seconds: float, once: bool) -> None:
    """Run until Ctrl-C (or, with ``once``, until the first sync is through). Raises SettingsError for a taken port and
    SystemExit for mail that cannot be read, both before the database of an earlier demonstration is removed."""
    started = time.monotonic()
    if mail and not canonical(me):
        raise Invalid(f"--me {me!r} is not an e-mail address.")
    chosen = setting_page.load()
    listener = None if once else serving.listen(chosen.host, chosen.port)
    with _sandbox(mail, me, live_seconds) as box:
        house = _open(box)
        out.print(box.described)
        if box.malformed:
            out.print(
                f"Of {box.mails} mails {box.malformed} are malformed (no legible sender or date); they are kept too."
            )
        people = _own_mail(house, box, me) if mail else _team(house, box)
        out.print(people)
        if listener is None:
            _first_sync(house, started)
        else:
            _serve(house, started, listener)


def _open(box: Sandbox) -> building.House:
    shutil.rmtree(FOLDER, ignore_errors=True)
    return building.open_house(
        data_dir=FOLDER,
        database_url="",
        broker_url="memory://",
        google_client_id="demo-client",
        google_client_secret="demo-secret",
        google_api_root=box.api_root,
        google_oauth_root=box.oauth_root,
        microsoft_client_id="demo-client",
        microsoft_client_secret="demo-secret",
        microsoft_graph_root=box.graph_root,
        microsoft_login_root=box.login_root,
        outlook_requests_per_minute=FAST,
        gmail_units_per_minute=FAST,
        budget_share=1.0,
        poll_seconds=2.0,
        calendar_poll_seconds=4.0,
        tick_seconds=0.25,
        webhook_allow_private=True,
        log_level="error",
    )


@contextmanager
def _sandbox(mail: Path | None, me: str, live_seconds: float) -> Iterator[Sandbox]:
    """Start the pretend providers; they end with us, however we end, because their standard input closes. Raises SystemExit
    when they have said why they cannot start, Invalid when it ended without a word."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--until-stdin-closes"]
    command += ["--mail", str(mail), "--me", me] if mail else ["--team", "demo", "--live-seconds", str(live_seconds)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("{"):
            if process.wait(10) == SAID_WHY:
                raise SystemExit(1)
            raise Invalid(f"The pretend Google and Microsoft ended at their start (status {process.returncode}).")
        yield Sandbox(**json.loads(line))
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        if process.stdout:
            process.stdout.close()


# ---- what is in it


def _team(house: building.House, box: Sandbox) -> str:
    """The invented team: users, customers, deals, and three connected mailboxes."""
    crm = httpx.get(f"{box.api_root}/_sandbox/crm", timeout=30).json()
    with house.db.write() as session:
        for number, (_, account) in enumerate(box.everybody):
            _member(session, account["email"], account.get("name", ""), admin=number == 0)
        fill(session, crm)
    _connect(house, box)
    return (
        f"The address book has {len(crm['companies'])} companies, {len(crm['contacts'])} contacts and "
        f"{len(crm['deals'])} deals; {len(box.everybody)} reps are connected."
    )


def fill(session: Session, crm: dict[str, Any]) -> None:
    """Companies, contacts and deals of a CRM given as JSON. Raises ModelError."""
    now = building.now()
    companies = {row["name"]: add_company(session, row["name"], row["domains"], now=now).id for row in crm["companies"]}
    contacts: dict[str, int] = {}
    for row in crm["contacts"]:
        contact = add_contact(
            session,
            name=row["name"],
            emails=row["emails"],
            now=now,
            company_id=companies.get(row.get("company", "")),
            title=row.get("title", ""),
            phone=row.get("phone", ""),
        )
        contacts.update((email.lower(), contact.id or 0) for email in row["emails"])
    pipeline = default_pipeline(session).id or 0
    for row in crm["deals"]:
        owner = find_user(session, row["owner"])
        amount = row.get("amount")
        add_deal(
            session,
            name=row["name"],
            now=now,
            stage=stage_by_name(session, pipeline, row["stage"]),
            company_id=companies.get(row.get("company", "")),
            owner_id=owner.id if owner else None,
            amount_minor=round(float(amount) * 100) if amount is not None else None,
            currency=row.get("currency", "EUR"),
            expected_close=date.fromisoformat(row["expected_close"]) if row.get("expected_close") else None,
            contacts=[(contacts[c["email"].lower()], c.get("role", "")) for c in row["contacts"]],
            created_at=datetime.fromisoformat(row["created"]),
            stage_since=datetime.fromisoformat(row["stage_since"]),
        )


def _own_mail(house: building.House, box: Sandbox, me: str) -> str:
    """Somebody's real mail: the people they wrote to become contacts, one deal for each company."""
    with house.db.write() as session:
        _member(session, me, "", admin=True)
    _connect(house, box)
    people = _written_to(house, box.accounts[0]["email"])
    with house.db.write() as session:
        made = _book_of(session, me, people)
    return f"From the newest sent mail, {made} people became contacts with a deal for each company, to have something to look at."


def _written_to(house: building.House, email: str) -> list[tuple[str, str]]:
    """(address, name) of those most written to, by the headers of the newest sent mail."""
    from models.account import Account

    work = house.work()
    with house.db.read() as session:
        account = session.exec(select(Account).where(Account.email == email.lower())).one()
    box = work.connection(account.id or 0, account.provider, account.email).mailbox("me")
    ids = [hit.item_id for hit in box.sent().items[:SENT_TO_READ]]
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for item in box.headers(ids):
        for party in item.parties if isinstance(item, Message) else ():
            if party.role in ("to", "cc") and party.address.lower() != email.lower():
                counts[party.address.lower()] = counts.get(party.address.lower(), 0) + 1
                names[party.address.lower()] = names.get(party.address.lower()) or party.name
    work.forget(account.id or 0)
    own = email.rpartition("@")[2].lower()
    outside = [a for a in counts if is_free_mail(own) or a.rpartition("@")[2] != own]
    return [(a, names[a]) for a in sorted(outside, key=lambda a: -counts[a])[:MOST_PEOPLE]]


def _book_of(session: Session, me: str, people: list[tuple[str, str]]) -> int:
    now, owner, made = building.now(), find_user(session, me), 0
    start = datetime(1990, 1, 1, tzinfo=now.tzinfo)
    deals: dict[str, list[int]] = {}
    for address, name in people:
        domain = address.rpartition("@")[2]
        try:
            contact = add_contact(session, name=name, emails=[address], now=now)
        except ModelError:
            continue
        made += 1
        deals.setdefault(address if is_free_mail(domain) else domain, []).append(contact.id or 0)
    for key, ids in deals.items():
        company = None
        if "@" not in key:
            company = add_company(session, key.partition(".")[0].title(), [key], now=now)
        add_deal(
            session,
            name=f"{company.name if company else key}",
            now=now,
            company_id=company.id if company else None,
            owner_id=owner.id if owner else None,
            contacts=[(contact_id, "") for contact_id in ids],
            created_at=start,
            stage_since=now,
        )
    return made


def _member(session: Session, email: str, name: str, *, admin: bool) -> None:
    user, _ = add_user(session, email, role="admin" if admin else "rep", now=building.now(), name=name)
    set_password(session, user, PASSWORD)


def _connect(house: building.House, box: Sandbox) -> None:
    for provider, account in box.everybody:
        granted = house.providers[provider].adopt(account["refresh_token"])
        with house.db.write() as session:
            store_grant(session, house.keyring, granted, account["email"])


# ---- what is shown


def _first_sync(house: building.House, started: float) -> None:
    report = syncing.sync("", wait=True, progress=out, house=house)
    _tell_sum(house, started)
    if not report["ok"]:
        raise Invalid(
            "Some account could not be brought up to date: " + "; ".join(a["sentence"] for a in report["accounts"])
        )


def _serve(house: building.House, started: float, listener: socket.socket) -> None:
    ready = threading.Event()
    threading.Thread(target=_narrate, args=(house, ready, started), daemon=True).start()
    serving.serve(web=True, work=True, house=house, ready=ready, listener=listener)


def _narrate(house: building.House, ready: threading.Event, started: float) -> None:
    """Progress of the first sync, where to look, and then each thing as it happens."""
    ready.wait()
    with house.db.read() as session:
        from models.user import User

        admin = session.exec(select(User).where(User.role == "admin")).first()
    url = house.settings.base_url
    out.print(
        f"\n  Open [bold]{url}[/bold] and sign in as {admin.email if admin else ''} with the password {PASSWORD}\n"
    )
    _progress(house)
    _tell_sum(house, started)
    out.print("New mail keeps coming; watch it being logged here and on the pages. Ctrl-C ends everything.\n")
    _tail(house)


def _progress(house: building.House) -> None:
    from models.account import Account

    with out.status("first sync ...") as status:
        while True:
            with house.db.read() as session:
                ids = [account_id or 0 for account_id in session.exec(select(Account.id)).all()]
                left, shown = syncing.unfinished(session, ids, datetime.fromtimestamp(0, building.now().tzinfo))
            status.update(f"first sync: {shown}")
            if not left:
                return
            time.sleep(0.3)


def _tell_sum(house: building.House, started: float) -> None:
    with house.db.read() as session:
        outcomes = dict(session.exec(select(LedgerEntry.outcome, func.count()).group_by(LedgerEntry.outcome)).all())
        interactions = session.exec(select(func.count()).select_from(Interaction)).one()
        pending = session.exec(select(func.count()).select_from(Suggestion).where(Suggestion.state == "open")).one()
    total = sum(outcomes.values())
    parts = " + ".join(f"{count} {name}" for name, count in sorted(outcomes.items(), key=lambda pair: -pair[1]))
    out.print(f"First sync done after {time.monotonic() - started:.0f} s: {total} items = {parts}.")
    out.print(f"{interactions} interactions are on the timelines, {pending} suggestions wait to be reviewed.")


def _tail(house: building.House) -> None:
    with house.db.read() as session:
        last = session.exec(select(func.max(Event.id))).one() or 0
    while True:
        with house.db.read() as session:
            events = session.exec(select(Event).where(col(Event.id) > last).order_by(col(Event.id))).all()
        for event in events:
            last = event.id or last
            out.print(f"{event.at.astimezone():%H:%M:%S}  {event.kind:22} {_about(event)}", markup=False)
        time.sleep(0.5)


def _about(event: Event) -> str:
    payload = event.payload
    if "subject" in payload:
        return str(payload.get("subject") or "")[:80]
    deal = payload.get("deal") or {}
    return f"{deal.get('name', '')}: {payload.get('reason', '')}"[:100]
