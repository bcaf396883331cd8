"""Whose name a mail gives: ours from our addresses, somebody else's by its capital letter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.parties import names_in, verdict
from worker.signals import read
from worker.timeline_view import Line

COMMON = frozenset({"ihnen", "you"})


def _line(text: str, *to: str) -> Line:
    return Line(
        1,
        "email",
        "inbound",
        datetime(2026, 3, 2, tzinfo=UTC),
        sender="bea@northwind.example",
        sender_name="Bea Buyer",
        recipients=to or ("rae.rep@acme.example", "lou@northwind.example"),
        new=text,
    )


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("Acme", "ours"),
        ("acme", "ours"),
        ("Globex", "foreign"),
        ("globex", ""),
        ("Northwind", ""),
        ("Rae", ""),
        ("Lou", ""),
        ("Rollout", ""),
        ("Ihnen", ""),
        ("VW", ""),
    ],
)
def test_a_name_is_ours_anothers_or_nobodys(name: str, whose: str) -> None:
    names = names_in(_line("Hello."), "Rollout")
    assert verdict(names, name, COMMON) == whose


@pytest.mark.parametrize("text", ["we signed with globex", "WE SIGNED WITH GLOBEX"])
def test_without_capitals_a_stranger_is_only_suspected(text: str) -> None:
    names = names_in(_line(text), "")
    assert verdict(names, text.split()[-1], COMMON) == "unsure"
    assert {signal.kind for signal in read(_line(text))} >= {"undecided"}
    assert not {signal.kind for signal in read(_line(text))} & {"reject"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("We signed with Globex.", "reject"),
        ("We are going with Acme.", "accept"),
        ("Wir haben bei Globex unterschrieben.", "reject"),
        ("Ya firmamos con Globex.", "reject"),
        ("\u6211\u4eec\u8ddfGlobex\u7b7e\u4e86\u5408\u540c\u3002", "reject"),
    ],
)
def test_whose_name_it_is_decides(text: str, kind: str) -> None:
    assert kind in {signal.kind for signal in read(_line(text))}


def test_a_quotation_inside_a_sentence_is_not_the_senders_word() -> None:
    assert "accept" not in {signal.kind for signal in read(_line('Sam said: "we accept your offer".'))}
    assert "accept" in {signal.kind for signal in read(_line('"We accept your offer."'))}


def test_a_sneer_takes_back_the_sentence_before_it() -> None:
    assert "accept" not in {signal.kind for signal in read(_line("Sure, we accept your offer. Not."))}
    assert "accept" in {signal.kind for signal in read(_line("Sure thing, we accept your offer. Thanks."))}
