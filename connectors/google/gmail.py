"""A Gmail mailbox as a source of messages (Gmail API v1; provider-contract 1.3 to 1.7)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from connectors.base import Hits
from connectors.errors import ConnectorError, CursorExpired, Gone, Refused, TryLater
from connectors.google.batch import Batch
from connectors.google.client import Client
from connectors.google.faults import NotFound
from connectors.google.payload import apart, internal_date, part_of
from connectors.items import Item, Listed, Message, Page, Place, Removed, Unreadable
from connectors.mail import read_message

PAGE = 500
HISTORY_PAGE = 100
LABELS_FOR = 600.0
NOT_MAIL = "-in:drafts -in:chats"
THREAD_PAYS = 3
"""Wanted messages of one thread from which on reading the whole thread is cheaper (40 units against 20 each)."""
HEADERS_ONLY = "id,threadId,labelIds,historyId,internalDate,sizeEstimate,payload(mimeType,headers)"
"""What is asked for where only headers are wanted: Gmail would send the beginning of the text along (``snippet``)."""
ANY_ID = "any-id"
"""Stands for the id in the pattern of a request."""
SYSTEM_PLACES: tuple[tuple[str, Place], ...] = (
    ("DRAFT", "draft"),
    ("SPAM", "spam"),
    ("TRASH", "trash"),
    ("CHAT", "chat"),
)


class GmailMailbox:
    """``connectors.base.Mailbox`` on Gmail. ``own``: addresses that mail of the owner may come from."""

    searchable = True
    pull_lists = False
    search_width = 20

    def __init__(self, client: Client, own: Iterable[str] = ()) -> None:
        self._client = client
        self._own = {address.lower() for address in own}
        self._batch = Batch(client, client.config.gmail_batch)
        self._labels: tuple[float, dict[str, str]] = (0.0, {})

    def pin(self) -> str:
        """The history id of now (getProfile, 1 unit)."""
        return json.dumps({"h": _history_id(self._profile())})

    def count(self) -> int | None:
        total = self._profile().get("messagesTotal")
        return total if isinstance(total, int) else None

    def pull(self, cursor: str) -> Page:
        """One page of history with the headers of what is new. Raises CursorExpired on 404."""
        where = _cursor(cursor)
        answer = self._history(where["h"], str(where.get("p") or ""))
        fates = _fates(answer.get("history") or [])
        fetched = self._read([key for key, fate in fates.items() if fate == "fetch"], "metadata", urgent=True)
        items: list[Item] = []
        items += [Removed(key, fate) for key, fate in fates.items() if fate != "fetch"]  # pyright: ignore[reportArgumentType]
        token = answer.get("nextPageToken")
        if token:
            return Page((*fetched, *items), json.dumps({"h": where["h"], "p": token}), more=True)
        return Page((*fetched, *items), json.dumps({"h": _history_id(answer)}), more=False)

    def search(self, addresses: Sequence[str], *, after: datetime | None, page: str = "") -> Hits:
        """messages.list with one query for all of ``addresses``, newest first (5 units)."""
        terms = " ".join(f"{field}:{_term(one)}" for one in addresses for field in ("from", "to", "cc"))
        return self._list(f"{{{terms}}} {_since(after)}{NOT_MAIL}", page)

    def listing(self, *, after: datetime | None, before: datetime | None, page: str = "") -> Hits:
        until = f"before:{int(before.timestamp())} " if before else ""
        return self._list(f"{_since(after)}{until}{NOT_MAIL}", page)

    def sent(self, *, page: str = "") -> Hits:
        return self._list("in:sent", page)

    def find_message_id(self, message_id: str) -> list[str]:
        return [hit.item_id for hit in self._list(f"rfc822msgid:{message_id}", "").items]

    def headers(self, ids: Sequence[str]) -> list[Item]:
        """messages.get in format metadata, batched."""
        return self._read(ids, "metadata", urgent=False)

    def open(self, hits: Sequence[Listed]) -> list[Item]:
        """Whole messages; a thread of which three or more are wanted is read as one."""
        by_thread: dict[str, list[str]] = {}
        for hit in hits:
            if hit.thread:
                by_thread.setdefault(hit.thread, []).append(hit.item_id)
        whole = [thread for thread, ids in by_thread.items() if len(ids) >= THREAD_PAYS]
        found: dict[str, Item] = self._threads(whole, {hit.item_id for hit in hits}) if whole else {}
        rest = [hit.item_id for hit in hits if hit.item_id not in found]
        found.update((item.item_id, item) for item in self._read(rest, "full", urgent=False))
        return [found[hit.item_id] for hit in hits]

    # -- reading

    def _history(self, start: str, page: str) -> dict[str, Any]:
        history = self._client.hold("history", lambda: self._client.gmail().users().history())
        request = history.list(
            userId="me",
            startHistoryId=start,
            maxResults=HISTORY_PAGE,
            historyTypes=["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"],
            pageToken=page or None,
            quotaUser=self._client.quota_user or None,
        )
        try:
            return self._client.call(request, units=self._cost("history"), urgent=True)
        except NotFound:
            raise CursorExpired(
                "history_expired", "Gmail no longer knows where we were; the gap is read again."
            ) from None
        except TryLater as error:
            if page and error.code == "bad_request":
                return self._history(start, "")
            raise

    def _read(self, ids: Sequence[str], style: str, *, urgent: bool) -> list[Item]:
        messages = self._client.hold("messages", lambda: self._client.gmail().users().messages())
        quota_user = self._client.quota_user or None

        def pattern() -> Any:
            fields = HEADERS_ONLY if style == "metadata" else None
            return messages.get(userId="me", id=ANY_ID, format=style, fields=fields, quotaUser=quota_user)

        def request(key: str) -> Any:
            return lambda: _alike(self._client.hold(f"get {style}", pattern), key)

        wanted = list(dict.fromkeys(ids))
        if not wanted:
            return []
        found = self._batch.read({key: request(key) for key in wanted}, units=self._cost("get"), urgent=urgent)
        if style == "full":
            self._complete(found)
        return [self._item(key, found[key], with_body=style == "full") for key in wanted]

    def _threads(self, threads: Sequence[str], wanted: set[str]) -> dict[str, Item]:
        """Whole threads; those that fail are left to single reads."""
        resource = self._client.hold("threads", lambda: self._client.gmail().users().threads())
        quota_user = self._client.quota_user or None

        def pattern() -> Any:
            return resource.get(userId="me", id=ANY_ID, format="full", quotaUser=quota_user)

        def request(key: str) -> Any:
            return lambda: _alike(self._client.hold("get thread", pattern), key)

        answers = self._batch.read({key: request(key) for key in threads}, units=self._cost("thread"))
        messages: dict[str, dict[str, Any] | Unreadable] = {}
        for answer in answers.values():
            for message in answer.get("messages") or [] if isinstance(answer, dict) else []:
                if isinstance(message, dict) and message.get("id") in wanted and "payload" in message:
                    messages[message["id"]] = message
        self._complete(messages)
        return {key: self._item(key, message, with_body=True) for key, message in messages.items()}

    def _complete(self, answers: dict[str, dict[str, Any] | Unreadable]) -> None:
        """Fetch the text that Gmail keeps apart from its message (a large body, a delivery report) and put it in its place.
        A message whose text cannot be had now is not readable now."""
        attachments = self._client.hold("files", lambda: self._client.gmail().users().messages().attachments())
        places: dict[str, tuple[str, dict[str, Any]]] = {}
        for key, answer in answers.items():
            for number, body in enumerate(apart(answer.get("payload")) if isinstance(answer, dict) else []):
                places[f"{key}/{number}"] = (key, body)

        def request(key: str, body: dict[str, Any]) -> Any:
            return lambda: attachments.get(userId="me", messageId=key, id=body["attachmentId"])

        wanted = {name: request(key, body) for name, (key, body) in places.items()}
        found = self._batch.read(wanted, units=self._cost("get")) if wanted else {}
        for name, content in found.items():
            key, body = places[name]
            if isinstance(content, Unreadable):
                answers[key] = replace(content, item_id=key)
            else:
                body["data"] = content.get("data", "")

    def _item(self, key: str, answer: dict[str, Any] | Unreadable, *, with_body: bool) -> Item:
        if isinstance(answer, Unreadable):
            return answer
        if answer.get("id") != key or not isinstance(answer.get("payload"), dict):
            return Unreadable(key, "malformed")
        try:
            return self._message(key, answer, with_body=with_body)
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001  (one message that cannot be parsed is that message's matter)
            return Unreadable(key, f"parse_{type(error).__name__.lower()}"[:60])

    def _message(self, key: str, answer: dict[str, Any], *, with_body: bool) -> Message:
        payload = answer["payload"]
        labels = [str(label) for label in answer.get("labelIds") or []]
        root = part_of(payload)
        return read_message(
            item_id=key,
            thread=str(answer.get("threadId", "")),
            at=internal_date(answer.get("internalDate")),
            headers=root.headers,
            place=next((place for label, place in SYSTEM_PLACES if label in labels), "mail"),
            outbound="SENT" in labels or self._from_owner(root.header("from")),
            labels=self._names(labels),
            size=int(answer.get("sizeEstimate") or 0),
            root=root,
            with_body=with_body,
        )

    def _from_owner(self, value: str) -> bool:
        from connectors.addresses import parse

        senders = parse(value, "from") if self._own else []
        return bool(senders) and all(party.address.lower() in self._own for party in senders)

    def _names(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Names of the user's own labels; system ones say nothing that a person wrote."""
        mine = [label for label in labels if label.startswith("Label_")]
        if not mine:
            return ()
        read_at, names = self._labels
        if self._client.clock.monotonic() - read_at > LABELS_FOR or any(label not in names for label in mine):
            names = dict.fromkeys(mine, "") | self._all_names()
            self._labels = (self._client.clock.monotonic(), names)
        return tuple(names[label] or label for label in mine)

    def _all_names(self) -> dict[str, str]:
        request = self._client.gmail().users().labels().list(userId="me", quotaUser=self._client.quota_user or None)
        try:
            answer = self._client.call(request, units=self._cost("small"))
        except (Refused, Gone):
            return {}
        return {str(row.get("id")): str(row.get("name", "")) for row in answer.get("labels") or []}

    def _list(self, query: str, page: str) -> Hits:
        messages = self._client.hold("messages", lambda: self._client.gmail().users().messages())
        request = messages.list(
            userId="me", q=query, maxResults=PAGE, pageToken=page or None, quotaUser=self._client.quota_user or None
        )
        try:
            answer = self._client.call(request, units=self._cost("list"))
        except TryLater as error:
            if page and error.code == "bad_request":
                return self._list(query, "")
            raise
        hits = tuple(
            Listed(str(row["id"]), str(row.get("threadId", "")))
            for row in answer.get("messages") or []
            if isinstance(row, dict) and row.get("id")
        )
        estimate = answer.get("resultSizeEstimate")
        return Hits(hits, str(answer.get("nextPageToken") or ""), estimate if isinstance(estimate, int) else None)

    def _profile(self) -> dict[str, Any]:
        request = self._client.gmail().users().getProfile(userId="me", quotaUser=self._client.quota_user or None)
        return self._client.call(request, units=self._cost("small"), urgent=True)

    def _cost(self, what: str) -> int:
        return self._client.config.costs[what]


