"""The other nine tenths of a mailbox: newsletters, notices, colleagues, family, strangers, absence notes, bounces."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sandbox.team import words_of
from sandbox.team.letters import Letter
from sandbox.team.post import box_of
from sandbox.team.story import REPS
from sandbox.world import World

_LISTS = {
    "The Monday Manifest": "news@mondaymanifest.example",
    "Ten minutes of sales": "hello@tenminutes.example",
    "Freight & Floor": "editor@freightandfloor.example",
    "Depot Academy": "events@depotacademy.example",
    "Software round-up": "digest@softwareroundup.example",
}
_FAMILY = {
    "rae@brightpath.example": ("Mum", "gillian.fenwick52@gmail.com"),
    "jonas@brightpath.example": ("Eva", "eva.vries@outlook.com"),
    "mila@brightpath.example": ("Diego", "diego.soto.88@gmail.com"),
}
_STRANGERS = (("Petra Holm", "petra.holm@kestrel-ambulance.example"), ("Gordon Blythe", "gordon@autumnmeeting.example"))
_STRANGERS += (("Marianne Ferris", "m.ferris@ostley-group.example"),)
_PITCHES = (("Chad Benson", "chad@pipelinerocket.example"), ("Leaf & Co", "offers@leafandco.example"))


class Noise:
    """Fills the mailboxes between two moments (aware UTC). Absence notes and bounces come from `companies`."""

    def __init__(
        self, world: World, chance: random.Random, serial: Iterator[int], companies: Sequence[words_of.Company]
    ) -> None:
        self.world, self.chance, self.serial, self.companies = world, chance, serial, companies

    def fill(self, start: datetime, end: datetime) -> None:
        days = (end - start).days
        for rep in REPS:
            for number in range(days * 6 // 10):
                at = start + timedelta(days=number / 0.6, hours=self.chance.uniform(0, 9))
                if at < end:
                    self.one(rep, at)

    def one(self, rep: tuple[str, str, str], at: datetime) -> None:
        """One mail of no business value, or the kind that must be kept apart."""
        kinds = ("newsletter",) * 6 + ("notification",) * 3 + ("internal",) * 6 + ("private",) * 3
        kind = self.chance.choice((*kinds, "stranger", "pitch", "away", "bounce"))
        getattr(self, f"_{kind}")(rep, at)

    def _newsletter(self, rep: tuple[str, str, str], at: datetime) -> None:
        note = self.chance.choice(words_of.notes("newsletter"))
        name, address = self.chance.choice(list(_LISTS.items()))
        headers = {
            "List-Id": f"<news.{address.partition('@')[2]}>",
            "List-Unsubscribe": f"<https://{address.partition('@')[2]}/u>",
        }
        self._put(
            rep, (name, address), note, at, headers | {"Precedence": "bulk"}, ["INBOX", "UNREAD", "CATEGORY_PROMOTIONS"]
        )

    def _notification(self, rep: tuple[str, str, str], at: datetime) -> None:
        note = self.chance.choice(words_of.notes("notification"))
        self._put(
            rep,
            ("Notices", "no-reply@notices.example"),
            note,
            at,
            {"Auto-Submitted": "auto-generated"},
            ["INBOX", "CATEGORY_UPDATES"],
        )

    def _internal(self, rep: tuple[str, str, str], at: datetime) -> None:
        note = self.chance.choice(words_of.notes("internal"))
        sender = self.chance.choice([one for one in REPS if one != rep])
        letter = self._letter((sender[0], sender[1]), [(one[0], one[1]) for one in REPS if one != sender], note, at, {})
        raw = letter.bytes()
        for one in REPS:
            labels = ["SENT"] if one == sender else ["INBOX"]
            box_of(self.world, one[1]).deliver(raw, labels, at.timestamp(), history=False)

    def _private(self, rep: tuple[str, str, str], at: datetime) -> None:
        self._put(rep, _FAMILY[rep[1]], self.chance.choice(words_of.notes("private")), at, {}, ["INBOX"])

    def _stranger(self, rep: tuple[str, str, str], at: datetime) -> None:
        self._put(
            rep, self.chance.choice(_STRANGERS), self.chance.choice(words_of.notes("stranger")), at, {}, ["INBOX"]
        )

    def _pitch(self, rep: tuple[str, str, str], at: datetime) -> None:
        self._put(rep, self.chance.choice(_PITCHES), self.chance.choice(words_of.notes("pitch")), at, {}, ["INBOX"])

    def _away(self, rep: tuple[str, str, str], at: datetime) -> None:
        person = self.chance.choice([one for company in self.companies for one in company.people])
        note = words_of.notes("away")[0]
        day = (at + timedelta(days=9)).strftime("%d %B")
        filled = words_of.Note(
            note.subject.format(subject="our call"), tuple(one.format(day=day) for one in note.paragraphs)
        )
        headers = {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"}
        self._put(rep, (person.name, person.email), filled, at, headers, ["INBOX"])

    def _bounce(self, rep: tuple[str, str, str], at: datetime) -> None:
        note = words_of.notes("bounce")[0]
        address = f"old.contact{self.chance.randint(1, 99)}@{self.chance.choice(self.companies).domain}"
        filled = words_of.Note(note.subject, tuple(one.format(address=address) for one in note.paragraphs))
        sender = ("Mail Delivery System", "mailer-daemon@mx.brightpath.example")
        self._put(rep, sender, filled, at, {"Auto-Submitted": "auto-replied", "Return-Path": "<>"}, ["INBOX"])

    def _put(
        self,
        rep: tuple[str, str, str],
        sender: tuple[str, str],
        note: words_of.Note,
        at: datetime,
        headers: dict[str, str],
        labels: list[str],
    ) -> None:
        letter = self._letter(sender, [(rep[0], rep[1])], note, at, headers)
        box_of(self.world, rep[1]).deliver(letter.bytes(), labels, at.timestamp(), history=False)

    def _letter(
        self,
        sender: tuple[str, str],
        to: list[tuple[str, str]],
        note: words_of.Note,
        at: datetime,
        headers: dict[str, str],
    ) -> Letter:
        text = "\n\n".join(note.paragraphs).replace("{site}", "Leeds") + "\n"
        identity = f"{next(self.serial)}.{self.chance.getrandbits(40):x}@{sender[1].partition('@')[2]}"
        return Letter(sender, to, note.subject, text, at, identity, headers=headers)
