"""The stage of bench/stage.py with a pretend Microsoft on it."""

from __future__ import annotations

from typing import Any

from bench.outlook_sight import OutlookSight
from bench.sight import Sight
from bench.stage import BUYER, LONG, REP, REQUESTS, SHARE, Stage
from sandbox.microsoft.meter import in_flight_name
from sandbox.microsoft.outlook import OutlookBox
from sandbox.microsoft.tenancy import Microsoft

AT_ONCE = 4
"""Requests of one app to one mailbox that Microsoft bears (provider contract 4.4)."""


class OutlookStage(Stage):
    """One Outlook mailbox with its calendar, and the house that follows them."""

    provider = "microsoft"

    def set_up(self) -> None:
        self.microsoft.entra.access_seconds = LONG
        self.microsoft.knobs.page_size = 5
        self.microsoft.knobs.concurrency_limit = None
        self.world.outlook(REP, "Rae Rep")

    @property
    def microsoft(self) -> Microsoft:
        return self.world.microsoft

    @property
    def outlook(self) -> OutlookBox:
        return self.world.outlook(REP)

    @property
    def sight(self) -> Sight:
        return OutlookSight(self.microsoft, self.outlook, BUYER)

    def remembered(self) -> dict[str, Any]:
        entra = self.microsoft.entra
        return {
            "by_refresh": dict(entra.by_refresh),
            "by_access": dict(entra.by_access),
            "consents": dict(entra.consents),
            "occurrences": dict(self.outlook.calendar.occurrences),
        }

    def remember(self, memory: dict[str, Any]) -> None:
        entra = self.microsoft.entra
        entra.by_refresh, entra.by_access = dict(memory["by_refresh"]), dict(memory["by_access"])
        entra.consents = dict(memory["consents"])
        self.outlook.calendar.occurrences.update(memory["occurrences"])

    def forget_access(self) -> None:
        self.microsoft.entra.forget_access()

    def refresh_token(self) -> str:
        return self.world.microsoft_refresh_token(REP)

    def secrets(self) -> dict[str, list[str]]:
        entra = self.microsoft.entra
        return {"a refresh token": list(entra.by_refresh), "an access token": list(entra.by_access)}

    def be_poor(self, units: int) -> None:
        """So few requests a minute, in the house's settings."""
        self.work.close()
        self.house = self._house(requests_per_minute=units, budget_share=1.0)
        self.work = self.new_work()

    def too_much(self) -> list[str]:
        """Where the house was greedier than a mailbox bears, or hastier than it was told."""
        found, at_once = [], self.world.stats.peak_concurrency[in_flight_name(REP)]
        if at_once > AT_ONCE:
            found.append(f"{at_once} requests at once, {AT_ONCE} are allowed")
        if early := self.microsoft.meter.early[REP]:
            found.append(f"{early} requests came before the time that a Retry-After named")
        allowed, most = int(REQUESTS * SHARE), self._most_within_a_minute()
        if most > allowed:
            found.append(f"{most} requests within a minute, {allowed} are allowed")
        return found

    def _most_within_a_minute(self) -> int:
        """Of those to the mailbox, each part of a batch by itself."""
        record = [
            one.at
            for one in self.world.stats.record
            if one.operation.startswith("graph.") and one.operation != "graph.batch"
        ]
        return max((sum(at <= other < at + 60 for other in record) for at in record), default=0)
