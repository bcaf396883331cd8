"""Suggestions: labelled cases against what the rules propose, over the real reading of mail.

Every e-mail of a case is built as a message and read by the connectors (quoted replies, signatures, machine mail); its
signals and the decision are the product's own. Nothing is stored.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from pathlib import Path
from typing import Any, cast

from bench.figures import figure, keep_cases, say
from connectors.items import Message
from connectors.mail import read_message
from connectors.parts import part_from_rfc822
from worker import signals, suggest
from worker.timeline_view import DealView, Line, Proposal

ANSWERS = ("contacted", "qualified", "proposal", "won", "lost", "fridge", "revive")
WAKE_SLACK = timedelta(days=10)
_HTML = re.compile(r"<(?:div|br|p|html|table|span)\b[^<>]*>", re.I)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case, judged. ``to`` is what was proposed, ``none`` when nothing was."""

    case: dict[str, Any]
    to: str
    right: bool
    overlaps: bool
    wakes: bool | None
    rule: str


def run(folder: Path) -> None:
    """Print suggestions.right, precision, recall, none_disturbed, quote_overlap, wake_right, and the share per language."""
    with (folder / "sample.jsonl").open(encoding="utf-8") as stream:
        outcomes = [judge(json.loads(line)) for line in stream if line.strip()]
    report("suggestions", outcomes)


def report(name: str, outcomes: Sequence[Outcome]) -> None:
    """Print the figures of some judged cases and keep those that failed."""
    figure(f"{name}.cases", len(outcomes))
    figure(f"{name}.right", _share(o.right for o in outcomes))
    figure(f"{name}.precision", _share(o.right for o in outcomes if o.to != "none"))
    figure(f"{name}.recall", _share(o.right for o in outcomes if _wanted(o) != "none"))
    quiet = [o for o in outcomes if _wanted(o) == "none"]
    figure(f"{name}.none_disturbed", 1 - _share(o.right for o in quiet) if quiet else 0.0)
    figure(f"{name}.false_won", sum(o.to == "won" and not o.right for o in outcomes))
    figure(f"{name}.quote_overlap", _share(o.overlaps for o in outcomes if o.right and o.case["expected"].get("quote")))
    figure(f"{name}.wake_right", _share(o.wakes for o in outcomes if o.wakes is not None))
    for lang, count in sorted(Counter(o.case["lang"] for o in outcomes).items()):
        figure(f"{name}.right.{lang}", _share(o.right for o in outcomes if o.case["lang"] == lang))
        say(f"  {lang}: {count} cases")
    for answer in ANSWERS:
        made = [o for o in outcomes if o.to == answer]
        due = [o for o in outcomes if _wanted(o) == answer]
        say(
            f"  {answer}: precision {_share(o.right for o in made):.2f} of {len(made)}, "
            f"recall {_share(o.right for o in due):.2f} of {len(due)}"
        )
    wrong = [o for o in outcomes if not o.right or not o.overlaps or o.wakes is False]
    keep_cases(
        name,
        [
            {"case": o.case["id"], "expected": _wanted(o), "got": o.to, "rule": o.rule, "wake": o.wakes}
            for o in sorted(wrong, key=lambda o: o.case["id"])
        ],
    )


def judge(case: dict[str, Any]) -> Outcome:
    """What the product proposes for a case, held against what is expected."""
    found = proposal_for(case)
    expected = case["expected"]
    to = found.to if found else "none"
    right = to == expected["to"] or to in expected.get("acceptable", ())
    quote = expected.get("quote")
    overlaps = (
        not right or not quote or to == "none" or _overlap(quote, [e.quote for e in found.evidence] if found else [])
    )
    wakes = None
    if to == "fridge" and right and quote:
        wakes = _wakes(expected.get("wake_on"), found.wake_on if found else None)
    return Outcome(case, to, right, overlaps, wakes, found.rule if found else "")


def proposal_for(case: dict[str, Any]) -> Proposal | None:
    """The proposal for a case at its ``now``."""
    now = datetime.fromisoformat(case["now"]).astimezone(UTC)
    lines = list(lines_of(case))
    said = {line.id: signals.read(line, deal_name=case["deal"]["name"]) for line in lines}
    return suggest.decide(_deal(case, now), lines, now, said)


def lines_of(case: dict[str, Any]) -> Iterator[Line]:
    """A case's timeline, oldest first, as the rules see it."""
    domain = case["team_domain"]
    rows = sorted(case["interactions"], key=lambda row: datetime.fromisoformat(row["at"]))
    for number, row in enumerate(rows, 1):
        yield _meeting(number, row, domain) if row["kind"] == "meeting" else _mail(number, row, domain)


