"""A pretend Google, a house and a worker on one clock that only moves when told to: an hour of backing off takes no time.
(bench/outlook_stage.py has the same for Microsoft.)

The house is the product, over real HTTP; what waits is given the clock (`connectors.clock`, `Work.now`), and the one library that
sleeps by itself (google-auth, between its attempts at the token endpoint) is given it too.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import google.auth._exponential_backoff as google_backoff
from sqlmodel import Session, col, or_, select

import house as building
import sandbox
from bench.sight import GmailSight, Sight
from connecting import store_grant
from connectors.clock import Clock
from connectors.google.provider import Google
from connectors.microsoft.provider import Microsoft
from models.account import Account, Source, Walk, claim_source, due_sources, lease_owner
from models.contact import add_company, add_contact
from models.deal import add_deal
from models.ledger import LedgerEntry, retry_unreadable
from models.user import add_user
from sandbox.mailbox import Mailbox
from worker.context import Work
from worker.sync import sync_source
from worker.upkeep import keep_up

REP, COLLEAGUE = "rae@acme.example", "col@acme.example"
BUYER, STRANGER = "buyer@customer.example", "zoe@stranger.example"
KEY = "a-key-for-the-stage-long-enough"
CLIENT_SECRET = "the-stage-client-secret"
UNITS = 400
"""Gmail units a minute; the house may use three quarters of them, so that twelve mails are already more than a minute's."""
SHARE = 0.75
BATCH = 10
REQUESTS = 80
"""Requests a minute to an Outlook mailbox, as a setting; again the house may use three quarters."""
IMPATIENCE = 0.5
"""Seconds of real time after which a silent line is given up, where one is rehearsed."""
LONG = 10_000_000
"""Seconds an access token lives: it ends when a test says so."""


@dataclass
class _Kept:
    """A moment that can be gone back to: the house's rows, and what the pretend provider remembers of the house."""

    rows: sqlite3.Connection
    at: float
    memory: dict[str, Any]
    account_id: int


class Theatre:
    """One house and one pretend provider on a socket, which every stage is built in anew: its rows are copied from memory,
    and the same letters are written again, so that what was read once need not be read before each case. ``kind`` of stage
    says which provider's. Close it."""

    def __init__(self, kind: type[Stage] | None = None) -> None:
        self._kind = kind or Stage
        self._folder = tempfile.TemporaryDirectory(prefix="dealtrail-stage-")
        folder = Path(self._folder.name)
        self.start = float(int(time.time()))
        world = sandbox.World()
        assert world.grants.signer.key, "made now, since it takes a while"
        self.server = sandbox.serve(world)
        self._file = folder / "house.db"
        self.house = building.open_house(**_settings(folder, self._file, self.server))
        with self.house.db.write() as session:
            _introduce(session)
        self._kept: dict[str, _Kept] = {"blank": _Kept(self._copy(), self.start, {}, 0)}

    @contextmanager
    def stage(
        self, *, seed: int = 1, begin: Callable[[Stage], None] = lambda made: None, at: str = ""
    ) -> Iterator[Stage]:
        """A stage that ends with the block, with google-auth on its clock. ``begin`` writes what was there before; ``at``
        goes on from a moment that was kept (with the same ``seed`` and ``begin``)."""
        made = self._kind(self, seed)
        begin(made)
        self._go_back(made, self._kept[at or "blank"])
        try:
            with patch.object(google_backoff, "time", SimpleNamespace(sleep=made.time.sleep)):
                yield made
        finally:
            made.close()

    def keep(self, name: str, made: Stage) -> None:
        """Remember this moment of a stage."""
        self._kept[name] = _Kept(self._copy(), made.time.now(), made.remembered(), made.account_id)

    def _go_back(self, made: Stage, kept: _Kept) -> None:
        with closing(sqlite3.connect(self._file)) as rows:
            kept.rows.backup(rows)
        made.time.advance(kept.at - made.time.now())
        if kept.memory:
            made.remember(kept.memory)
        made.account_id = kept.account_id

    def _copy(self) -> sqlite3.Connection:
        kept = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self._file)) as rows:
            rows.backup(kept)
        return kept

    def close(self) -> None:
        for kept in self._kept.values():
            kept.rows.close()
        self.house.db.close()
        self.server.close()
        self._folder.cleanup()


