"""Gmail API v1, the reading part: what each request is answered with. Shapes as in the discovery document gmail.v1."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from itertools import islice
from threading import Lock
from typing import Any

from sandbox.mailbox import Change, Mailbox, Stored
from sandbox.masks import apply_mask, parse_mask
from sandbox.mime import ATTACHMENT_MARK, attachment_of, payload_of, read_headers, snippet_of, split_head
from sandbox.search import Term, parse_query
from sandbox.wire import JSON, Answer, Request, bad_request, dump, forbidden, not_found
from sandbox.world import World

METADATA = "https://www.googleapis.com/auth/gmail.metadata"
_HEX = re.compile(r"[0-9a-f]{16}\Z")
_KINDS = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}
_FORMATS = ("minimal", "full", "raw", "metadata")
_HIDDEN = frozenset({"SPAM", "TRASH"})


class Rendered:
    """The costly parts of shown messages (part tree, snippet) as JSON, the last ones used, up to so many bytes."""

    def __init__(self, room: int = 96 << 20) -> None:
        self._room = room
        self._held = 0
        self._kept: OrderedDict[tuple, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple, make: Any) -> bytes:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            self._held += len(made)
            while self._held > self._room and len(self._kept) > 1:
                self._held -= len(self._kept.popitem(last=False)[1])
        return made


class Gmail:
    """One method for each operation id of the discovery document; `world` holds the state."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rendered = Rendered()

    def profile(self, box: Mailbox, request: Request) -> Any:
        return {
            "emailAddress": box.email,
            "messagesTotal": len(box.messages),
            "threadsTotal": len(box.threads),
            "historyId": str(box.readable_history()),
        }

    def list_messages(self, box: Mailbox, request: Request, metadata_only: bool) -> Any:
        found, more = self._search(box, request, metadata_only)
        shown: dict[str, Any] = {}
        if found:
            shown["messages"] = [{"id": stored.id, "threadId": stored.thread} for stored in found]
        if more:
            shown["nextPageToken"] = _token(found[-1])
        shown["resultSizeEstimate"] = 201 if more else len(found)
        return self.masked(shown, request)

    def get_message(self, box: Mailbox, request: Request, metadata_only: bool) -> Any:
        form = self._format(request, metadata_only, _FORMATS)
        return self._maybe_masked(self._shown(box, self._message(box, request.item), form, request), request)

    def get_thread(self, box: Mailbox, request: Request, metadata_only: bool) -> Any:
        form = self._format(request, metadata_only, ("minimal", "full", "metadata"))
        stored = [box.messages[one] for one in box.threads.get(_valid_id(request.item), ())]
        stored = [one for one in stored if box.visible(one)]
        if not stored:
            raise not_found()
        pieces = b",".join(self._shown(box, one, form, request) for one in stored)
        head = {"id": request.item, "historyId": str(max(one.history for one in stored))}
        return self._maybe_masked(dump(head)[:-1] + b',"messages":[' + pieces + b"]}", request)

    def list_threads(self, box: Mailbox, request: Request, metadata_only: bool) -> Any:
        found, more = self._search(box, request, metadata_only, by_thread=True)
        shown: dict[str, Any] = {"resultSizeEstimate": 201 if more else len(found)}
        if found:
            shown["threads"] = [self._thread_line(box, one) for one in found]
        if more:
            shown["nextPageToken"] = _token(found[-1])
        return self.masked(shown, request)

    def get_attachment(self, box: Mailbox, request: Request, attachment: str) -> Any:
        stored = self._message(box, request.item)
        part = re.fullmatch(r"ANGj[0-9A-Za-z_-]{12}p([0-9_]*)", attachment)
        content = attachment_of(stored.bytes(), part[1].replace("_", ".")) if part else None
        if content is None:
            raise bad_request("Invalid attachment token")
        return {"size": len(content), "data": base64.urlsafe_b64encode(content).decode()}

    def list_history(self, box: Mailbox, request: Request) -> Any:
        start = request.one("startHistoryId")
        if not start.isdigit():
            raise bad_request("Missing or invalid startHistoryId")
        kinds = set(request.many("historyTypes")) or set(_KINDS)
        if kinds - set(_KINDS):
            raise bad_request(f"Invalid value at 'history_types': {sorted(kinds - set(_KINDS))[0]!r}")
        label = request.one("labelId")
        if label and label not in box.names:
            raise not_found()
        changes = box.changes_after(int(start))
        if changes is None:
            raise not_found()
        after = _number_of(request.one("pageToken"))
        changes = [one for one in changes if one.id > after and one.kind in kinds]
        if label:
            changes = [one for one in changes if label in one.labels or label in _labels_now(box, one.message)]
        size = self._page_size(request, 100, 500)
        shown: dict[str, Any] = {}
        if changes:
            shown["history"] = [_history_line(one) for one in changes[:size]]
        if len(changes) > size:
            shown["nextPageToken"] = str(changes[size - 1].id)
        shown["historyId"] = str(box.readable_history())
        return shown

    def list_labels(self, box: Mailbox, request: Request) -> Any:
        return {"labels": [_label_line(one, name) for one, name in box.names.items()]}

    def get_label(self, box: Mailbox, request: Request) -> Any:
        if request.item not in box.names:
            raise not_found()
        ids = box.by_label.get(request.item, set())
        unread = ids & box.by_label.get("UNREAD", set())
        return _label_line(request.item, box.names[request.item]) | {
            "messagesTotal": len(ids),
            "messagesUnread": len(unread),
            "threadsTotal": len({box.messages[one].thread for one in ids}),
            "threadsUnread": len({box.messages[one].thread for one in unread}),
        }

    def list_send_as(self, box: Mailbox, request: Request) -> Any:
        return {"sendAs": [_alias_line(alias) for alias in box.aliases]}

    def list_drafts(self, box: Mailbox, request: Request) -> Any:
        drafts = [(draft, box.messages[message]) for draft, message in box.drafts.items()]
        lines = [{"id": draft, "message": {"id": one.id, "threadId": one.thread}} for draft, one in drafts]
        return {"drafts": lines, "resultSizeEstimate": len(lines)} if lines else {"resultSizeEstimate": 0}

    def get_draft(self, box: Mailbox, request: Request) -> Any:
        if request.item not in box.drafts:
            raise not_found()
        form = self._format(request, False, _FORMATS)
        message = self._shown(box, box.messages[box.drafts[request.item]], form, request)
        return self._maybe_masked(b'{"id":' + dump(request.item) + b',"message":' + message + b"}", request)

    def _search(
        self, box: Mailbox, request: Request, metadata_only: bool, by_thread: bool = False
    ) -> tuple[list, bool]:
        if metadata_only and "q" in request.query:
            raise forbidden("Metadata scope does not support 'q' parameter")
        term = parse_query(request.one("q"), box, self.world.clock.now())
        wanted = set(request.many("labelIds"))
        if wanted - set(box.names):
            raise bad_request(f"Invalid label: {sorted(wanted - set(box.names))[0]}")
        hidden = frozenset() if request.flag("includeSpamTrash") else _HIDDEN - term.places - wanted
        size = self._page_size(request, 100, 500)
        before = _position(request.one("pageToken"))
        matching = (
            one
            for one in _candidates(box, term, wanted, before)
            if not (one.labels & hidden) and wanted <= one.labels and box.visible(one) and term.test(one)
        )
        if by_thread:
            matching = _first_of_thread(box, matching)
        found = list(islice(matching, size + 1))
        return found[:size], len(found) > size

    def _page_size(self, request: Request, default: int, most: int) -> int:
        size = request.number("maxResults", default, most)
        return min(size, self.world.knobs.page_size or size)

    def _format(self, request: Request, metadata_only: bool, allowed: tuple[str, ...]) -> str:
        form = request.one("format", "full").lower()
        if form not in allowed:
            raise bad_request(f"Invalid value at 'format': {form!r}")
        if metadata_only and form in ("full", "raw"):
            raise forbidden(f"Metadata scope doesn't allow format {form.upper()}")
        return form

    def _message(self, box: Mailbox, message_id: str) -> Stored:
        stored = box.find(_valid_id(message_id))
        if stored is None:
            raise not_found()
        return stored

    def _shown(self, box: Mailbox, stored: Stored, form: str, request: Request) -> bytes:
        snippet = self.rendered.get((box.email, stored.id, "snippet"), lambda: dump(snippet_of(stored.bytes())))
        head: dict[str, Any] = {"id": stored.id, "threadId": stored.thread}
        if stored.labels:
            head["labelIds"] = sorted(stored.labels)
        head |= {
            "historyId": str(stored.history),
            "internalDate": str(stored.ms),
            "sizeEstimate": stored.envelope.size or len(stored.bytes()),
        }
        shown = dump(head)[:-1] + b',"snippet":' + snippet
        if form == "raw":
            return shown + b',"raw":"' + base64.urlsafe_b64encode(stored.bytes()) + b'"}'
        if form == "metadata":
            return shown + b',"payload":' + dump(_headers_only(stored, request.many("metadataHeaders"))) + b"}"
        if form == "full":
            return shown + b',"payload":' + self._payload(box, stored) + b"}"
        return shown + b"}"

    def _payload(self, box: Mailbox, stored: Stored) -> bytes:
        as_utf8 = self.world.knobs.text_as_utf8
        made = self.rendered.get((box.email, stored.id), lambda: dump(payload_of(stored.bytes(), as_utf8=as_utf8)))
        mark = ATTACHMENT_MARK.encode()
        return made.replace(mark, b"ANGj" + secrets.token_urlsafe(9).encode() + b"p") if mark in made else made

    def masked(self, shown: Any, request: Request) -> Any:
        """An answer cut down to the request's `fields`, if it names any."""
        fields = request.one("fields")
        return apply_mask(parse_mask(fields), shown) if fields else shown

    def _maybe_masked(self, made: bytes, request: Request) -> Answer:
        if fields := request.one("fields"):
            made = dump(apply_mask(parse_mask(fields), json.loads(made)))
        return Answer(200, made, {"Content-Type": JSON})

    def _thread_line(self, box: Mailbox, stored: Stored) -> dict[str, str]:
        snippet = self.rendered.get((box.email, stored.id, "snippet"), lambda: dump(snippet_of(stored.bytes())))
        newest = max(box.messages[one].history for one in box.threads[stored.thread])
        return {"id": stored.thread, "snippet": json.loads(snippet), "historyId": str(newest)}


