"""Mails for the tests of the sandbox, as bytes."""

from __future__ import annotations

from collections.abc import Iterable
from email.message import EmailMessage
from email.policy import SMTP

from tests.sandbox.conftest import BUYER, ME


def mail(
    sender: str = BUYER,
    to: str = ME,
    subject: str = "Hello",
    text: str = "Hello there & welcome.",
    *,
    message_id: str = "",
    attachment: bytes | None = None,
    html: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = "Mon, 02 Nov 2026 08:00:00 +0000"
    if message_id:
        message["Message-ID"] = f"<{message_id}>"
    for name, value in headers:
        message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    if attachment is not None:
        message.add_attachment(attachment, maintype="application", subtype="pdf", filename="quote.pdf")
    return message.as_bytes()
