"""What a timeline means for its deal: at most one proposed move, with the lines that speak for it. Pure.

The timeline is walked once, oldest first. A later word beats an earlier one (a yes taken back, a no reconsidered, an offer
recalled); in the end the furthest move that still has its evidence is proposed. Nothing moves a deal backwards, nor to where
it is. Whether somebody has gone quiet is asked last, and only when nothing else was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from worker.cuebook import rules
from worker.sentences import fold
from worker.timeline_view import DealView, Evidence, Line, Proposal, Signal
from worker.wake import wake_date

RANK = {"lead": 0, "contacted": 1, "qualified": 2, "proposal": 3}
FACTS = ("budget", "authority", "timing")
AFTER_REMINDER = timedelta(days=5)
NEAR = timedelta(days=3)
NEARBY = 160
"""Characters beside the sentence that puts a deal off in which its date may stand."""
_THEN = re.compile(r"\b(?:then|dann|dan|alors|entonces)\b|到时|届时|那时")
_OUTCOME = {"accept": "won", "yes": "won", "reject": "lost", "postpone": "fridge"}


@dataclass
class Story:
    """What the walk has found so far; the last word of each kind."""

    final: Signal | None = None
    offer: Signal | None = None
    facts: dict[str, Signal] = field(default_factory=dict)
    contact: Line | None = None
    held: Line | None = None
    asked_order: bool = False
    theirs: Line | None = None
    ours: Line | None = None
    first_ours: Line | None = None
    wrote_since: Line | None = None
    wake_on: date | None = None


def decide(
    deal: DealView, lines: Sequence[Line], now: datetime, signals: Mapping[int, Sequence[Signal]]
) -> Proposal | None:
    """The one suggestion that a careful manager would want to see at `now`, or None. `lines` in order of time, `signals` by
    line id (as `worker.signals.read` gives them)."""
    story = _walk(deal, lines, now, signals)
    if deal.meaning == "fridge":
        return _from_fridge(deal, story)
    if deal.meaning not in RANK:
        return None
    found = _final(story) or _offer(deal, story) or _qualified(deal, story) or _contacted(deal, story)
    return found or _silence(deal, story, lines, now, signals)


def _walk(deal: DealView, lines: Sequence[Line], now: datetime, signals: Mapping[int, Sequence[Signal]]) -> Story:
    story = Story()
    for line in lines:
        said = signals.get(line.id, ())
        if line.kind == "meeting":
            _meeting(story, line, said, lines, now, signals)
        elif line.at <= now:
            if line.machine is not None:
                _robot(story, said)
            elif line.sender_ours or line.direction == "outbound":
                _ours(story, line, said)
            elif line.direction == "inbound" and line.sender_known:
                _theirs(deal, story, line, said)
    if story.final is not None and deal.created_at is not None and story.final.at < deal.created_at:
        story.final = None
    return story


def _meeting(
    story: Story,
    line: Line,
    said: Sequence[Signal],
    lines: Sequence[Line],
    now: datetime,
    signals: Mapping[int, Sequence[Signal]],
) -> None:
    if not held(line, now) or _fell_through(line, lines, signals):
        return
    story.held, story.contact = line, story.contact or line
    story.theirs = _later(story.theirs, line)
    for signal in said:
        if signal.kind in ("need", *FACTS):
            story.facts.setdefault(signal.kind, signal)


def held(line: Line, now: datetime) -> bool:
    """A confirmed meeting whose end has passed and which somebody from outside attended who did not decline."""
    if line.status not in ("", "confirmed") or (line.end or line.at) > now:
        return False
    return any(not ours and response != "declined" for _, response, ours in line.attendees)


def _fell_through(meeting: Line, lines: Sequence[Line], signals: Mapping[int, Sequence[Signal]]) -> bool:
    """A mail about that day says that it did not take place."""
    return any(
        signal.kind == "fell_through"
        for line in lines
        if line.kind == "email" and line.machine is None and meeting.at - NEAR <= line.at <= meeting.at + NEAR
        for signal in signals.get(line.id, ())
    )


def _robot(story: Story, said: Sequence[Signal]) -> None:
    for signal in said:
        if signal.kind == "accept":
            story.final = signal


def _ours(story: Story, line: Line, said: Sequence[Signal]) -> None:
    kinds = {signal.kind for signal in said}
    story.ours, story.first_ours = line, story.first_ours or line
    story.asked_order = "ask_order" in kinds
    for signal in said:
        if signal.kind == "sent":
            story.offer = signal
        elif signal.kind == "recall":
            story.offer = None
        elif signal.kind in ("need", *FACTS) and "recap" in kinds and "fell_through" not in kinds:
            story.facts.setdefault(signal.kind, signal)


def _theirs(deal: DealView, story: Story, line: Line, said: Sequence[Signal]) -> None:
    kinds = {signal.kind for signal in said}
    if "stranger" in kinds:
        return
    strange = bool(kinds & {"unrelated", "subject_other"})
    story.theirs = _later(story.theirs, line)
    if not strange or not story.contact:
        story.contact = story.contact or (None if strange else line)
    if not strange and line.at >= deal.stage_since:
        story.wrote_since = line
    for signal in said:
        _their_word(deal, story, line, signal, kinds, strange)
    story.asked_order = False


def _their_word(deal: DealView, story: Story, line: Line, signal: Signal, kinds: set[str], strange: bool) -> None:
    kind = signal.kind
    said_yes = story.final is not None and story.final.kind in ("accept", "yes")
    if kind in ("retract", "undecided") and (said_yes or kind == "retract" and _before(story.final, line)):
        story.final = None
    elif kind in ("reopen", "request"):
        if _before(story.final, line) and not said_yes:
            story.final = None
    elif kind == "got":
        story.offer = story.offer or signal
    elif kind in ("need", *FACTS):
        story.facts.setdefault(kind, signal)
    elif kind in ("accept", "yes"):
        known = story.final
        better = known is None or known.line_id != line.id or known.kind not in ("accept", "yes")
        if _counts(deal, story, signal, kinds, strange) and (better or _strength(signal) > _strength(known or signal)):
            story.final = signal
    elif kind == "reject":
        if "postpone" not in kinds or signal.rule in ("reject.competitor", "reject.named", "reject.inhouse"):
            story.final = signal
    elif kind == "postpone":
        known = story.wake_on if story.final is not None and story.final.line_id == line.id else None
        wake = _wake(line, signal)
        if wake is not None or known is None:
            story.final, story.wake_on = signal, wake


def _before(final: Signal | None, line: Line) -> bool:
    """Whether the last word so far was said in an earlier mail."""
    return final is not None and final.line_id != line.id


def _counts(deal: DealView, story: Story, signal: Signal, kinds: set[str], strange: bool) -> bool:
    """Whether a yes is one to the offer. A bare yes needs something on the table, and no other matter in the mail."""
    if kinds & {"reject", "postpone", "undecided", "retract"}:
        return False
    if not rules()[signal.rule].bare:
        return not strange or signal.rule.startswith("accept.")
    on_the_table = story.offer is not None or deal.meaning == "proposal" or story.asked_order
    if signal.kind == "yes":
        on_the_table = story.asked_order
    return on_the_table and not strange


def _final(story: Story) -> Proposal | None:
    signal = story.final
    if signal is None:
        return None
    to = _OUTCOME[signal.kind]
    words = {"won": "said yes", "lost": "said no", "fridge": "put it off"}[to]
    wake = story.wake_on if to == "fridge" else None
    reason = f"The customer {words} on {_day(signal.at)}" + (f", until {_day(wake)}." if wake else ".")
    return Proposal(to, _strength(signal), signal.rule, reason, (_evidence(signal),), wake)


def _offer(deal: DealView, story: Story) -> Proposal | None:
    if story.offer is None or RANK[deal.meaning] >= RANK["proposal"]:
        return None
    ours = story.offer.kind == "sent"
    reason = f"{'Our offer went out' if ours else 'The customer has our offer'}: {_day(story.offer.at)}."
    return Proposal("proposal", _strength(story.offer), story.offer.rule, reason, (_evidence(story.offer),))


def _qualified(deal: DealView, story: Story) -> Proposal | None:
    known = [story.facts[name] for name in FACTS if name in story.facts]
    if RANK[deal.meaning] >= RANK["qualified"] or "need" not in story.facts or len(known) < 2:
        return None
    facts = [story.facts["need"], *known]
    reason = f"Need, {' and '.join(fact.kind for fact in known[:2])} are known."
    if len(known) > 2:
        reason = "Need, budget, authority and timing are known."
    rule = rules()["qualified.facts"]
    return Proposal("qualified", rule.confidence, rule.name, reason, tuple(_evidence(fact) for fact in facts))


def _contacted(deal: DealView, story: Story) -> Proposal | None:
    line = story.contact
    if deal.meaning != "lead" or line is None:
        return None
    rule = rules()["meeting.held" if line.kind == "meeting" else "contact.two_way"]
    who = line.sender_name or line.sender or "the customer"
    reason = f"A meeting was held on {_day(line.at)}." if line.kind == "meeting" else f"{who} wrote on {_day(line.at)}."
    return Proposal("contacted", rule.confidence, rule.name, reason, (_opening(line, rule.name),))


def _from_fridge(deal: DealView, story: Story) -> Proposal | None:
    final = story.final
    if final is not None and final.kind in ("accept", "yes", "reject") and final.at >= deal.stage_since:
        return _final(story)
    line = story.wrote_since
    if line is None or (final is not None and final.line_id == line.id):
        return None
    rule = rules()["revive.wrote"]
    reason = f"{line.sender_name or line.sender} wrote again on {_day(line.at)}."
    return Proposal("revive", rule.confidence, rule.name, reason, (_opening(line, rule.name),))


def _silence(
    deal: DealView, story: Story, lines: Sequence[Line], now: datetime, signals: Mapping[int, Sequence[Signal]]
) -> Proposal | None:
    since = story.theirs or story.first_ours
    if since is None or not deal.patience_days:
        return None
    quiet = (now - (since.end or since.at)).total_seconds() / 86_400
    if quiet <= deal.patience_days or deal.days_in_stage <= deal.patience_days:
        return None
    if any(line.kind == "meeting" and line.at > now and line.status != "cancelled" for line in lines):
        return None
    if story.ours is not None and now - story.ours.at < AFTER_REMINDER:
        return None
    theirs = story.theirs
    if theirs is not None and theirs.kind == "email":
        ours_after = story.ours is not None and story.ours.at > theirs.at
        if not ours_after and (_asks(theirs) or any(s.kind == "request" for s in signals.get(theirs.id, ()))):
            return None
        named = wake_date(theirs.new, theirs.at)
        if named is not None and named > now.date():
            return None
    rule = rules()["silence.patience"]
    reason = f"Nothing from the customer for {int(quiet)} days; this stage's patience is {deal.patience_days}."
    return Proposal("fridge", rule.confidence, rule.name, reason, (Evidence(since.id, rule.name),))


def _asks(line: Line) -> bool:
    return "?" in line.new or "\uff1f" in line.new


def _later(known: Line | None, line: Line) -> Line:
    return line if known is None or (line.end or line.at) >= (known.end or known.at) else known


def _opening(line: Line, rule: str) -> Evidence:
    """The first sentence or line of a mail, as evidence that somebody wrote at all."""
    if line.kind == "meeting":
        return Evidence(line.id, rule)
    for start, text in _lines(line.new):
        if len(text) > 24:
            return Evidence(line.id, rule, text, start, start + len(text))
    whole = line.new.strip()
    start = line.new.find(whole)
    return Evidence(line.id, rule, whole[:200], start, start + len(whole[:200])) if whole else Evidence(line.id, rule)


def _lines(text: str) -> list[tuple[int, str]]:
    found, at = [], 0
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        found.append((at + line.find(stripped), stripped[:200]))
        at += len(line)
    return found


def _wake(line: Line, signal: Signal) -> date | None:
    """The time named in the sentence that puts the deal off, in the next one, or in the one before, if it says "then"."""
    if signal.start < 0:
        return wake_date(line.new[:500], line.at)
    before = line.new[max(0, signal.start - NEARBY) : signal.start] if _THEN.search(fold(signal.quote)) else ""
    parts = (signal.quote, line.new[signal.start : signal.end + NEARBY], before)
    return next((found for found in (wake_date(part, line.at) for part in parts) if found), None)


def _evidence(signal: Signal) -> Evidence:
    return Evidence(signal.line_id, signal.rule, signal.quote, signal.start, signal.end)


def _strength(signal: Signal) -> float:
    return signal.weight or rules()[signal.rule].confidence


def _day(at: datetime | date) -> str:
    return f"{at.day} {at:%b %Y}"