def _candidates(box: Mailbox, term: Term, labels: set[str], before: tuple[int, str] | None) -> Iterable[Stored]:
    few = term.candidates() if term.candidates else None
    for label in labels:
        ids = box.by_label.get(label, set())
        if len(ids) < len(box.order) // 4 and (few is None or len(ids) < len(few)):
            few = ids
    if few is None:
        return box.newest_first(before, term.low, term.high)
    places = [(box.messages[one].ms, one) for one in few if one in box.messages]
    if before is not None:
        places = [place for place in places if place < before]
    return (box.messages[one] for _, one in sorted(places, reverse=True))


def _first_of_thread(box: Mailbox, matching: Iterable[Stored]) -> Iterable[Stored]:
    """A thread is listed at the place of its newest visible message that can match, once over all pages."""
    for one in matching:
        if box.threads[one.thread][-1] == one.id or not any(
            (box.messages[later].ms, later) > (one.ms, one.id) for later in box.threads[one.thread]
        ):
            yield one


def _valid_id(message_id: str) -> str:
    if not _HEX.match(message_id):
        raise bad_request("Invalid id value")
    return message_id


def _token(stored: Stored) -> str:
    return str((int(stored.id, 16) << 50) | (stored.ms & ((1 << 50) - 1)))


def _position(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    number = _number_of(token)
    return number & ((1 << 50) - 1), f"{number >> 50:016x}"


def _number_of(token: str) -> int:
    if token and not token.isdigit():
        raise bad_request("Invalid pageToken", location="pageToken")
    return int(token or 0)


def _labels_now(box: Mailbox, message_id: str) -> frozenset[str]:
    stored = box.messages.get(message_id)
    return stored.labels if stored else frozenset()


def _history_line(change: Change) -> dict[str, Any]:
    brief = {"id": change.message, "threadId": change.thread}
    entry: dict[str, Any] = {"message": dict(brief)}
    if change.kind.startswith("message"):
        entry["message"]["labelIds"] = list(change.labels)
    else:
        entry["labelIds"] = list(change.labels)
    return {"id": str(change.id), "messages": [brief], _KINDS[change.kind]: [entry]}


def _label_line(label_id: str, name: str) -> dict[str, Any]:
    if label_id.startswith("Label_"):
        look = {"messageListVisibility": "show", "labelListVisibility": "labelShow"}
        return {"id": label_id, "name": name, "type": "user", **look}
    return {"id": label_id, "name": name, "type": "system"}


def _alias_line(alias: Any) -> dict[str, Any]:
    line = {"sendAsEmail": alias.address, "displayName": alias.name, "replyToAddress": "", "signature": ""}
    if alias.primary:
        return {**line, "isPrimary": True, "isDefault": True}
    return {**line, "treatAsAlias": True, "verificationStatus": alias.status}


def _headers_only(stored: Stored, wanted: list[str]) -> dict[str, Any]:
    headers = read_headers(split_head(stored.bytes())[0])
    kind = next((value for name, value in headers if name.lower() == "content-type"), "text/plain")
    if wanted:
        names = {name.lower() for name in wanted}
        headers = [(name, value) for name, value in headers if name.lower() in names]
    shown = [{"name": name, "value": value} for name, value in headers]
    return {"mimeType": kind.split(";")[0].strip().lower() or "text/plain", "headers": shown}