def _alike(pattern: Any, key: str) -> Any:
    """The request of a pattern for another id: having the library build each anew costs a tenth of a millisecond."""
    made = copy.copy(pattern)
    made.uri = pattern.uri.replace(ANY_ID, quote(key, safe=""))
    return made


def _fates(history: Sequence[Any]) -> dict[str, str]:
    """What to do about each message of a history page: fetch, or it was deleted, trashed, or called spam. The last word
    counts; drafts are left alone until they are sent (provider-contract 1.4, 1.5)."""
    fates: dict[str, str] = {}
    for record in history:
        if not isinstance(record, dict):
            continue
        typed = False
        for kind in ("messagesAdded", "messagesDeleted", "labelsAdded", "labelsRemoved"):
            for entry in record.get(kind) or []:
                message = entry.get("message") or {}
                typed = typed or bool(message.get("id"))
                fate = _fate(kind, message.get("labelIds"), entry.get("labelIds") or [])
                if message.get("id") and fate:
                    fates.pop(message["id"], None)
                    fates[message["id"]] = fate
        for message in record.get("messages") or [] if not typed else []:
            if message.get("id"):
                fates.setdefault(message["id"], "fetch")
    return fates


def _fate(kind: str, labels: list[str] | None, changed: list[str]) -> str:
    if kind == "messagesDeleted":
        return "deleted"
    if kind == "messagesAdded":
        return "" if labels and "DRAFT" in labels else "fetch"
    if kind == "labelsAdded":
        if "TRASH" in changed or "SPAM" in changed:
            return "trash" if "TRASH" in changed else "spam"
        return "fetch" if {"SENT", "INBOX"}.intersection(changed) else ""
    return "fetch" if {"SPAM", "TRASH", "DRAFT"}.intersection(changed) else ""


def _history_id(answer: dict[str, Any]) -> str:
    """The history id of an answer; one without it is no answer."""
    found = str(answer.get("historyId") or "")
    if not found.isdigit():
        raise TryLater("not_json", "Google's answer was not what it should be; we try again.")
    return found


def _cursor(cursor: str) -> dict[str, str]:
    try:
        where = json.loads(cursor)
    except ValueError:
        where = {}
    if not isinstance(where, dict) or not str(where.get("h", "")).isdigit():
        raise CursorExpired(
            "history_unreadable", "The stored position in this mailbox is unusable; the gap is read again."
        )
    return where


def _term(address: str) -> str:
    """``@acme.example`` asks for a whole domain."""
    clean = address.removeprefix("@").replace('"', "")
    return f'"{clean}"' if any(c in clean for c in ' {}()"') else clean


def _since(after: datetime | None) -> str:
    """Epoch seconds: plain dates would mean midnight on the American west coast."""
    return f"after:{int(after.timestamp())} " if after else ""
