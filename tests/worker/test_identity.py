"""When two copies are one: names of mails and meetings, and whether two with one name agree."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.items import Meeting, Party
from connectors.meeting_identity import SINGLE
from tests.support import BUYER, COLLEAGUE, NOW, REP
from tests.worker.scene import note, talk
from worker.identity import agree, mail_fingerprint, of_meeting, of_message, plain_subject


@pytest.mark.parametrize(
    ("subject", "plain"),
    [
        ("Re: Hello", "hello"),
        ("RE: AW: Sv: Antw: Hello", "hello"),
        ("Fwd: Re[2]: Hello", "hello"),
        ("回复：转发: Hello", "hello"),
        ("  Hello \t  there ", "hello there"),
        ("Regarding: Hello", "regarding: hello"),
        ("Re:", ""),
        ("", ""),
    ],
)
def test_prefixes_and_blanks_are_no_part_of_a_subject(subject: str, plain: str) -> None:
    assert plain_subject(subject) == plain


def test_a_fingerprint_is_deaf_to_what_relays_and_clients_change() -> None:
    one = note(to=[REP, COLLEAGUE], subject="Hello", message_id="")
    parties = (
        Party("from", BUYER.upper(), "Bea"),
        Party("to", COLLEAGUE),
        Party("cc", REP.upper()),
        Party("bcc", "x@y.z"),
    )
    other = note(parties=parties, subject="Re:  hello", message_id="b@y", at=NOW + timedelta(hours=3), sent_at=NOW)
    assert mail_fingerprint(one) == mail_fingerprint(other)


@pytest.mark.parametrize(
    "change", [{"subject": "Other"}, {"to": [REP]}, {"sender": "x@y.example"}, {"sent_at": NOW + timedelta(minutes=1)}]
)
def test_a_fingerprint_hears_everything_else(change: dict) -> None:
    same = {"to": [REP, COLLEAGUE], "message_id": ""}
    assert mail_fingerprint(note(**same)) != mail_fingerprint(note(**(same | change)))


def test_a_mail_is_named_by_its_id_or_else_by_its_fingerprint() -> None:
    named, nameless = note(message_id="a@x"), note(message_id="")
    assert of_message(named)[0] == "m:a@x"
    identity, fingerprint = of_message(nameless)
    assert identity == f"f:{fingerprint}"
    assert len(of_message(note(message_id="x" * 5000))[0]) <= 402


def _mail(sender: str = BUYER, subject: str = "Hello", hours: int = 0) -> tuple:
    return sender, NOW + timedelta(hours=hours), subject


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (_mail(hours=48), True),
        (_mail(hours=49), False),
        (_mail("eu@mail.northwind.example"), True),
        (_mail("bea@northwind.example.evil.example"), False),
        (_mail(subject="[list] Re: Hello"), True),
        (_mail(subject="Hello again"), False),
        (_mail(subject=""), False),
    ],
)
def test_one_id_is_one_mail_only_when_the_rest_agrees(other: tuple, same: bool) -> None:
    """Field note 16: broken and spoofed ids repeat."""
    assert agree(_mail(), other) == agree(other, _mail()) == same


def test_strangers_at_a_free_mail_provider_never_hide_behind_one_id() -> None:
    assert not agree(_mail("bea@gmail.com"), _mail("eve@gmail.com"))
    assert agree(_mail("b.ea@gmail.com"), _mail("bea+x@googlemail.com"))


def test_an_occurrence_is_named_by_its_series_and_its_first_place() -> None:
    """Field notes 17 and 18: moved, it stays the same meeting; the next one of the series is another."""
    first = talk(BUYER, uid="u@cal", original_start=NOW)
    moved = talk(BUYER, uid="u@cal", original_start=NOW, start=NOW + timedelta(days=3))
    following = talk(BUYER, uid="u@cal", original_start=NOW + timedelta(days=7))
    assert of_meeting(first) == of_meeting(moved) != of_meeting(following)


def test_a_meeting_without_a_uid_is_named_by_organizer_start_and_subject() -> None:
    def one(**more: object) -> Meeting:
        return talk(BUYER, **({"uid": "", "original_start": NOW, "subject": "Kick-off"} | more))  # type: ignore[arg-type]

    assert of_meeting(one()) == of_meeting(one(organizer=REP.upper()))
    for change in ({"subject": "Other"}, {"organizer": COLLEAGUE}, {"original_start": NOW + timedelta(hours=1)}):
        assert of_meeting(one()) != of_meeting(one(**change))


def test_meetings_that_do_not_recur_and_have_no_uid_are_told_apart_by_their_start() -> None:
    single = {"uid": "", "original_start": SINGLE, "subject": "Demo"}
    assert of_meeting(talk(BUYER, start=NOW, **single)) == of_meeting(talk(BUYER, start=NOW, **single))
    assert of_meeting(talk(BUYER, start=NOW, **single)) != of_meeting(
        talk(BUYER, start=NOW + timedelta(days=1), **single)
    )