def _introduce(session: Session) -> None:
    """The rep, and the customer in the address book with an open deal, from before any mail."""
    now = building.now()
    member = add_user(session, REP, role="rep", now=now)[0]
    firm = add_company(session, "Customer", ["customer.example"], now=now)
    person = add_contact(session, name="Bea Buyer", emails=[BUYER], now=now, company_id=firm.id)
    people = [(person.id or 0, "buyer")]
    long_ago = now - timedelta(days=900)
    add_deal(session, name="Windmill", now=now, contacts=people, created_at=long_ago, owner_id=member.id)


class Stage:
    """One mailbox and one calendar of a pretend Google, and the house that follows them."""

    provider = "google"

    def __init__(self, theatre: Theatre, seed: int) -> None:
        self.time = sandbox.Clock(virtual=True, start=theatre.start)
        self.world = sandbox.World(self.time, seed=seed)
        self.set_up()
        self.server = theatre.server
        self.server.show(self.world)
        self._theatre = theatre
        self.house = self._house()
        self.seed = seed
        self.work = self.new_work()
        self.account_id = 0
        self.letters: list[str] = []
        self.poisoned = ""
        self.numbers = count(1)

    def set_up(self) -> None:
        """The pretend provider: small pages, tight limits, access that ends when a test says so."""
        self.world.grants.access_seconds = LONG
        self.world.knobs.enforce_quota, self.world.knobs.units_per_minute = True, UNITS
        self.world.knobs.concurrency_limit = BATCH
        self.world.knobs.page_size = 5
        self.world.mailbox(REP)

    @property
    def sight(self) -> Sight:
        """What the provider holds now."""
        return GmailSight(self.world, REP, BUYER)

    def remembered(self) -> dict[str, Any]:
        """What the provider remembers of the house."""
        grants = self.world.grants
        return {
            "by_refresh": dict(grants.by_refresh),
            "by_access": dict(grants.by_access),
            "issued": dict(self.world.almanac.issued),
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Go back to what ``remembered`` gave."""
        self.world.grants.by_refresh = dict(memory["by_refresh"])
        self.world.grants.by_access = dict(memory["by_access"])
        self.world.almanac.issued.update(memory["issued"])

    def forget_access(self) -> None:
        """Every access token ends now."""
        self.world.grants.forget_access()

    def secrets(self) -> dict[str, list[str]]:
        """What may stand in no log, by what it is."""
        grants = self.world.grants
        return {"a refresh token": list(grants.by_refresh), "an access token": list(grants.by_access)}

    def too_much(self) -> list[str]:
        """Where the house was greedier than it may be."""
        stats, allowed, found = self.world.stats, int(UNITS * SHARE), []
        if stats.peak_concurrency[REP] > BATCH:
            found.append(f"{stats.peak_concurrency[REP]} reads at once, {BATCH} are allowed")
        if stats.peak_units(REP) > allowed:
            found.append(f"{stats.peak_units(REP)} units within a minute, {allowed} are allowed")
        return found

    @property
    def box(self) -> Mailbox:
        return self.world.mailbox(REP)

    @property
    def now(self) -> datetime:
        return self.time.moment()

    def _house(self, **changes: Any) -> building.House:
        """The house with a provider on this stage's clock; ``changes``: of the provider's settings."""
        clock = Clock(now=self.time.moment, monotonic=self.time.now, sleep=self.time.sleep)
        given = self._theatre.house.providers[self.provider]
        assert isinstance(given, Google | Microsoft)
        made = type(given)(replace(given.config, **changes), clock=clock)  # type: ignore[arg-type]
        return replace(self._theatre.house, providers={self.provider: made})

    def be_impatient(self) -> None:
        """Give a silent line up soon: silence is waited for in real time."""
        self.work.close()
        self.house = self._house(timeout=IMPATIENCE)
        self.work = self.new_work()

    def be_poor(self, units: int) -> None:
        """So few units a minute, at the pretend Google and in the house's settings."""
        self.world.knobs.units_per_minute = units
        self.work.close()
        self.house = self._house(units_per_minute=units, budget_share=1.0)
        self.work = self.new_work()

    def new_work(self) -> Work:
        """The surroundings of a worker that has just been started."""
        work = self.house.work()
        work.now, work.monotonic, work.rng = self.time.moment, self.time.now, random.Random(self.seed)
        work.pace = replace(work.pace, tick=0.0)
        return work

    def connect(self) -> None:
        """The mailbox's owner consents, or consents again."""
        granted = self.house.providers[self.provider].adopt(self.refresh_token())
        with self.house.db.write() as session:
            account = store_grant(session, self.house.keyring, granted, REP)
            self.account_id = account.id or 0
        self.work.forget(self.account_id)
        self.time.advance(max(0.0, time.time() - self.time.now()) + 0.001)  # the sign-up reads the real clock

    def refresh_token(self) -> str:
        """A living one of the rep's."""
        return self.world.refresh_token(REP)

    def run_due(self, after_each: Callable[[], None] = lambda: None) -> int:
        """Run what is due at this moment, one after the other; how many runs."""
        runs = 0
        while (claimed := self._claim()) is not None:
            sync_source(self.work, *claimed)
            keep_up(self.work)
            after_each()
            runs += 1
        return runs

    def _claim(self) -> tuple[int, str] | None:
        with self.house.db.write() as session:
            found = session.exec(due_sources(self.now).order_by(col(Source.next_sync_at), col(Source.id)).limit(1))
            source_id = found.first()
            if source_id is None:
                return None
            owner = lease_owner()
            won = claim_source(session, source_id, owner=owner, now=self.now, seconds=self.work.pace.lease)
            return (source_id, owner) if won else None

    def poll(self, *, directory: bool = False) -> None:
        """Every mailbox and calendar is due now, as when its provider rings; with ``directory`` what the account holds too."""
        with self.house.db.write() as session:
            for source in session.exec(select(Source).where(Source.kind != ("" if directory else "directory"))):
                source.next_sync_at = min(source.next_sync_at or self.now, self.now)
                session.add(source)

    def ask_for_the_unreadable(self) -> int:
        """A person asks for what was given up; how many items that were."""
        with self.house.db.write() as session:
            ids = [one or 0 for one in session.exec(select(Source.id))]
            asked = retry_unreadable(session, ids, now=self.now)
        if asked:
            self.poll()
        return asked

    def unfinished(self, since: datetime) -> list[Source]:
        """The sources that are not up to date: not looked at since then, failing, gone, owing or still walking."""
        open_debt = or_(LedgerEntry.outcome == "owed", col(LedgerEntry.next_try_at).is_not(None))
        with self.house.db.read() as session:
            owing = set(session.exec(select(LedgerEntry.source_id).where(open_debt)).all())
            walking = set(session.exec(select(Walk.source_id).where(col(Walk.done_at).is_(None))).all())
            sources = session.exec(select(Source).where(col(Source.selected))).all()
            return [one for one in sources if _waits(one, since) or one.id in owing | walking]

    def account(self) -> Account:
        with self.house.db.read() as session:
            return session.get_one(Account, self.account_id)

    def next_moment(self, sources: list[Source]) -> datetime | None:
        """When the first of these may be run; None when it waits for a person. A calendar that is gone is found again by
        the account's directory."""
        account = self.account()
        if account.refused and account.look_again_at is None:
            return None
        with self.house.db.read() as session:
            if any(one.gone_at for one in sources):
                sources = [*sources, *session.exec(select(Source).where(Source.kind == "directory"))]
        held = [account.throttled_until, account.look_again_at if account.refused else None]
        moments = [
            max(one for one in (source.next_sync_at, source.lease_until, *held) if one is not None)
            for source in sources
            if source.next_sync_at is not None and source.gone_at is None
        ]
        return min(moments, default=None)

    def advance_to(self, moment: datetime) -> None:
        self.time.advance(max(0.001, (moment - self.now).total_seconds() + 0.001))

    def close(self) -> None:
        self.work.close()


def _waits(source: Source, since: datetime) -> bool:
    if source.lease_owner or source.error or source.gone_at is not None:
        return True
    if source.kind == "directory":
        return source.synced_at is None
    return source.synced_at is None or source.synced_at < since


def _settings(folder: Path, database: Path, server: sandbox.Server) -> dict[str, Any]:
    return {
        "google_api_root": server.google_api_root,
        "google_oauth_root": server.google_oauth_root,
        "_env_file": None,
        "data_dir": folder,
        "database_url": f"sqlite:///{database}",
        "secret_key": KEY,
        "google_client_id": "stage-client",
        "google_client_secret": CLIENT_SECRET,
        "microsoft_client_id": "stage-client",
        "microsoft_client_secret": CLIENT_SECRET,
        "microsoft_graph_root": server.microsoft_graph_root,
        "microsoft_login_root": server.microsoft_login_root,
        "outlook_requests_per_minute": REQUESTS,
        "gmail_units_per_minute": UNITS,
        "gmail_batch_size": BATCH,
        "budget_share": SHARE,
        "log_level": "debug",
    }
