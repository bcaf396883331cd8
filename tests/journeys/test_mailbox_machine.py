"""A Google mailbox and calendar that change at random (tests/journeys/machine.py)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from bench.plot import letter, meet
from bench.stage import BUYER, REP, Stage
from sandbox.almanac import Calendar
from sandbox.series import Event, moment, read_moment
from tests.journeys.machine import PEOPLE, Fault, Machine, play

UNITS = 2_000
"""A minute; more than in the rehearsals, so that most of the time is not spent waiting."""
FAULTS = [
    *(("F02", ""), ("F09", ""), ("F10", ""), ("F11", ""), ("F12", ""), ("F18", ""), ("F19", ""), ("F20", "")),
    *(("F21", ""), ("F22", ""), ("F25", ""), ("F26", ""), ("F27", ""), ("F27", "401"), ("F27", "503"), ("F28", "")),
    *(("F29", ""), ("F29", "gzip"), ("F30", ""), ("F30", "close"), ("F33", ""), ("F34", ""), ("F35", "")),
    *(("F36", ""), ("F36", "empty"), ("F37", ""), ("F38", ""), ("F39", ""), ("F39", "429"), ("RA", ""), ("RA", "429")),
    *(("F01", ""), ("F08", ""), ("F13", ""), ("F15", ""), ("F16", "")),
]
MAIL_VERBS = [
    *("deliver", "deliver", "deliver_with_an_old_date", "label", "throw", "throw", "rescue", "rescue", "delete"),
    *("undelete", "write_a_draft", "write_a_draft", "send_a_draft", "throw_a_draft_away", "let_history_expire"),
]
MEETING_VERBS = [
    *("make_a_meeting", "make_a_meeting", "make_a_series", "make_a_series", "move_a_meeting", "move_a_series"),
    *("call_off", "move_an_occurrence", "move_an_occurrence", "call_an_occurrence_off", "change_this_and_following"),
    *("drop_without_a_trace", "let_tokens_expire", "unshare_or_share"),
]


class GoogleMachine(Machine):
    stage: Stage
    mail_verbs: ClassVar[list[str]] = MAIL_VERBS
    meeting_verbs: ClassVar[list[str]] = MEETING_VERBS
    faults: ClassVar[list[Fault]] = FAULTS
    sign_in: ClassVar[str] = "oauth.token"

    def begin(self, stage: Stage) -> None:
        stage.be_poor(UNITS)

    def tune(self, size: int, how: int) -> None:
        self.stage.world.knobs.page_size = size

    def receive(self, sender: str, to: str, days: float) -> None:
        at = (self.stage.now - timedelta(days=days)).timestamp()
        self.stage.box.deliver(letter(self.stage, sender, to, days=days), at=at, history=False)

    def mend(self) -> None:
        self.calendar.shared = True

    # -- people at their mail and their meetings

    def deliver(self, which: int, how: int) -> None:
        self.stage.box.deliver(letter(self.stage, *PEOPLE[how % 4]))

    def deliver_with_an_old_date(self, which: int, how: int) -> None:
        at = (self.stage.now - timedelta(days=1 + which % 300)).timestamp()
        self.stage.box.deliver(letter(self.stage, *PEOPLE[how % 4], days=1 + which % 300), at=at)

    def label(self, which: int, how: int) -> None:
        name = ("INBOX", "STARRED", "Customers", "UNREAD")[how % 4]
        if key := self._mail(which):
            self.stage.box.label(key, [name] if how % 8 < 4 else [], [] if how % 8 < 4 else [name])

    def throw(self, which: int, how: int) -> None:
        if key := self._mail(which):
            self.stage.box.label(key, [("TRASH", "SPAM")[how % 2]], ["INBOX"])

    def rescue(self, which: int, how: int) -> None:
        if key := self._mail(which, thrown=True):
            self.stage.box.label(key, ["INBOX"] if how % 2 else [], ["TRASH", "SPAM"])

    def delete(self, which: int, how: int) -> None:
        if key := self._mail(which, thrown=bool(how % 2)):
            self.stage.box.delete(key)

    def undelete(self, which: int, how: int) -> None:
        gone = sorted(key for key, one in self.stage.box.gone.items() if "DRAFT" not in one.labels)
        if gone:
            self.stage.box.undelete(gone[which % len(gone)])

    def write_a_draft(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts)
        draft = drafts[which % len(drafts)] if drafts and how % 3 else None
        self.stage.box.draft_save(letter(self.stage, REP, BUYER), draft)

    def send_a_draft(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts)
        if drafts:
            self.stage.box.draft_send(drafts[which % len(drafts)])

    def throw_a_draft_away(self, which: int, how: int) -> None:
        drafts = sorted(self.stage.box.drafts.values())
        if drafts:
            self.stage.box.delete(drafts[which % len(drafts)])

    def let_history_expire(self, which: int, how: int) -> None:
        self.stage.box.expire_history()

    def make_a_meeting(self, which: int, how: int) -> None:
        more: dict[str, Any] = {"visibility": "private"} if how % 5 == 0 else {}
        meet(self.stage, f"Talk {which}", self.soon(which), **more)

    def make_a_series(self, which: int, how: int) -> None:
        text = f"RRULE:FREQ={('DAILY', 'WEEKLY')[how % 2]};COUNT={2 + how % 11}"
        meet(self.stage, f"Series {which}", self.soon(which % 200), recurrence=[text])

    def move_a_meeting(self, which: int, how: int) -> None:
        if event := self._event(which, series=False):
            self._move(event["id"], how)

    def move_a_series(self, which: int, how: int) -> None:
        if event := self._event(which, series=True):
            self._move(event["id"], how % 200)

    def call_off(self, which: int, how: int) -> None:
        if event := self._event(which, series=bool(how % 2)):
            self.stage.world.almanac.cancel(self.calendar, event["id"])

    def move_an_occurrence(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self._move(one["id"], which)

    def call_an_occurrence_off(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self.stage.world.almanac.cancel(self.calendar, one["id"])

    def change_this_and_following(self, which: int, how: int) -> None:
        one = self._occurrence(which, how)
        master = self.calendar.events.get(str(one.get("recurringEventId"))) if one else None
        if one and master and read_moment(one["originalStartTime"])[0] > read_moment(master["start"])[0]:
            at = read_moment(one["originalStartTime"])[0]
            self.stage.world.almanac.split(self.calendar, master["id"], at, summary=f"{master['summary']} anew")

    def drop_without_a_trace(self, which: int, how: int) -> None:
        """As after a calendar was cleared: the tokens are worth nothing, and the list has no tombstone."""
        if event := self._event(which, series=False):
            self.stage.world.almanac.drop(self.calendar, event["id"])
            self.stage.world.almanac.expire_tokens()

    def let_tokens_expire(self, which: int, how: int) -> None:
        self.stage.world.almanac.expire_tokens()

    def unshare_or_share(self, which: int, how: int) -> None:
        self.calendar.shared = not self.calendar.shared

    # -- choosing

    @property
    def calendar(self) -> Calendar:
        return self.stage.world.almanac.calendar(REP)

    def _mail(self, which: int, *, thrown: bool = False) -> str:
        keys = sorted(
            key
            for key, one in self.stage.box.messages.items()
            if "DRAFT" not in one.labels and bool({"TRASH", "SPAM"} & one.labels) == thrown
        )
        return keys[which % len(keys)] if keys else ""

    def _event(self, which: int, *, series: bool) -> Event | None:
        """A meeting that is on: a series, or one that stands alone and lies ahead."""
        found = [
            one
            for _, one in sorted(self.calendar.events.items())
            if one["status"] == "confirmed"
            and not one.get("recurringEventId")
            and bool(one.get("recurrence")) == series
            and (series or read_moment(one["start"])[0] > self.stage.now)
        ]
        return found[which % len(found)] if found else None

    def _occurrence(self, which: int, nth: int) -> Event | None:
        """One to come of a series that is on."""
        master = self._event(which, series=True)
        if master is None:
            return None
        low, high = self.stage.now, self.stage.now + timedelta(days=55)
        ahead = [
            one
            for one in self.stage.world.almanac.occurrences(self.calendar, master, low, high)
            if one["status"] == "confirmed" and read_moment(one["start"])[0] > low
        ]
        return ahead[nth % len(ahead)] if ahead else None

    def _move(self, event_id: str, hours: int) -> None:
        at = self.soon(hours)
        changes = {"start": moment(at), "end": moment(at + timedelta(hours=1))}
        self.stage.world.almanac.change(self.calendar, event_id, **changes)


def test_in_the_end_the_house_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    played = play(GoogleMachine, Stage)
    with capsys.disabled():
        print(f"\n{played}")  # noqa: T201
