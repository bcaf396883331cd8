"""An Outlook mailbox and calendar that change at random (tests/journeys/machine.py)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import pytest

from bench.outlook_cases import WIRE
from bench.outlook_plot import meet
from bench.outlook_stage import OutlookStage
from bench.plot import letter
from bench.stage import BUYER, REP
from models.account import request_audit
from sandbox.microsoft.diary import Diary, Event
from sandbox.microsoft.outlook import Item, OutlookBox
from sandbox.microsoft.presets import MICROSOFT
from tests.journeys.machine import PEOPLE, Fault, Machine, play

REQUESTS = 2_000
"""A minute; more than in the rehearsals, so that most of the time is not spent waiting."""
RARE = ("F43", "F44", "F45", "F46", "F51", "F52")
"""They end a grant or shut a mailbox for hours: once each."""
OFTEN = ("F47", "F48", "F49", "F50", "F53", "F53M", "F54", "F55", "F56", "F57M")
PLAYED = {"F28": ("",), "F29": ("", "gzip"), "F30": ("", "close")}
UNPLAYED = [("F45", "admin"), ("F47", "timeout")]
"""One is answered to a browser, for the other real time passes."""
FAULTS = [
    *((name, variant) for name, variants in PLAYED.items() for variant in variants),
    *((name, "") for name in RARE),
    *((name, variant) for name in OFTEN for variant in ("", *MICROSOFT[name].variants)),
    *(("F57", variant) for variant in ("unknown", "bare")),
]
MAIL_VERBS = [
    *("deliver", "deliver", "deliver_with_an_old_date", "deliver_late", "move", "move", "move_there_and_back"),
    *("throw", "throw", "rescue", "rescue", "purge", "restore", "mark", "mark", "write_a_draft", "write_a_draft"),
    *("send_a_draft", "send_a_draft", "file_a_draft", "throw_a_draft_away", "make_a_folder", "rename_a_folder"),
    *("move_a_folder", "drop_a_folder", "let_a_folder_expire", "let_all_folders_expire"),
]
MEETING_VERBS = [
    *("make_a_meeting", "make_a_meeting", "make_a_series", "make_a_series", "move_a_meeting", "move_a_series"),
    *("call_off", "call_off", "remove", "remove", "move_an_occurrence", "move_an_occurrence"),
    *("call_an_occurrence_off", "remove_an_occurrence", "remove_an_occurrence_silently", "change_this_and_following"),
    *("drop_without_a_trace", "let_tokens_expire", "file_elsewhere"),
]
PLACES = ("inbox", "archive", "Customers", "Customers/North", "Customers/South", "Drawer")
DRAFTS = ("drafts", "outbox")


class OutlookMachine(Machine):
    stage: OutlookStage
    mail_verbs: ClassVar[list[str]] = MAIL_VERBS
    meeting_verbs: ClassVar[list[str]] = MEETING_VERBS
    faults: ClassVar[list[Fault]] = [one for one in FAULTS if one not in UNPLAYED]
    sign_in: ClassVar[str] = "entra.token"
    looks: ClassVar[int] = 2
    """The first may have to finish the round of a worker that died, which knows nothing of folders made since."""
    silent = False
    """An occurrence was taken out of its series without a word."""

    def begin(self, stage: OutlookStage) -> None:
        stage.be_poor(REQUESTS)

    def tune(self, size: int, how: int) -> None:
        knobs = self.stage.microsoft.knobs
        knobs.page_size = size
        knobs.sparse_updates, knobs.lose_returned = bool(how % 2), bool(how // 2 % 2)
        knobs.sent_delay = (0.0, 5.0)[how // 4 % 2]

    def receive(self, sender: str, to: str, days: float) -> None:
        at = (self.stage.now - timedelta(days=days)).timestamp()
        folder = "sentitems" if sender == REP else PLACES[int(days) % len(PLACES)]
        self.box.deliver(letter(self.stage, sender, to, days=days), folder, at=at, history=False)

    def plan(self, name: str, variant: str, nth: int, times: int) -> None:
        given = {"operation": WIRE[name]} if name in WIRE else {}
        planned = self.stage.world.faults.add(
            name, variant=variant, nth=nth, times=1 if name in RARE else times, **given
        )
        if self.sign_in in planned.operation.split("|"):
            self.stage.forget_access()

    def mend(self) -> None:
        if not self.silent or not self.stage.account_id:
            return
        with self.stage.house.db.write() as session:
            request_audit(session, self.stage.account_id, now=self.stage.now)

    # -- people at their mail

    @property
    def box(self) -> OutlookBox:
        return self.stage.outlook

    def deliver(self, which: int, how: int) -> None:
        sender, to = PEOPLE[how % 4]
        self.box.deliver(letter(self.stage, sender, to), "sentitems" if sender == REP else PLACES[which % len(PLACES)])

    def deliver_late(self, which: int, how: int) -> None:
        """Graph shows it some seconds after it came."""
        self.box.deliver(letter(self.stage, *PEOPLE[how % 4]), "inbox", delay=1.0 + which % 90)

    def deliver_with_an_old_date(self, which: int, how: int) -> None:
        days = 1 + which % 300
        at = (self.stage.now - timedelta(days=days)).timestamp()
        self.box.deliver(letter(self.stage, *PEOPLE[how % 4], days=days), PLACES[which % len(PLACES)], at=at)

    def move(self, which: int, how: int) -> None:
        if item := self._mail(which):
            self.box.move(item.key, PLACES[how % len(PLACES)])

    def move_there_and_back(self, which: int, how: int) -> None:
        """Between two looks maybe (F54)."""
        if item := self._mail(which):
            home = item.folder
            self.box.move(item.key, PLACES[how % len(PLACES)])
            self.box.move(item.key, home)

    def throw(self, which: int, how: int) -> None:
        if item := self._mail(which):
            self.box.move(item.key, ("deleteditems", "junkemail")[how % 2])

    def rescue(self, which: int, how: int) -> None:
        if item := self._mail(which, thrown=True):
            self.box.move(item.key, PLACES[how % len(PLACES)])

    def purge(self, which: int, how: int) -> None:
        """From where it lies, or as Deleted Items are emptied."""
        if item := self._mail(which, thrown=bool(how % 2)):
            self.box.purge(item.key)

    def restore(self, which: int, how: int) -> None:
        gone = sorted(key for key, one in self.box.gone.items() if not one.draft)
        if gone:
            self.box.restore(gone[which % len(gone)])

    def mark(self, which: int, how: int) -> None:
        if item := self._mail(which, thrown=how % 5 == 0):
            if how % 3 == 0:
                self.box.mark(item.key, read=not item.read)
            elif how % 3 == 1:
                self.box.categorise(item.key, "Customers", f"Shelf {how}")
            else:
                self.box.flag(item.key, ("flagged", "complete", "notFlagged")[which % 3])

    def write_a_draft(self, which: int, how: int) -> None:
        drafts = self._drafts()
        draft = drafts[which % len(drafts)] if drafts and how % 3 else None
        self.box.draft_save(letter(self.stage, REP, BUYER), draft)

    def send_a_draft(self, which: int, how: int) -> None:
        if drafts := self._drafts():
            self.box.draft_send(drafts[which % len(drafts)])

    def file_a_draft(self, which: int, how: int) -> None:
        """A draft in a folder of mail is a draft."""
        if drafts := self._drafts():
            self.box.move(drafts[which % len(drafts)], PLACES[how % len(PLACES)])

    def throw_a_draft_away(self, which: int, how: int) -> None:
        if drafts := self._drafts():
            self.box.delete(drafts[which % len(drafts)])

    def make_a_folder(self, which: int, how: int) -> None:
        """Mail comes into it at once, as by a rule."""
        self.box.deliver(letter(self.stage, *PEOPLE[(0, 2, 3)[how % 3]]), f"Customers/New {which % 7}")

    def rename_a_folder(self, which: int, how: int) -> None:
        if folder := self._folder(which):
            self.box.rename_folder(folder, f"Name {how}")

    def move_a_folder(self, which: int, how: int) -> None:
        """Under another one, or thrown away with all that is in it, or taken out of there."""
        if folder := self._folder(which):
            self.box.move_folder(folder, ("msgfolderroot", "deleteditems", "archive")[how % 3])

    def drop_a_folder(self, which: int, how: int) -> None:
        folder = self._folder(which)
        if folder and all(one.parent != folder for one in self.box.folders.values()):
            self.box.drop_folder(folder)

    def let_a_folder_expire(self, which: int, how: int) -> None:
        places = sorted(self.box.folders)
        self.box.expire_delta(places[which % len(places)])

    def let_all_folders_expire(self, which: int, how: int) -> None:
        self.box.expire_delta()

    def _mail(self, which: int, *, thrown: bool = False) -> Item | None:
        """A message that is no draft."""
        aside = {self.box.known[name].id for name in ("deleteditems", "junkemail")}
        found = [one for _, one in sorted(self.box.items.items()) if not one.draft and (one.folder in aside) == thrown]
        return found[which % len(found)] if found else None

    def _drafts(self) -> list[str]:
        return sorted(key for key, one in self.box.items.items() if one.draft)

    def _folder(self, which: int) -> str:
        """One that a person made."""
        there = {one.id for one in self.box.tree.known.values()}
        made = sorted(one.id for one in self.box.folders.values() if one.id not in there and one.serial)
        return made[which % len(made)] if made else ""

    # -- people at their meetings

    @property
    def diary(self) -> Diary:
        return self.stage.outlook.calendar

    def make_a_meeting(self, which: int, how: int) -> None:
        more: dict[str, Any] = {"sensitivity": "private"} if how % 5 == 0 else {}
        meet(self.stage, f"Talk {which}", self.soon(which), organizer=(REP, BUYER)[how % 2], **more)

    def make_a_series(self, which: int, how: int) -> None:
        text = f"FREQ={('DAILY', 'WEEKLY')[how % 2]};COUNT={2 + how % 11}"
        meet(self.stage, f"Series {which}", self.soon(which % 200), organizer=(REP, BUYER)[how // 2 % 2], rule=text)

    def move_a_meeting(self, which: int, how: int) -> None:
        if event := self._event(which, series=False):
            self.diary.change(event.key, start=self.soon(how))

    def move_a_series(self, which: int, how: int) -> None:
        if event := self._event(which, series=True):
            self.diary.change(event.key, start=self.soon(how % 200))

    def call_off(self, which: int, how: int) -> None:
        """It stays where it is, as cancelled."""
        if event := self._event(which, series=bool(how % 2)):
            self.diary.cancel(event.key)

    def remove(self, which: int, how: int) -> None:
        if event := self._event(which, series=bool(how % 2)):
            self.diary.remove(event.key)

    def move_an_occurrence(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self.diary.change(one.key, start=self.soon(which))

    def call_an_occurrence_off(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self.diary.cancel(one.key)

    def remove_an_occurrence(self, which: int, how: int) -> None:
        if one := self._occurrence(which, how):
            self.diary.remove(one.key)

    def remove_an_occurrence_silently(self, which: int, how: int) -> None:
        """No delta tells of it (F57)."""
        self.stage.microsoft.knobs.silent_cancellation = self.silent = True
        self.remove_an_occurrence(which, how)
        self.stage.microsoft.knobs.silent_cancellation = False

    def change_this_and_following(self, which: int, how: int) -> None:
        one = self._occurrence(which, how)
        series = self.diary.events.get(one.master) if one else None
        if one and series and one.original and one.original > series.start:
            until = one.original - timedelta(seconds=1)
            rule = ";".join(part for part in series.rule.split(";") if part[:5] not in ("COUNT", "UNTIL"))
            self.diary.change(series.key, rule=f"{rule};UNTIL={until:%Y%m%dT%H%M%SZ}")
            meet(self.stage, f"Series {which} anew", one.original, rule=f"{rule};COUNT={2 + how % 5}")

    def drop_without_a_trace(self, which: int, how: int) -> None:
        """As after a calendar was restored: the tokens are worth nothing, and the list has no removals."""
        self.remove(which, how)
        self.diary.expire_delta()

    def let_tokens_expire(self, which: int, how: int) -> None:
        self.diary.expire_delta()

    def file_elsewhere(self, which: int, how: int) -> None:
        """Into a calendar that is not followed, or back from there."""
        other = self.diary.calendar("Birthdays")
        away = [one.key for one in self.diary.events.values() if one.calendar == other]
        if away and how % 2:
            self.diary.move(away[which % len(away)], self.diary.default)
        elif event := self._event(which, series=False):
            self.diary.move(event.key, other)

    def _event(self, which: int, *, series: bool) -> Event | None:
        """A meeting that is on: a series, or one that stands alone and lies ahead."""
        found = [
            one
            for one in self.diary.events.values()
            if one.calendar == self.diary.default
            and not (one.cancelled or one.master)
            and bool(one.rule) == series
            and (series or one.start > self.stage.now)
        ]
        return found[which % len(found)] if found else None

    def _occurrence(self, which: int, nth: int) -> Event | None:
        """One to come of a series that is on."""
        series = self._event(which, series=True)
        if series is None:
            return None
        low, high = self.stage.now, self.stage.now + timedelta(days=55)
        ahead = [one for one in self.diary.within(series, low, high) if not one.cancelled and one.start > low]
        return ahead[nth % len(ahead)] if ahead else None


def test_in_the_end_the_house_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    played = play(OutlookMachine, OutlookStage)
    with capsys.disabled():
        print(f"\n{played}")  # noqa: T201
