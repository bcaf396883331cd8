"""From a request to an answer.

Every request passes the same gates in the same order: who asks, is a fault planned, what have they spent, and only then the
service itself (sandbox/services.py).
"""

from __future__ import annotations

from sandbox import paths
from sandbox.batch import MOST, join_batch, split_batch
from sandbox.oauth import Grant
from sandbox.presets import calendar_quota, quota_exceeded, too_many_at_once, too_many_parts
from sandbox.quota import COSTS, Seen
from sandbox.services import Services
from sandbox.wire import Answer, Refusal, Request, not_found, unauthenticated
from sandbox.world import World


class Router:
    """Answers a request of the APIs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.services = Services(world)

    def answer(self, request: Request) -> Answer:
        """The answer, faults included; never raises Refusal."""
        more, user = paths.find(request)
        seen = Seen(self.world.clock.now(), request.method, request.operation, "", 0, item=request.item)
        seen.part_of_batch, seen.form = request.part_of_batch, request.one("format")
        seen.quota_user = request.one("quotaUser") or request.headers.get("x-goog-quota-user", "")
        try:
            answer = self._gated(request, more, user, seen)
        except Refusal as refusal:
            answer = refusal.answer
        self._record(request, answer, seen)
        return answer

    def _record(self, request: Request, answer: Answer, seen: Seen) -> None:
        seen.account, seen.status = request.account, answer.status
        if self.world.knobs.log_requests:
            self.world.stats.write(seen)

    def _gated(self, request: Request, more: str, user: str, seen: Seen) -> Answer:
        if not request.operation:
            raise not_found()
        grant = self.world.grants.read(_bearer(request))
        request.account = grant.email if grant else ""
        rule = self.world.faults.pick(request)
        if rule is not None:
            seen.fault = rule.fault
            replaced = self.world.faults.before(rule, request)
            if replaced is not None:
                return replaced
        if grant is None:
            raise unauthenticated()
        if request.operation.endswith(".batch"):
            answer = self._batch(request)
        else:
            answer = self._counted(request, grant, more, user, seen)
        return answer if rule is None else self.world.faults.after(rule, request, answer)

    def _batch(self, request: Request) -> Answer:
        parts = split_batch(request)
        if len(parts) > MOST:
            return too_many_parts(len(parts))
        limit, stats = self.world.knobs.concurrency_limit, self.world.stats
        entered = 0
        answers: list[tuple[str, Answer]] = []
        try:
            for content_id, part in parts:
                if stats.enter(request.account, limit):
                    entered += 1
                    answers.append((content_id, self.answer(part)))
                else:
                    answers.append((content_id, self._turned_away(part, request.account)))
        finally:
            for _ in range(entered):
                stats.leave(request.account)
        return join_batch(answers)

    def _turned_away(self, part: Request, account: str) -> Answer:
        answer = too_many_at_once()
        paths.find(part)
        part.account = account
        seen = Seen(self.world.clock.now(), part.method, part.operation, "", 0, item=part.item, part_of_batch=True)
        self._record(part, answer, seen)
        return answer

    def _counted(self, request: Request, grant: Grant, more: str, user: str, seen: Seen) -> Answer:
        knobs, stats = self.world.knobs, self.world.stats
        if request.part_of_batch:
            return self._paid(request, grant, more, user, seen)
        if not stats.enter(grant.email, knobs.concurrency_limit):
            return too_many_at_once()
        try:
            return self._paid(request, grant, more, user, seen)
        finally:
            stats.leave(grant.email)

    def _paid(self, request: Request, grant: Grant, more: str, user: str, seen: Seen) -> Answer:
        knobs = self.world.knobs
        calendar = request.operation.startswith("calendar.")
        if calendar or request.operation.startswith("gmail."):
            seen.units = 1 if calendar else COSTS[knobs.cost_profile].get(request.operation, 1)
            most = (knobs.calendar_per_minute if calendar else knobs.units_per_minute) if knobs.enforce_quota else None
            if not self.world.stats.spend(_bucket(grant, seen), seen.units, most, calendar=calendar):
                seen.units = 0
                return calendar_quota() if calendar else quota_exceeded()
        return self.services.answer(grant, request, more, user)


def _bucket(grant: Grant, seen: Seen) -> str:
    """Whose minute pays. A service account is one user, whoever it acts for, unless the caller names a quota user."""
    return (seen.quota_user or grant.via) if grant.via else grant.email


def _bearer(request: Request) -> str:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.one("access_token")
