"""Large mailboxes quickly: the facts of each mail are kept, its text is made when somebody asks for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

from sandbox.mailbox import Mailbox
from sandbox.parcel import Envelope, Person

MONTH = 30.44 * 86_400
_LISTS = tuple(f"list{number}" for number in range(30))
_SUBJECTS = ("Delivery times", "Your question", "The quotation", "Next week", "Numbers for the board", "A small thing")
_SENTENCES = (
    "The numbers you asked for are with our planner, and I will have them by Thursday.",
    "We looked at the plan again and the early round is the one that hurts.",
    "Could you tell me how long the set-up takes for a depot of our size?",
    "I have passed your note on; the answer will come from my colleague.",
    "Nothing urgent from our side, the trial is going as it should.",
    "Please use the attached list, the old one had last year's addresses in it.",
)


@dataclass(slots=True)
class Filled:
    """What was put in. `relevant` are the ids of mails from or to one of the people."""

    count: int = 0
    relevant: list[str] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class _Letter:
    """A mail by its number; calling it makes the bytes, the same each time."""

    box: str
    number: int
    ours: bool
    person: Person
    machine: bool
    sent_at: int
    subject: str

    def __call__(self) -> bytes:
        mine, theirs = self.box, self.person.address
        sender, to = (mine, theirs) if self.ours else (theirs, mine)
        date = format_datetime(datetime.fromtimestamp(self.sent_at, UTC))
        head = [f"From: {sender}", f"To: {to}", f"Subject: {self.subject}", f"Date: {date}"]
        head.append(f"Message-ID: <{self.message_id}>")
        if self.machine:
            domain = theirs.partition("@")[2]
            head += [f"List-Id: <news.{domain}>", f"List-Unsubscribe: <https://{domain}/u>", "Precedence: bulk"]
        words = [_SENTENCES[(self.number * step) % len(_SENTENCES)] for step in (1, 3, 5)]
        return ("\r\n".join([*head, "Content-Type: text/plain; charset=utf-8", "", *words]) + "\r\n").encode()

    @property
    def message_id(self) -> str:
        return f"bulk.{self.number}@{(self.box if self.ours else self.person.address).partition('@')[2]}"


def fill(
    box: Mailbox,
    count: int,
    *,
    relevant_share: float = 0.1,
    people: Sequence[str],
    seed: int = 7,
    months: float = 12.0,
) -> Filled:
    """`count` mails of the last `months`, oldest first, without history records (they were always there).

    `relevant_share` of them are with one of `people` (addresses), half of those sent by the mailbox; the others are
    newsletters and notices of thirty senders. The same seed makes the same mails. Some 20 microseconds and 1.2 kB a mail.
    """
    chance = random.Random(seed)
    own = Person(box.email, box.email)
    known = [Person(address.lower(), address.lower()) for address in people]
    senders = [Person(f"{name}@news-{name}.example", f"{name}@news-{name}.example") for name in _LISTS]
    begin = box.clock.now() - months * MONTH
    step = months * MONTH / max(count, 1)
    filled = Filled()
    for number in range(count):
        relevant = bool(known) and chance.random() < relevant_share
        person = chance.choice(known if relevant else senders)
        ours = relevant and chance.random() < 0.5
        at = begin + step * (number + chance.random() * 0.9)
        subject = f"{_SUBJECTS[number % len(_SUBJECTS)]} {number // 4}"
        letter = _Letter(box.email, number, ours, person, not relevant, int(at), subject)
        envelope = Envelope((own,) if ours else (person,), (person,) if ours else (own,), subject=subject)
        envelope.message_id, envelope.sent_at, envelope.size = letter.message_id, float(int(at)), 600
        labels = _SENT if ours else (_IN if relevant else _PROMOTED)
        message = box.deliver(letter, labels, at, envelope=envelope, history=False)
        filled.count += 1
        if relevant:
            filled.relevant.append(message)
    return filled


_SENT = ("SENT",)
_IN = ("INBOX",)
_PROMOTED = ("CATEGORY_PROMOTIONS", "INBOX")
