"""A letter of the invented team as the bytes a mail server would hold: headers, body, quoted history, attachment."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

_WROTE = {
    "en": "On {date}, {name} wrote:",
    "de": "Am {date} schrieb {name}:",
    "nl": "Op {date} schreef {name}:",
    "fr": "Le {date}, {name} a écrit :",
    "es": "El {date}, {name} escribió:",
}


@dataclass
class Letter:
    """Addresses are (name, address) pairs; `at` is aware UTC. `answers` is the letter this one replies to."""

    sender: tuple[str, str]
    to: list[tuple[str, str]]
    subject: str
    text: str
    at: datetime
    message_id: str
    cc: list[tuple[str, str]] = field(default_factory=list)
    answers: Letter | None = None
    language: str = "en"
    attachment: tuple[str, str, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    rich: bool = False

    def bytes(self) -> bytes:
        """The whole mail (RFC 5322), with the letter before it quoted below the text."""
        message = EmailMessage(policy=SMTP)
        message["From"] = formataddr(self.sender)
        message["To"] = ", ".join(formataddr(one) for one in self.to)
        if self.cc:
            message["Cc"] = ", ".join(formataddr(one) for one in self.cc)
        message["Subject"] = self.subject
        message["Date"] = format_datetime(self.at)
        message["Message-ID"] = f"<{self.message_id}>"
        if self.answers:
            message["In-Reply-To"] = f"<{self.answers.message_id}>"
            message["References"] = " ".join(f"<{one}>" for one in self.chain())
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text + self._quoted(), cte="quoted-printable")
        if self.rich:
            message.add_alternative(self._html(), subtype="html", cte="quoted-printable")
        if self.attachment:
            name, kind, content = self.attachment
            main, _, sub = kind.partition("/")
            message.add_attachment(content, maintype=main, subtype=sub, filename=name)
        for number, part in enumerate(one for one in message.walk() if one.is_multipart()):
            part.set_boundary(f"=_{self.message_id.partition('@')[0]}.{number}")
        return message.as_bytes()

    def chain(self) -> list[str]:
        """The ids of all letters before this one, oldest first."""
        found: list[str] = []
        before = self.answers
        while before and len(found) < 20:
            found.append(before.message_id)
            before = before.answers
        return found[::-1]

    def _head(self) -> str:
        before = self.answers
        if before is None:
            return ""
        date = before.at.strftime("%d %b %Y %H:%M")
        return _WROTE[self.language].format(date=date, name=f"{before.sender[0]} <{before.sender[1]}>")

    def _quoted(self) -> str:
        if self.answers is None:
            return ""
        below = self.answers.text.rstrip().splitlines()
        return f"\n\n{self._head()}\n\n" + "\n".join(f"> {line}" for line in below) + "\n"

    def _html(self) -> str:
        body = "".join(f"<div>{html.escape(line) or '<br>'}</div>" for line in self.text.splitlines())
        if self.answers:
            below = "<br>".join(html.escape(line) for line in self.answers.text.splitlines())
            head = html.escape(self._head())
            body += f'<br><div class="gmail_quote"><div class="gmail_attr">{head}<br></div>'
            body += f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex">{below}</blockquote></div>'
        return f'<div dir="ltr">{body}</div>'


def small_pdf(lines: list[str]) -> bytes:
    """One page of plain text as a PDF 1.4 file."""
    shown = " ".join(f"({line.translate(_ESCAPES)}) Tj T*" for line in lines)
    stream = f"BT /F1 12 Tf 60 780 Td 18 TL {shown} ET".encode("latin-1", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


_ESCAPES = str.maketrans({"(": "\\(", ")": "\\)", "\\": "\\\\"})
