"""A house that is rung: its worker on the sandbox's clock, the reader of its subscription, and what tests look at."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlmodel import col, select

import house as building
import sandbox
from connectors.clock import Clock
from models.account import Account, Source
from models.channel import Channel
from models.doorbell import claim_due_channels
from tests.support import REP, connect, connect_outlook, outlook_settings, settle
from tests.worker import scene
from worker.context import Push, Work
from worker.push import tend
from worker.reader import Reader

TOPIC, SUB = "projects/p/topics/t", "projects/p/subscriptions/s"


def key_file(world: sandbox.World, folder: Path) -> Path:
    """The key of a service account that may read the subscription."""
    path = folder / "robot.json"
    path.write_text(json.dumps(world.delegation.account().info()))
    return path


class Rung:
    """Rae's mailbox, rung through a subscription that is pulled. Its time is the sandbox's."""

    def __init__(
        self, make_house: Callable[..., building.House], world: sandbox.World, folder: Path, **settings: Any
    ) -> None:
        world.pubsub.topic(TOPIC)
        world.pubsub.subscribe(SUB, TOPIC)
        world.knobs.jwt_leeway = None
        world.knobs.watch_interval = 0
        given: dict[str, Any] = {
            "google_pubsub_topic": TOPIC,
            "google_pubsub_subscription": SUB,
            "google_pubsub_credentials_file": key_file(world, folder),
            "poll_seconds": 60,
            "calendar_poll_seconds": 300,
        }
        self.world = world
        self.house = make_house(**(given | settings))
        self.work: Work = self.house.work()
        self.work.now = lambda: datetime.fromtimestamp(world.clock.now(), UTC)
        scene.AT_WORK.append(self.work)
        self.reader = Reader(self.work, self.work.push.inbox) if self.work.push.inbox else None

    def connect(self, email: str = REP) -> Account:
        return connect(self.house, self.world, email)

    def opened(self, email: str = REP) -> Account:
        """A mailbox that was read once, rings, and whose greeting was heard; then a quiet while."""
        account = self.connect(email)
        settle(self.work)
        self.tend()
        self.turn()
        self.after(minutes=5)
        self.turn()
        settle(self.work)
        return account

    def after(self, **time: float) -> datetime:
        """Time passes, for the provider too; the present."""
        self.world.clock.advance(timedelta(**time).total_seconds())
        return self.work.now()

    def turn(self) -> float:
        """One look into the subscription."""
        assert self.reader is not None
        return self.reader.turn()

    def tend(self) -> int:
        """Open, renew and stop what is due; how many."""
        with self.work.db.write() as session:
            won = claim_due_channels(session, now=self.work.now(), seconds=300, limit=50)
        for channel_id, owner in won:
            tend(self.work, channel_id, owner)
        return len(won)

    def channels(self, kind: str = "mail") -> list[Channel]:
        with self.work.db.read() as session:
            return list(session.exec(select(Channel).where(Channel.kind == kind).order_by(col(Channel.id))).all())

    def ask(self) -> int:
        """Make Rae's mailbox due; its id."""
        with self.work.db.write() as session:
            row = session.get_one(Source, self.source().id)
            row.next_sync_at = self.work.now()
            session.add(row)
            return row.id or 0

    def source(self, kind: str = "mail") -> Source:
        """Rae's, as it is now."""
        with self.work.db.read() as session:
            rows = select(Source).join(Account, col(Account.id) == Source.account_id)
            return session.exec(rows.where(Source.kind == kind, Account.email == REP, col(Source.selected))).one()

    def until_next(self, kind: str = "mail") -> float:
        """Seconds until the source is looked at by itself."""
        due = self.source(kind).next_sync_at
        assert due is not None
        return (due - self.work.now()).total_seconds()

    def watched(self, email: str = REP) -> Any:
        """The sandbox's own watch of a mailbox; None when there is none that lives."""
        found = [one for (box, _), one in self.world.watches.watched.items() if box == email]
        return found[0] if found and found[0].expires > self.world.clock.now() else None


class OutlookRung(Rung):
    """The same for Rae's account at Microsoft: its mailbox and calendar ring at ``address``, which answers handshakes."""

    def __init__(
        self,
        make_house: Callable[..., building.House],
        world: sandbox.World,
        server: sandbox.Server,
        address: str,
        **settings: Any,
    ) -> None:
        given: dict[str, Any] = {"poll_seconds": 60, "calendar_poll_seconds": 300} | outlook_settings(server)
        self.world = world
        world.outlook(REP)
        self.house = make_house(**(given | settings))
        provider: Any = self.house.providers["microsoft"]
        provider.clock = Clock(now=world.clock.moment)
        self.work = self.house.work()
        self.work.now = world.clock.moment
        self.work.push = Push({("microsoft", kind): address for kind in ("mail", "calendar")})
        scene.AT_WORK.append(self.work)
        self.reader = None

    def connect(self, email: str = REP) -> Account:
        return connect_outlook(self.house, self.world, email)

    def turn(self) -> float:
        """Nothing is to be taken out of a queue."""
        return 0.0

    def watched(self, email: str = REP) -> Any:
        """The sandbox's own subscription to the messages of a mailbox; None when there is none that lives."""
        now = self.world.clock.now()
        found = [one for one in self.world.microsoft.subscriptions.open.values() if one.kind == "message"]
        return next((one for one in found if one.email == email and one.expires > now), None)
