"""The page of golden suggestions, read: each row a deal, its timeline as the connectors read it, and what is suggested."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from connectors.mail import read_message
from connectors.parts import part_from_rfc822
from tests.worker.golden import Row, tables
from worker import signals, suggest
from worker.timeline_view import DealView, Line, Proposal

PAGE = Path(__file__).with_name("golden_suggestions.md")
REP, MATE, BUYER = "Rae Rep <rae@acme.example>", "Moe Mate <moe@acme.example>", "Bea Buyer <bea@northwind.example>"
SENDERS = {
    "rep": REP,
    "mate": MATE,
    "buyer": BUYER,
    "away": BUYER,
    "chief": "Lou Chief <lou@northwind.example>",
    "stranger": "Bea Buyer <bea.buyer@nowhere.example>",
    "news": "Northwind News <news@northwind.example>",
    "robot": "SignFast <no-reply@signfast.example>",
    "bounce": "Mail Delivery System <MAILER-DAEMON@northwind.example>",
}
HEADERS = {
    "away": {"Auto-Submitted": "auto-replied", "X-Auto-Response-Suppress": "All"},
    "news": {
        "List-Unsubscribe": "<https://northwind.example/u>",
        "List-Id": "<news.northwind.example>",
        "Precedence": "bulk",
    },
    "robot": {"Auto-Submitted": "auto-generated"},
    "bounce": {"Auto-Submitted": "auto-replied"},
}
SUBJECTS = {"away": "Automatic reply: Rollout", "news": "Spring news", "bounce": "Undelivered Mail Returned to Sender"}
MIMES = {"pdf": "application/pdf", "png": "image/png", "docx": "application/msword"}
_HEAD = re.compile(
    r"(?:(?P<day>[A-Z][a-z]{2} \d{1,2}) )?(?P<who>[a-z]+)(?P<tags>(?: \{[^{}]*\})*): ?(?P<text>.*)", re.S
)
_TAG = re.compile(r"\{(\w+)(?:: ([^{}]*))?\}")
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.S)


@dataclass(frozen=True)
class Story:
    """One row of the page. ``evidence``: the words that must be quoted, "" where the row names none."""

    deal: DealView
    lines: tuple[Line, ...]
    now: datetime
    evidence: str

    def read(self) -> dict[int, tuple[signals.Signal, ...]]:
        return {line.id: signals.read(line, deal_name=self.deal.name) for line in self.lines}

    def suggested(self) -> Proposal | None:
        return suggest.decide(self.deal, self.lines, self.now, self.read())


def stories() -> Iterator[tuple[str, Row]]:
    """(a name that says where it stands, the row)."""
    for heading, rows in tables(PAGE).items():
        for row in rows:
            yield f"{heading}, {row['lang']}: {row['situation']}", row


def told(row: Row) -> Story:
    """A row as the rules see it."""
    timeline, _, judged = row["timeline"].partition(" => ")
    bold = _BOLD.search(timeline)
    lines = tuple(_lines(_BOLD.sub(r"\1", timeline)))
    now = _day(judged) if judged else max(line.end or line.at for line in lines) + timedelta(hours=1)
    meaning, _, numbers = row["deal"].partition(" ")
    days, _, patience = (numbers or "10/30").partition("/")
    since = now - timedelta(days=int(days))
    deal = DealView(1, "Rollout", 1, meaning, float(days), since, int(patience), 1)
    return Story(deal, lines, now, bold[1] if bold else "")


def quoted(evidence: str, found: Proposal) -> bool:
    """Whether what is quoted for a proposal and the words in bold overlap."""
    wanted = _plain(evidence)
    said = [_plain(one.quote) for one in found.evidence if one.quote]
    return any(one in wanted or wanted in one for one in said)


def _lines(timeline: str) -> Iterator[Line]:
    at = _day("Mar 2")
    for number, part in enumerate(timeline.split(" · "), 1):
        head = _HEAD.fullmatch(part)
        assert head, f"no day and sender: {part}"
        at = _day(head["day"]) if head["day"] else at + timedelta(minutes=30)
        tags = _TAG.findall(head["tags"] + head["text"])
        text = _TAG.sub("", head["text"]).replace("⏎", "\n").strip()
        read = _meeting if head["who"] == "meeting" else _mail
        yield read(number, head["who"], at, tags, text)


def _day(text: str) -> datetime:
    return datetime.strptime(f"{text} 2026 09:00", "%b %d %Y %H:%M").replace(tzinfo=UTC)


def _meeting(number: int, who: str, at: datetime, tags: Sequence[tuple[str, str]], text: str) -> Line:
    given = dict(tags)
    guest = ("bea@northwind.example", "declined" if "declined" in given else "accepted", False)
    return Line(
        number,
        "meeting",
        "outbound",
        at,
        at + timedelta(hours=1),
        sender="rae@acme.example",
        sender_ours=True,
        subject=who,
        new=text,
        status="cancelled" if "cancelled" in given else "confirmed",
        attendees=(("rae@acme.example", "accepted", True), *(() if "silent" in given else (guest,))),
    )


def _mail(number: int, who: str, at: datetime, tags: Sequence[tuple[str, str]], text: str) -> Line:
    ours, inside = who in ("rep", "mate"), who == "mate"
    headers, root = part_from_rfc822(_raw(who, at, tags, text))
    mail = read_message(item_id="1", thread="1", at=at, headers=headers, outbound=ours, root=root)
    assert mail.body is not None
    return Line(
        number,
        "email",
        "internal" if inside else "outbound" if ours else "inbound",
        at,
        sender=mail.parties[0].address,
        sender_name=mail.parties[0].name,
        sender_ours=ours,
        sender_known=who != "stranger",
        recipients=tuple(party.address for party in mail.parties if party.role in ("to", "cc")),
        subject=mail.subject,
        new=mail.body.new,
        machine=mail.machine,
        machine_reason=mail.machine_reason,
        attachments=tuple((a.name, a.mime, a.size) for a in mail.attachments),
        links=mail.body.links,
        forwarded=mail.forwarded,
    )


def _raw(who: str, at: datetime, tags: Sequence[tuple[str, str]], text: str) -> bytes:
    given = dict(tags)
    message = EmailMessage(policy=SMTP.clone(max_line_length=900, utf8=True))
    message["From"] = SENDERS[who]
    message["To"] = BUYER if who == "rep" else REP
    message["Subject"] = given.get("subject", SUBJECTS.get(who, "Rollout"))
    message["Date"] = format_datetime(at)
    for name, value in HEADERS.get(who, {}).items():
        message[name] = value
    message.set_content(text, subtype="html" if "html" in given else "plain", charset="utf-8", cte="8bit")
    for name in (value for tag, value in tags if tag == "file"):
        main, _, sub = MIMES[name.rpartition(".")[2]].partition("/")
        message.add_attachment(b"x", maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def _plain(text: str) -> str:
    return "".join(text.split())
