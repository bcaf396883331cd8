"""What was written this time: quoted mail, forwarded mail, signatures and disclaimers taken away, answers kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.reply import MOST_LINES, read_reply

OLD = "> Shall we say Tuesday?\n> Best, Rae"

NEW_TEXT = {
    "nothing quoted": ("Tuesday is fine.", "Tuesday is fine."),
    "an English introduction": (
        f"Tuesday is fine.\n\nOn Mon, 2 Nov 2026 at 09:12, Rae Rep <rae@acme.example> wrote:\n{OLD}",
        "Tuesday is fine.",
    ),
    "an introduction over two lines": (
        f"Tuesday is fine.\n\nOn Mon, 2 Nov 2026 at 09:12, Rae Rep\n<rae@acme.example> wrote:\n\n{OLD}",
        "Tuesday is fine.",
    ),
    "German": (f"Dienstag passt.\n\nAm 02.11.2026 um 09:12 schrieb Rae Rep:\n{OLD}", "Dienstag passt."),
    "French": (
        f"Mardi, parfait.\n\nLe lun. 2 nov. 2026 à 09:12, Rae Rep <rae@acme.example> a écrit :\n{OLD}",
        "Mardi, parfait.",
    ),
    "Spanish": (f"El martes va bien.\n\nEl 2 nov 2026 a las 9:12, Rae Rep escribió:\n{OLD}", "El martes va bien."),
    "Dutch": (
        f"Dinsdag is goed.\n\nOp ma 2 nov. 2026 om 09:12 schreef Rae Rep <rae@acme.example>:\n{OLD}",
        "Dinsdag is goed.",
    ),
    "Chinese": (f"周二可以。\n\n在 2026年11月2日 09:12，Rae Rep 写道：\n{OLD}", "周二可以。"),
    "Outlook's block": (
        "Tuesday is fine.\n\n________________________________\nFrom: Rae Rep <rae@acme.example>\nSent: Monday, 2 November 2026 09:12\n"
        "To: Bea Buyer\nSubject: Offer\n\nShall we say Tuesday?",
        "Tuesday is fine.",
    ),
    "Outlook's block in German": (
        "Dienstag passt.\n\nVon: Rae Rep\nGesendet: Montag, 2. November 2026 09:12\nAn: Bea Buyer\nBetreff: Angebot\n\nDienstag?",
        "Dienstag passt.",
    ),
    "an original message": (
        "Tuesday is fine.\n\n-----Original Message-----\nFrom: Rae Rep\nSubject: Offer\n\nShall we say Tuesday?",
        "Tuesday is fine.",
    ),
    "answers between quoted lines": (
        "On Mon, 2 Nov 2026, Rae Rep wrote:\n> Which day?\nTuesday.\n> How many seats?\nForty.",
        "Tuesday.\nForty.",
    ),
    "quoted text only": (OLD, ""),
    "a signature mark": ("Tuesday is fine.\n\n-- \nBea Buyer\nHead of Buying\n+31 20 555 0100", "Tuesday is fine."),
    "a device": ("Tuesday is fine.\n\nSent from my iPhone", "Tuesday is fine."),
    "a device in French": ("Mardi.\n\nEnvoyé de mon iPhone", "Mardi."),
    "a closing with title and phone": (
        "Tuesday is fine.\n\nKind regards,\nBea Buyer\nHead of Buying | Northwind\n+31 20 555 0100",
        "Tuesday is fine.\n\nKind regards,\nBea Buyer",
    ),
    "a disclaimer": (
        "Tuesday is fine.\n\nThis message is confidential and intended only for the recipient named above. If you have received it "
        "in error, please delete it and tell the sender at once.",
        "Tuesday is fine.",
    ),
    "a colon is no introduction": (
        "On Tuesday we can do:\n- a call\n- a visit",
        "On Tuesday we can do:\n- a call\n- a visit",
    ),
    "a date in a sentence": (
        "On 2 November we wrote to your colleague and nobody answered. Please look.",
        "On 2 November we wrote to your colleague and nobody answered. Please look.",
    ),
    "labels in prose": ("From: Amsterdam\nI would say we leave early.", "From: Amsterdam\nI would say we leave early."),
    "a rule between paragraphs": ("First part.\n\n-----\n\nSecond part.", "First part.\n\n-----\n\nSecond part."),
    "a dash alone is no signature at the top": ("--\nTuesday.", "--\nTuesday."),
    "NUL bytes": ("Tues\x00day is fine.", "Tuesday is fine."),
    "line ends of Windows": ("One\r\nTwo\r\n", "One\nTwo"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize(("text", "new"), NEW_TEXT.values(), ids=NEW_TEXT)
def test_the_new_text_is_found(text: str, new: str) -> None:
    assert read_reply(text).new == new


def test_the_signature_is_kept_apart() -> None:
    assert read_reply("Fine.\n\n-- \nBea Buyer\nNorthwind").signature == "Bea Buyer\nNorthwind"


@pytest.mark.parametrize(
    "mark",
    [
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "-----Weitergeleitete Nachricht-----",
    ],
)
def test_what_is_handed_on_was_not_said_by_the_sender(mark: str) -> None:
    found = read_reply(
        f"Please see below.\n\n{mark}\nFrom: Someone Else <else@other.example>\nSubject: Yes\n\nWe accept!"
    )
    assert found.new == "Please see below."
    assert "We accept" not in found.new


@pytest.mark.parametrize("mark", ["---------- Forwarded message ---------", "Begin forwarded message:"])
def test_a_forwarded_mail_is_told(mark: str) -> None:
    assert read_reply(f"Please see below.\n\n{mark}\n\nFrom: Else\nSubject: Yes\nDate: today\n\nWe accept!").forwards


def test_we_signed_in_a_footer_is_not_said() -> None:
    text = "Let me ask my boss.\n\n-- \nBea Buyer\nWe signed the climate pledge!"
    assert "signed" not in read_reply(text).new


def test_a_long_text_below_a_dash_is_no_signature() -> None:
    text = "Intro.\n--\n" + "\n".join(f"Point {n} of the plan that matters." for n in range(60))
    assert "Point 59" in read_reply(text).new


HOSTILE = {
    "blanks behind a forward": "begin forwarded message" + " " * 400_000 + "x",
    "blanks behind a closing": "regards" + " " * 400_000 + "x",
    "marks behind a device": "sent on the x" + "!" * 400_000 + "a",
    "dashes": "-" * 400_000,
    "blanks": " " * 400_000 + "x",
    "quote marks": ">" * 400_000,
    "one long line": "On " + "a" * 400_000 + " wrote:",
    "many introductions": "On 1 Jan 2026 x wrote:\n" * 6_000,
    "nearly introductions": ("On 2026 " + "a@b.example 10:10 " * 25 + "said so!\n") * 6_000,
    "signature marks": "-- \n" * 6_000,
    "labels": "From: x\n" * 6_000,
    "rules": "_____\n" * 6_000,
    "disclaimers": ("confidential privileged " * 10 + "\n\n") * 2_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_taken_apart_in_one_go(text: str) -> None:
    assert len(read_reply(text).new) <= len(text)


def test_lines_beyond_the_limit_are_not_read() -> None:
    assert read_reply("line\n" * (MOST_LINES + 500)).new.count("\n") < MOST_LINES


@given(st.text(max_size=500))
@settings(max_examples=150, deadline=None)
def test_every_line_of_the_new_text_was_in_the_text(text: str) -> None:
    given_lines = {line.strip() for line in read_clean(text)}
    assert {line.strip() for line in read_reply(text).new.split("\n")} <= given_lines | {""}


def read_clean(text: str) -> list[str]:
    for gone in ("\x00", "\ufeff", "\u200b"):
        text = text.replace(gone, "")
    return text.replace("\r", "\n").replace("\u2028", "\n").replace("\xa0", " ").split("\n")