def _deal(case: dict[str, Any], now: datetime) -> DealView:
    deal = case["deal"]
    return DealView(
        id=1,
        name=deal["name"],
        stage_id=1,
        meaning=deal["stage_meaning"],
        days_in_stage=deal["days_in_stage"],
        stage_since=now - timedelta(days=deal["days_in_stage"]),
        patience_days=deal["patience_days"],
        version=1,
    )


def _mail(number: int, row: dict[str, Any], domain: str) -> Line:
    message = _read(row, _is_ours(row["from"], domain))
    everybody = [party.address for party in message.parties if party.role in ("to", "cc")]
    ours = _is_ours(row["from"], domain)
    internal = ours and bool(everybody) and all(_is_ours(address, domain) for address in everybody)
    name, address = _party(row["from"])
    return Line(
        id=number,
        kind="email",
        direction="internal" if internal else row["direction"],
        at=message.at,
        sender=address,
        sender_name=name,
        sender_ours=ours,
        recipients=tuple(everybody),
        subject=message.subject,
        new=message.body.new if message.body else "",
        machine=message.machine,
        machine_reason=message.machine_reason,
        attachments=tuple((a.name, a.mime, a.size) for a in message.attachments),
        links=message.body.links if message.body else (),
        forwarded=message.forwarded,
    )


def _read(row: dict[str, Any], outbound: bool) -> Message:
    headers, root = part_from_rfc822(_raw(row))
    at = datetime.fromisoformat(row["at"]).astimezone(UTC)
    return read_message(item_id="1", thread="1", at=at, headers=headers, outbound=outbound, root=root)


def _raw(row: dict[str, Any]) -> bytes:
    message = EmailMessage(policy=SMTP.clone(max_line_length=900, utf8=True))
    message["From"] = row["from"]
    message["To"] = ", ".join(row["to"])
    if row.get("cc"):
        message["Cc"] = ", ".join(row["cc"])
    message["Subject"] = " ".join(row["subject"].split())
    message["Date"] = format_datetime(datetime.fromisoformat(row["at"]))
    for name, value in row.get("headers", {}).items():
        message[name] = value
    body = row["body"] or ""
    message.set_content(body, subtype="html" if _HTML.search(body) else "plain", charset="utf-8", cte="8bit")
    for file in row.get("attachments", ()):
        main, _, sub = file["mime"].partition("/")
        message.add_attachment(b"x", maintype=main, subtype=sub or "octet-stream", filename=file["name"])
    return message.as_bytes()


def _meeting(number: int, row: dict[str, Any], domain: str) -> Line:
    meeting = row["meeting"]
    name, address = _party(row["from"])
    return Line(
        id=number,
        kind="meeting",
        direction=row["direction"],
        at=datetime.fromisoformat(meeting["start"]).astimezone(UTC),
        end=datetime.fromisoformat(meeting["end"]).astimezone(UTC),
        sender=address,
        sender_name=name,
        sender_ours=_is_ours(row["from"], domain),
        recipients=tuple(row["to"]),
        subject=row["subject"],
        new=row["body"] or "",
        status=meeting["status"],
        attendees=tuple((a["email"], a["response"], _is_ours(a["email"], domain)) for a in meeting["attendees"]),
    )


def _party(text: str) -> tuple[str, str]:
    return cast(tuple[str, str], next(iter(getaddresses([text])), ("", "")))


def _is_ours(text: str, domain: str) -> bool:
    found = _party(text)[1].lower().rpartition("@")[2]
    return found == domain or found.endswith("." + domain)


def _wanted(outcome: Outcome) -> str:
    return outcome.case["expected"]["to"]


def _share(hits: Iterator[bool | None]) -> float:
    found = [bool(hit) for hit in hits]
    return sum(found) / len(found) if found else 1.0


def _overlap(expected: str, quotes: Sequence[str]) -> bool:
    wanted = _plain(expected)
    return any(
        said and (said in wanted or wanted in said or _share_words(wanted, said)) for said in map(_plain, quotes)
    )


def _share_words(one: str, other: str) -> bool:
    """Whether two passages that may overlap only in part share a run of twelve characters."""
    return any(one[at : at + 12] in other for at in range(max(1, len(one) - 11)))


def _plain(text: str) -> str:
    return "".join(re.sub(r"<[^<>]*>", " ", html.unescape(text)).split())


def _wakes(expected: str | None, found: date | None) -> bool:
    if expected is None or found is None:
        return expected is None and found is None
    return abs(date.fromisoformat(expected) - found) <= WAKE_SLACK
