"""Laws of the decision, whatever the wording: what the page of golden suggestions cannot say row by row."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from worker import signals, suggest
from worker.timeline_view import DealView, Line, Proposal

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DEAL = DealView(1, "Rollout", 1, "proposal", 10.0, NOW - timedelta(days=10), 30, 1)
BUYER = Line(
    1, "email", "inbound", NOW - timedelta(hours=2), sender="bea@northwind.example", new="We accept your offer."
)
OFFER = Line(
    2,
    "email",
    "outbound",
    NOW - timedelta(hours=1),
    sender="rae@acme.example",
    sender_ours=True,
    new="Please find our quote attached.",
    attachments=(("Quote.pdf", "application/pdf", 900),),
)


def suggested(deal: DealView, *lines: Line, now: datetime = NOW) -> Proposal | None:
    return suggest.decide(deal, lines, now, {line.id: signals.read(line, deal_name=deal.name) for line in lines})


def test_it_gives_the_same_answer_again() -> None:
    assert suggested(DEAL, BUYER) == suggested(DEAL, BUYER)


def test_every_piece_of_evidence_stands_where_it_says() -> None:
    found = suggested(DEAL, BUYER)
    assert found and found.to == "won"
    assert all(BUYER.new[one.start : one.end] == one.quote for one in found.evidence)


@pytest.mark.parametrize("meaning", ["won", "lost"])
def test_a_finished_deal_gets_no_suggestion(meaning: str) -> None:
    assert suggested(replace(DEAL, meaning=meaning), BUYER) is None


@pytest.mark.parametrize(
    ("meaning", "to"), [("lead", "proposal"), ("contacted", "proposal"), ("qualified", "proposal"), ("proposal", None)]
)
def test_it_never_moves_backwards_nor_to_where_the_deal_is(meaning: str, to: str | None) -> None:
    found = suggested(replace(DEAL, meaning=meaning), OFFER)
    assert (found.to if found else None) == to


def test_what_lies_ahead_has_not_been_said() -> None:
    assert suggested(DEAL, replace(BUYER, at=NOW + timedelta(hours=1))) is None


def test_an_unknown_sender_decides_nothing() -> None:
    assert suggested(DEAL, replace(BUYER, sender_known=False)) is None


def test_a_yes_from_before_the_deal_began_is_none() -> None:
    assert suggested(replace(DEAL, created_at=NOW - timedelta(hours=1)), BUYER) is None


def test_the_stronger_of_two_sentences_is_the_evidence() -> None:
    found = suggested(DEAL, replace(BUYER, new="We accept your offer. Go ahead."))
    assert found and found.rule == "accept.offer" and found.confidence == pytest.approx(0.9)


def test_a_bare_go_ahead_needs_something_on_the_table() -> None:
    bare = replace(BUYER, new="Go ahead.", at=NOW)
    assert suggested(replace(DEAL, meaning="contacted"), bare) is None
    found = suggested(replace(DEAL, meaning="contacted"), OFFER, bare)
    assert found and found.to == "won"


def test_a_yes_answers_only_the_latest_question() -> None:
    asked = replace(OFFER, new="Shall I place the order?", attachments=())
    other = replace(OFFER, id=3, at=NOW - timedelta(minutes=30), new="Is the address still the same?", attachments=())
    yes = replace(BUYER, new="Yes.", at=NOW)
    found = suggested(DEAL, asked, yes)
    assert found and found.to == "won"
    assert suggested(DEAL, asked, other, yes) is None


@pytest.mark.parametrize("days", [29, 30, 31])
def test_patience_is_counted_from_the_customers_last_touch(days: int) -> None:
    quiet = replace(BUYER, new="Thanks, I'll read it.", at=NOW - timedelta(days=days))
    found = suggested(replace(DEAL, days_in_stage=60), quiet)
    assert (found is not None) == (days > 30)


def test_a_stage_without_patience_waits_for_ever() -> None:
    quiet = replace(BUYER, new="Thanks, I'll read it.", at=NOW - timedelta(days=300))
    assert suggested(replace(DEAL, days_in_stage=300, patience_days=0), quiet) is None


def test_the_date_may_stand_in_the_sentence_before() -> None:
    text = "We close the books at the end of September. Let's put it on hold until then."
    found = suggested(DEAL, replace(BUYER, new=text))
    assert found and found.to == "fridge" and found.wake_on and found.wake_on.month == 9


def test_no_timeline_no_suggestion() -> None:
    assert suggested(DEAL) is None
