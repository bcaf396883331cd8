"""What a machine wrote, and by which sign we know (provider-contract 7.2)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.items import Message
from connectors.mail import read_message
from connectors.parts import part_from_rfc822

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def read(headers: dict[str, str], text: str = "Hello.", *, outbound: bool = False) -> Message:
    """A message with these headers; who and what by default is a person's letter."""
    shown = {"From": "Bea <bea@northwind.example>", "To": "rae@acme.example", "Subject": "Hello"} | headers
    raw = "".join(f"{name}: {value}\n" for name, value in shown.items()) + "\n" + text
    given, root = part_from_rfc822(raw.encode())
    return read_message(item_id="1", thread="1", at=NOW, headers=given, root=root, outbound=outbound)


MACHINES = {
    "an out-of-office": ({"Auto-Submitted": "auto-replied"}, "auto_reply"),
    "an out-of-office with a comment": ({"Auto-Submitted": "auto-replied; owner-email=x"}, "auto_reply"),
    "Auto-Submitted in capitals": ({"AUTO-SUBMITTED": "Auto-Replied"}, "auto_reply"),
    "an absence told by subject and header": (
        {"Subject": "Automatic reply: Offer", "X-Auto-Response-Suppress": "All"},
        "auto_reply",
    ),
    "an absence told by subject alone": ({"Subject": "Automatic reply: Offer"}, "auto_reply"),
    "an auto reply with a colon": ({"Subject": "Auto reply: Offer"}, "auto_reply"),
    "a German absence": ({"Subject": "Abwesenheitsnotiz: Angebot", "Precedence": "bulk"}, "auto_reply"),
    "a Chinese absence": ({"Subject": "自动回复: 报价", "Precedence": "auto_reply"}, "auto_reply"),
    "X-Autoreply": ({"X-Autoreply": "yes"}, "auto_reply"),
    "Precedence: auto_reply": ({"Precedence": "auto_reply"}, "auto_reply"),
    "a generated notice": ({"Auto-Submitted": "auto-generated"}, "notification"),
    "a mailing list": ({"List-Id": "News <news.acme.example>"}, "list"),
    "a mailing list that answers": ({"List-Id": "<l.example>", "Auto-Submitted": "auto-generated"}, "list"),
    "List-Post": ({"List-Post": "<mailto:all@l.example>"}, "list"),
    "Precedence: list": ({"Precedence": "List"}, "list"),
    "a newsletter": ({"List-Unsubscribe": "<https://n.example/u>"}, "bulk"),
    "one-click": ({"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}, "bulk"),
    "Feedback-ID": ({"Feedback-ID": "1:news:mailer"}, "bulk"),
    "Precedence: bulk": ({"Precedence": "bulk"}, "bulk"),
    "Precedence: junk": ({"Precedence": "junk"}, "bulk"),
    "no-reply": ({"From": "Shop <no-reply@shop.example>"}, "notification"),
    "no_reply with more": ({"From": "noreply+abc@shop.example"}, "notification"),
    "notifications": ({"From": "notifications@tool.example"}, "notification"),
    "a delivery report": ({"Content-Type": "multipart/report; report-type=delivery-status; boundary=x"}, "bounce"),
    "a read receipt": ({"Content-Type": "multipart/report; report-type=disposition-notification"}, "receipt"),
    "an abuse report": ({"Content-Type": "multipart/report; report-type=feedback-report"}, "notification"),
    "X-Failed-Recipients": ({"X-Failed-Recipients": "gone@n.example"}, "bounce"),
    "a mailer daemon": ({"From": "MAILER-DAEMON@mx.example", "Subject": "Returned mail"}, "bounce"),
    "a mailer daemon without an address": ({"From": "MAILER-DAEMON", "Subject": "failure notice"}, "bounce"),
    "a daemon whose address is empty": ({"From": "MAILER-DAEMON <>", "Subject": "Mail delivery failed"}, "bounce"),
    "a null path and the words": ({"Return-Path": "<>", "Subject": "Undeliverable: Offer"}, "bounce"),
    "a calendar message": ({"Content-Type": "text/calendar; method=REQUEST"}, "calendar"),
    "an Exchange server's absence": ({"Subject": "Out of Office AutoReply: Offer"}, "auto_reply"),
    "a German absence by its subject": ({"Subject": "Abwesenheitsnotiz: Angebot"}, "auto_reply"),
    "a Dutch absence by its subject": ({"Subject": "Automatisch antwoord: Offerte"}, "auto_reply"),
    "a French absence by its subject": ({"Subject": "Réponse automatique : Devis"}, "auto_reply"),
    "a Spanish absence by its subject": ({"Subject": "Respuesta automática: Oferta"}, "auto_reply"),
    "a Chinese absence by its subject": ({"Subject": "自动答复: 报价"}, "auto_reply"),
    "an Exchange server": (
        {"From": "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@n.example", "Subject": "Undeliverable: Offer"},
        "bounce",
    ),
    "a list's own name": ({"From": "owner-windmills@lists.example"}, "list"),
    "a list's machinery": ({"From": "windmills-request@lists.example"}, "list"),
    "a sender without an address": ({"From": "no.address@n.example"}, "notification"),
}

PEOPLE = {
    "a letter": {},
    "Auto-Submitted: no": {"Auto-Submitted": "no"},
    "an absence note written by hand": {"Subject": "I am out of the office on Friday"},
    "a forwarded bounce": {"Subject": "Fwd: Returned mail: see transcript for details"},
    "a question about a newsletter": {"Subject": "Can I unsubscribe from your newsletter?"},
    "a null path alone": {"Return-Path": "<>"},
    "Precedence: normal": {"Precedence": "normal"},
    "Norbert Reply": {"From": "Norbert Reply <norbert.reply@n.example>"},
    "a person called Alert": {"From": "ann.alerton@n.example"},
    "a person in charge of Exchange": {"From": "exchange.administrator@n.example", "Subject": "Your new mailbox"},
    "an absence told in German by hand": {"Subject": "Abwesenheit am Freitag"},
    "an absence told in French by hand": {"Subject": "Absence du bureau vendredi"},
    "an absence told by one's subject": {"Subject": "Out of Office"},
    "a house owner": {"From": "owner@n.example"},
    "Neville News": {"From": "neville.news@n.example"},
}


@pytest.mark.parametrize(("headers", "kind"), MACHINES.values(), ids=MACHINES)
def test_it_knows_a_machine(headers: dict[str, str], kind: str) -> None:
    message = read(headers)
    assert message.machine == kind
    assert message.machine_reason


@pytest.mark.parametrize("headers", PEOPLE.values(), ids=PEOPLE)
def test_it_leaves_people_alone(headers: dict[str, str]) -> None:
    message = read(headers)
    assert (message.machine, message.machine_reason) == (None, "")


FOOTERS = (
    "To unsubscribe from these mails, click here.",
    "If you no longer wish to receive\nthese e-mails, reply with REMOVE.",
    "You are receiving this e-mail because you signed up at shop.example.",
    "Unsubscribe: https://n.example/u",
    "Wenn Sie keine weiteren Newsletter wünschen, können Sie sich hier abmelden.",
    "Pour vous désabonner, cliquez ici.",
    "Si no desea recibir más correos, puede darse de baja aquí.",
    "Klik hier om je uit te schrijven.",
    "如需退订，请点击此处。",
)


@pytest.mark.parametrize("footer", FOOTERS)
def test_a_circular_without_any_header_is_known_by_its_last_lines(footer: str) -> None:
    text = f"Windmills from 9,99! Only this week.\n\n{footer}\n"
    assert read({}, text).machine == "bulk"
    assert read({"Content-Type": "text/html"}, f"<p>Windmills!</p><p>{footer}</p>").machine == "bulk"
    assert read({"Subject": "Re: Windmills"}, text).machine is None, "who answers is a person, whatever stands below"
    assert read({"In-Reply-To": "<1@a.example>"}, text).machine is None
    assert read({}, f"Look at this.\n\n-----Original Message-----\nFrom: Shop\n{text}").machine is None
    assert read({}, f"Is this from you?\n\n> {footer.splitlines()[0]}\n> {footer.splitlines()[-1]}\n").machine is None


@pytest.mark.parametrize(
    "text",
    [
        "Please unsubscribe me from your newsletter.",
        "I do not want to receive any more offers, we have decided.",
        "Could you remove my colleague from this thread? He has left us.",
        "Ich möchte mich vom Termin abmelden, es tut mir leid.",
        "We would like to cancel the subscription that we signed in May.",
        "How can our users opt out of the reports?",
    ],
)
def test_who_asks_to_be_taken_off_is_a_person(text: str) -> None:
    assert read({}, f"Hello Rae,\n\n{text}\n\nBea").machine is None


@pytest.mark.parametrize("name", ["List-Unsubscribe", "Feedback-ID", "Precedence", "List-Id"])
def test_what_our_own_user_sent_is_never_a_machines(name: str) -> None:
    assert read({name: "bulk"}, outbound=True).machine is None


def test_our_own_out_of_office_is_a_machines() -> None:
    assert read({"Auto-Submitted": "auto-replied"}, outbound=True).machine == "auto_reply"


def test_a_returned_mail_without_any_header_is_known_by_two_signs() -> None:
    text = "Your message could not be delivered to gone@n.example.\n\nReceived: from mx.example\nMessage-ID: <1@a.example>\n"
    found = read({"From": "gateway@n.example", "Subject": "Mail could not be delivered"}, text)
    assert (found.machine, found.bounced, found.bounce_of) == ("bounce", ("gone@n.example",), "1@a.example")


def test_talk_about_undelivered_mail_is_no_bounce() -> None:
    assert (
        read({"Subject": "Re: Offer"}, "Your offer could not be delivered to my boss, 550 people wait.").machine is None
    )
