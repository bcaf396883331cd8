"""What the benchmarks stand on: a pretend Google and Microsoft in a process of its own, a house in a folder of its own, and a worker that
runs what is due until nothing is. The product under measurement is this process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import Session, func, select

import house as building
from connecting import store_grant
from models.account import Account, claim_due_sources
from models.contact import add_company, add_contact
from models.deal import add_deal
from models.interaction import Link
from models.user import add_user
from worker.context import Work
from worker.sync import sync_source
from worker.upkeep import keep_up

REP = "rae@acme.example"
PEOPLE = tuple(f"{name}@buyer{number}.example" for number in range(8) for name in ("ann", "bob", "cas"))
"""The customers' people: three at each of eight companies, each company with one deal."""
NO_LIMIT = 60_000_000
"""Units a minute where the quota is not what is measured."""


class Pretend:
    """A sandbox in another process, and what may be asked of it (sandbox/control.py)."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.api_root, self.oauth_root = str(told["api_root"]), str(told["oauth_root"])
        self.graph_root, self.login_root = str(told["graph_root"]), str(told["login_root"])
        self._client = httpx.Client(base_url=f"{self.api_root}/_sandbox/", timeout=600)

    def ask(self, what: str) -> Any:
        """GET one of crm, accounts, stats, faults, posted."""
        return self._client.get(what).raise_for_status().json()

    def tell(self, what: str, **given: Any) -> Any:
        """POST one of the control verbs."""
        return self._client.post(what, json=given).raise_for_status().json()

    def forget(self) -> None:
        """Set the counters to nought."""
        self._client.delete("stats").raise_for_status()

    def refresh_token(self, email: str) -> str:
        return self._token_of(email, "accounts")

    def outlook_refresh_token(self, email: str) -> str:
        return self._token_of(email, "microsoft/accounts")

    def _token_of(self, email: str, people: str) -> str:
        return next(one["refresh_token"] for one in self.ask(people) if one["email"] == email)

    def close(self) -> None:
        self._client.close()


@contextmanager
def pretend() -> Iterator[Pretend]:
    """Start one; it ends with the block."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--until-stdin-closes"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    far = Pretend(json.loads(process.stdout.readline()))
    try:
        yield far
    finally:
        far.close()
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@dataclass(slots=True)
class Place:
    """A house at work: its worker and its one connected mailbox (not yet synced)."""

    house: building.House
    work: Work
    account: Account


@contextmanager
def place(
    api_root: str, oauth_root: str, refresh_token: str, *, provider: str = "google", **settings: Any
) -> Iterator[Place]:
    """A fresh house on SQLite with the customers in its address book, and the mailbox connected. The roots are those of
    ``provider``: of its interface and of its sign-in."""
    given: dict[str, Any] = {
        "gmail_units_per_minute": NO_LIMIT,
        "gmail_project_units_per_minute": NO_LIMIT,
        "budget_share": 1.0,
    }
    with tempfile.TemporaryDirectory(prefix="dealtrail-bench-") as folder:
        house = building.open_house(
            _env_file=None,
            data_dir=Path(folder),
            log_level="error",
            **(given | _app(provider, api_root, oauth_root) | settings),
        )
        work = house.work()
        granted = house.providers[provider].adopt(refresh_token)
        with house.db.write() as session:
            add_user(session, granted.email, role="admin", now=building.now())
            introduce(session, PEOPLE, since=building.now() - timedelta(days=400))
            account = store_grant(session, house.keyring, granted, granted.email)
        try:
            yield Place(house, work, account)
        finally:
            work.close()
            house.db.close()


def _app(provider: str, api_root: str, oauth_root: str) -> dict[str, Any]:
    """The settings of our app at a provider."""
    roots: dict[str, dict[str, Any]] = {
        "google": {"google_api_root": api_root, "google_oauth_root": oauth_root},
        "microsoft": {"microsoft_graph_root": api_root, "microsoft_login_root": oauth_root},
    }
    return {f"{provider}_client_id": "bench", f"{provider}_client_secret": "bench-secret"} | roots[provider]


def introduce(session: Session, people: Sequence[str], *, since: Any) -> None:
    """The people as contacts, a company for each of their domains, and one deal a company, open ``since``."""
    now, firms = building.now(), {}
    for address in people:
        domain = address.partition("@")[2]
        if domain not in firms:
            firms[domain] = (add_company(session, domain, [domain], now=now).id, [])
        company_id, members = firms[domain]
        members.append((add_contact(session, name="", emails=[address], now=now, company_id=company_id).id or 0, ""))
    for domain, (company_id, members) in firms.items():
        add_deal(session, name=domain, now=now, company_id=company_id, contacts=members, created_at=since)


def settle(work: Work, *, wait: Callable[[], bool] = lambda: False, until: Callable[[], bool] = lambda: False) -> int:
    """Run every source that is due and what follows, until nothing is due and ``wait`` brings nothing on, or until
    ``until``; how many runs."""
    runs = 0
    while not until():
        with work.db.write() as session:
            won = claim_due_sources(session, now=work.now(), seconds=work.pace.lease, limit=50)
        for source_id, owner in won:
            sync_source(work, source_id, owner)
            runs += 1
        if not keep_up(work) and not won and not wait():
            break
    return runs


def linked(session: Session) -> int:
    """How many mails and meetings stand on a deal."""
    return session.exec(select(func.count(func.distinct(Link.interaction_id)))).one()
