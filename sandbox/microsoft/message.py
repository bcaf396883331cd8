"""A message as Graph shows it (microsoft.graph.message and eventMessage): only what is asked for is worked out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sandbox.microsoft.forms import moment
from sandbox.microsoft.letter import Letter, recipient
from sandbox.microsoft.outlook import Item, OutlookBox
from sandbox.mime import decode_words

WITHOUT_BODY = frozenset({"body", "bodyPreview", "uniqueBody", "attachments"})
"""What Mail.ReadBasic does not show."""
ON_DEMAND = frozenset({"internetMessageHeaders", "uniqueBody", "meetingMessageType", "attachments"})
_TYPES = {"meetingRequest": "eventMessageRequest", "meetingCancelled": "eventMessage", "": "message"}


@dataclass
class Shown:
    """One message for one request: `immutable` ids, bodies as `text`."""

    box: OutlookBox
    item: Item
    immutable: bool = False
    text: bool = False

    @cached_property
    def letter(self) -> Letter:
        return Letter(self.item.bytes())

    @property
    def id(self) -> str:
        return self.item.key if self.immutable else self.item.id

    @property
    def type(self) -> str:
        return "#microsoft.graph." + _TYPES.get(self.item.meeting, "eventMessageResponse")

    def get(self, name: str) -> Any:
        """A property. Raises KeyError for a name that messages do not have."""
        return _PROPERTIES[name](self)

    def value(self, path: str) -> Any:
        """A property by its path, such as from/emailAddress/address; None where it ends early. Raises KeyError."""
        found: Any = None
        for at, name in enumerate(path.split("/")):
            found = self.get(name) if at == 0 else (found or {}).get(name)
        return found

    def whole(self, names: Iterable[str]) -> dict[str, Any]:
        """The message with these properties; names it does not have (of derived types too) are left out."""
        shown: dict[str, Any] = {"@odata.etag": self.etag}
        if self.item.meeting:
            shown["@odata.type"] = self.type
        shown["id"] = self.id
        for name in names:
            name = name.rpartition("/")[2] if "/" in name else name
            if name in _PROPERTIES and name != "id" and not self._lacks(name):
                shown[name] = self.get(name)
        return shown

    def _lacks(self, name: str) -> bool:
        """Sent copies carry no headers; only meeting mail has a meeting type."""
        if name == "meetingMessageType":
            return not self.item.meeting
        sent = self.box.known["sentitems"].id == self.item.folder or self.item.draft
        return name == "internetMessageHeaders" and (sent or not self.letter.headers)

    @property
    def etag(self) -> str:
        return f'W/"{self.change_key}"'

    @property
    def change_key(self) -> str:
        digest = hashlib.sha256(f"{self.item.key}{self.item.serial}".encode()).digest()
        return "CQAAAB" + base64.b64encode(digest[:15]).decode()

    def sender(self, name: str) -> dict[str, Any] | None:
        found = self.letter.people(name) or self.letter.people("From")
        if not found and (self.item.draft or self.item.folder == self.box.known["sentitems"].id):
            return recipient(self.box.name, self.box.email)
        return found[0] if found else None

    def body(self, words: Callable[[], str], page: Callable[[], str]) -> dict[str, str]:
        return {"contentType": "text", "content": words()} if self.text else {"contentType": "html", "content": page()}

    def index(self) -> str:
        head = hashlib.sha256(self.item.conversation.encode()).digest()[:22]
        return base64.b64encode(b"\x01" + head[1:] + bytes(5) * self.item.depth).decode()

    def internet_headers(self) -> list[dict[str, str]]:
        left_out = {"from", "to"} if self.box.knobs.thin_headers else set()
        pairs = [(name, decode_words(value)) for name, value in self.letter.headers if name.lower() not in left_out]
        return [{"name": name, "value": value} for name, value in pairs]

    def internet_id(self) -> str | None:
        found = self.letter.one("Message-ID").strip()
        return found or f"<{self.item.key[6:38]}@{self.box.email.rpartition('@')[2]}>"

    def importance(self) -> str:
        wanted = self.letter.one("Importance").lower() or {"1": "high", "5": "low"}.get(
            self.letter.one("X-Priority")[:1], ""
        )
        return wanted if wanted in ("low", "high") else "normal"

    def sent(self) -> str:
        at = self.item.envelope.sent_at
        return moment(self.item.ms / 1000 if at is None or not 0 <= at < 253_402_300_000 else at)


_PROPERTIES: dict[str, Callable[[Shown], Any]] = {
    "id": lambda m: m.id,
    "createdDateTime": lambda m: moment(m.item.created),
    "lastModifiedDateTime": lambda m: moment(m.item.changed),
    "changeKey": lambda m: m.change_key,
    "categories": lambda m: list(m.item.categories),
    "receivedDateTime": lambda m: moment(m.item.ms / 1000),
    "sentDateTime": lambda m: m.sent(),
    "hasAttachments": lambda m: m.item.envelope.attached,
    "internetMessageId": lambda m: m.internet_id(),
    "subject": lambda m: m.letter.one("Subject"),
    "bodyPreview": lambda m: m.letter.preview(),
    "importance": lambda m: m.importance(),
    "parentFolderId": lambda m: m.item.folder,
    "conversationId": lambda m: m.item.conversation,
    "conversationIndex": lambda m: m.index(),
    "isDeliveryReceiptRequested": lambda m: bool(m.letter.one("Return-Receipt-To")) if not m.item.draft else None,
    "isReadReceiptRequested": lambda m: bool(m.letter.one("Disposition-Notification-To")),
    "isRead": lambda m: m.item.read,
    "isDraft": lambda m: m.item.draft,
    "webLink": lambda m: (
        f"https://outlook.office365.com/owa/?ItemID={m.item.id[:24]}&exvsurl=1&viewmodel=ReadMessageItem"
    ),
    "inferenceClassification": lambda m: "focused",
    "meetingMessageType": lambda m: m.item.meeting,
    "body": lambda m: m.body(m.letter.words, m.letter.page),
    "uniqueBody": lambda m: m.body(m.letter.new_words, m.letter.new_page),
    "sender": lambda m: m.sender("Sender"),
    "from": lambda m: m.sender("From"),
    "toRecipients": lambda m: m.letter.people("To"),
    "ccRecipients": lambda m: m.letter.people("Cc"),
    "bccRecipients": lambda m: m.letter.people("Bcc"),
    "replyTo": lambda m: m.letter.people("Reply-To"),
    "flag": lambda m: {"flagStatus": m.item.flag},
    "internetMessageHeaders": lambda m: m.internet_headers(),
    "attachments": lambda m: m.letter.attachments(m.item.key, moment(m.item.changed)),
}
NAMES = frozenset(_PROPERTIES)
USUAL = tuple(name for name in _PROPERTIES if name not in ON_DEMAND and name != "id") + ("meetingMessageType",)
"""What comes without $select."""
