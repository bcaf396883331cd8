"""From the bytes of a mail to what Graph shows of it: people, body, the new part of the body, attachments, headers."""

from __future__ import annotations

import base64
import html
import re
from email.utils import getaddresses
from functools import cached_property
from typing import Any

from sandbox.microsoft.forms import item_id
from sandbox.mime import attachment_of, content_type, decode_words, header, payload_of, raw_headers, split_head

_SIMPLE = re.compile(r'\s*(?:"([^"\\]*)"|([^"<>,:;()]*))\s*<([^<>\s,]+)>\s*\Z')
_TAGS = re.compile(r"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.I | re.S)
_BREAKS = re.compile(r"<br\s*/?>|</(?:p|div|tr|li|h\d)\s*>", re.I)
_METHOD = re.compile(rb"^content-type:\s*text/calendar[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.I | re.M)
_ANSWER = re.compile(rb"PARTSTAT=(ACCEPTED|TENTATIVE|DECLINED)", re.I)
_ANSWERS = {"ACCEPTED": "meetingAccepted", "TENTATIVE": "meetingTenativelyAccepted", "DECLINED": "meetingDeclined"}
_SPACE = re.compile(r"\s+")
_QUOTES = (
    re.compile(r"^[ \t]*-{2,}\s*(?:Original Message|Ursprüngliche Nachricht)\s*-{2,}", re.I | re.M),
    re.compile(r"^(?:On|Am|Op|Le)\s[^\n]{0,200}\n?[^\n]{0,80}(?:wrote|schrieb|schreef|écrit)[^\n]{0,80}:\s*$", re.M),
    re.compile(r"^_{10,}\s*$", re.M),
    re.compile(r"^From: [^\n]+\n(?:Sent|Date): ", re.M),
    re.compile(r"^>", re.M),
)
_HTML_QUOTES = (
    re.compile(r'<div[^>]+(?:class="?gmail_quote|id="?(?:appendonsend|divRplyFwdMsg))', re.I),
    re.compile(r"<blockquote\b", re.I),
    re.compile(r"<div[^>]*border-top:\s*solid\s+#(?:E1E1E1|B5C4DF)", re.I),
)
_PAGE = (
    '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>{}</body></html>'
)


class Letter:
    """A parsed mail; everything is worked out when it is first asked for."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        return raw_headers(split_head(self.raw)[0])

    @cached_property
    def leaves(self) -> list[dict[str, Any]]:
        """The parts without children, in order; an enclosed message is one, its own parts are none."""
        return list(_leaves(payload_of(self.raw)))

    def one(self, name: str) -> str:
        return decode_words(header(self.headers, name.lower()))

    def people(self, name: str) -> list[dict[str, Any]]:
        """The recipients (Graph's form) of a header that may come more than once."""
        return [one for key, value in self.headers if key.lower() == name.lower() for one in recipients(value)]

    def words(self) -> str:
        """The body as plain text."""
        plain, marked = self._texts
        return plain or plain_of(marked)

    def page(self) -> str:
        """The body as HTML, the way Exchange keeps it."""
        plain, marked = self._texts
        if marked:
            return marked
        lines = html.escape(plain.rstrip("\r\n"), quote=False).replace("\r\n", "\n").split("\n")
        return _PAGE.format('<div class="PlainText">' + "<br>\r\n".join(lines) + "</div>")

    def preview(self) -> str:
        """The first 255 characters of the words."""
        return _SPACE.sub(" ", self.words()[:4_000]).strip()[:255]

    def new_words(self) -> str:
        """The words without what is quoted below them (Exchange compares with the conversation; here marks decide)."""
        return _before(self.words().replace("\r\n", "\n"), _QUOTES)

    def new_page(self) -> str:
        page = self.page()
        if not self._texts[1]:
            cut = html.escape(self.new_words(), quote=False).split("\n")
            return _PAGE.format('<div class="PlainText">' + "<br>\r\n".join(cut) + "</div>")
        cut = _before(page, _HTML_QUOTES)
        return cut if cut == page else f"{cut}</body></html>"

    def attachments(self, key: str, at: str) -> list[dict[str, Any]]:
        """Graph's attachments with their content; `key` is the message's, `at` its time."""
        found = []
        for part in self.leaves:
            if _is_text(part) or part["mimeType"] == "text/calendar":
                continue
            content = attachment_of(self.raw, part["partId"]) or b""
            headers = [(one["name"], one["value"]) for one in part["headers"]]
            enclosed = part["mimeType"] == "message/rfc822"
            kind = "itemAttachment" if enclosed else "fileAttachment"
            shown: dict[str, Any] = {"@odata.type": f"#microsoft.graph.{kind}"}
            shown |= {"id": item_id("AAMkAT", key, part["partId"]), "lastModifiedDateTime": at}
            shown |= {"name": part["filename"] or _enclosed_name(part, content), "contentType": part["mimeType"]}
            shown |= {"size": len(content), "isInline": _is_inline(headers)}
            if not enclosed:
                shown["@odata.mediaContentType"] = part["mimeType"]
                shown |= {"contentId": header(headers, "content-id").strip("<>") or None, "contentLocation": None}
                shown["contentBytes"] = base64.b64encode(content).decode()
            found.append(shown)
        return found

    @cached_property
    def _texts(self) -> tuple[str, str]:
        plain = marked = ""
        for part in self.leaves:
            data = part["body"].get("data") if _is_text(part) else None
            if data:
                words = base64.urlsafe_b64decode(data).decode("utf-8", "replace")
                if part["mimeType"] == "text/html":
                    marked = marked or words
                else:
                    plain = plain or words
        return plain, marked


def recipients(value: str) -> list[dict[str, Any]]:
    """An address header as Graph's recipients; a group without members has none."""
    if found := _SIMPLE.match(value):
        pairs = [((found[1] or found[2] or "").strip(), found[3])]
    else:
        pairs = getaddresses([value])
    return [recipient(decode_words(name), address) for name, address in pairs if address]


def recipient(name: str, address: str) -> dict[str, Any]:
    return {"emailAddress": {"name": name or address, "address": address}}


def meeting_of(raw: bytes) -> str:
    """The meetingMessageType that Outlook gives a mail with an iCalendar part (RFC 6047), "" for other mail."""
    found = _METHOD.search(raw)
    if not found:
        return ""
    value = found[0].decode("latin-1").partition(":")[2]
    method = content_type(" ".join(value.split()))[1].get("method", "").upper()
    if method == "REPLY":
        answer = _ANSWER.search(raw)
        return _ANSWERS[answer[1].decode().upper()] if answer else "meetingAccepted"
    return {"REQUEST": "meetingRequest", "CANCEL": "meetingCancelled"}.get(method, "")


def plain_of(marked: str) -> str:
    return html.unescape(_TAGS.sub(" ", _BREAKS.sub("\n", marked))).strip()


def _leaves(part: dict[str, Any]) -> Any:
    if part["mimeType"] == "message/rfc822" or not part.get("parts"):
        yield part
        return
    for one in part["parts"]:
        yield from _leaves(one)


def _is_text(part: dict[str, Any]) -> bool:
    return part["mimeType"].startswith("text/") and part["mimeType"] != "text/calendar" and not part["filename"]


def _is_inline(headers: list[tuple[str, str]]) -> bool:
    disposition = content_type(header(headers, "content-disposition") or "none")[0]
    return disposition == "inline" or (disposition == "none" and bool(header(headers, "content-id")))


def _enclosed_name(part: dict[str, Any], content: bytes) -> str:
    if part["mimeType"] == "message/rfc822":
        return decode_words(header(raw_headers(split_head(content)[0]), "subject")) or "Untitled"
    return "Untitled"


def _before(text: str, marks: tuple[re.Pattern[str], ...]) -> str:
    found = [one.start() for mark in marks if (one := mark.search(text))]
    return text[: min(found)].rstrip() if found else text
