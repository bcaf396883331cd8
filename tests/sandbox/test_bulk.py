"""Large mailboxes: what is in them, and that nothing is made before it is asked for."""

from __future__ import annotations

import pytest

from sandbox import Clock, World
from sandbox.bulk import MONTH, fill
from sandbox.mailbox import Mailbox
from tests.sandbox.client import Google
from tests.sandbox.conftest import ME, NOW

PEOPLE = [f"person{number}@customer{number % 5}.example" for number in range(20)]


def test_the_relevant_share_is_with_the_people_given(google: Google, box: Mailbox) -> None:
    filled = fill(box, 2_000, relevant_share=0.2, people=PEOPLE, months=6)
    assert filled.count == len(box.messages) == 2_000
    assert 300 < len(filled.relevant) < 500
    asked = " ".join(f"from:{one} to:{one}" for one in PEOPLE)
    assert set(google.search("{" + asked + "}", maxResults=500)) == set(filled.relevant)
    sent = google.search("in:sent", maxResults=500)
    assert set(sent) < set(filled.relevant)
    assert min(box.order)[0] / 1000 >= NOW.timestamp() - 6 * MONTH
    assert max(box.order)[0] / 1000 < NOW.timestamp()
    assert box.changes == []


def test_what_is_shown_agrees_with_what_was_searched(google: Google, box: Mailbox) -> None:
    filled = fill(box, 200, relevant_share=0.5, people=PEOPLE)
    for message in filled.relevant[:5]:
        shown = google.call(google.messages.get(userId="me", id=message))
        headers = {one["name"]: one["value"] for one in shown["payload"]["headers"]}
        assert {headers["From"], headers["To"]} & set(PEOPLE)
        assert google.search(f"rfc822msgid:{headers['Message-ID']}") == [message]


def test_the_same_seed_makes_the_same_mails() -> None:
    boxes = [World(Clock(virtual=True, start=NOW.timestamp())).mailbox(ME) for _ in range(3)]
    for box, seed in zip(boxes, (1, 1, 2), strict=True):
        fill(box, 50, people=PEOPLE, seed=seed)
    one, two, other = ([stored.bytes() for stored in box.messages.values()] for box in boxes)
    assert one == two
    assert one != other


def test_nothing_is_made_before_somebody_reads_it(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr("sandbox.bulk._Letter.__call__", lambda letter: made.append(letter.number) or b"")
    fill(box, 20_000, people=PEOPLE)
    assert made == []
    assert len(box.messages) == 20_000
