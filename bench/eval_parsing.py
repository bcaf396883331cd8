"""Parsing: odd, broken and hostile mail through the sandbox and the real client; replies and signatures apart from them.

Nothing may raise and nothing may be dropped: every mail that is delivered comes back once, as a message with the text it
holds. Replies are compared word by word, since blank space means nothing; an HTML case is compared as its text.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sandbox
from bench.figures import figure, keep_cases
from connectors.base import GrantState
from connectors.body import read_body
from connectors.google.config import GoogleConfig
from connectors.google.connection import connect
from connectors.google.gmail import GmailMailbox
from connectors.html_text import CUT, html_to_text
from connectors.items import Item, Message
from connectors.parts import Part, part_from_rfc822
from connectors.passing import Passing
from connectors.reply import read_reply
from connectors.throttle import Throttle

OWNER = "reader@example.com"
PLENTY = 60_000_000
ADDRESSED = {"from": "from", "to": "to", "cc": "cc", "bcc": "bcc", "sender": "sender"}
Case = dict[str, Any]


def run(folder: Path) -> None:
    """Print parsing.exceptions, dropped, addresses, subjects, reply_exact, signature_text_kept and what counts stand behind."""
    mails = rows(folder / "mime.jsonl.gz") + rows(folder / "bounces.jsonl.gz")
    cases = _reading(mails)
    cases += _replies(rows(folder / "quotes.jsonl.gz"))
    cases += _signatures(rows(folder / "signatures.jsonl.gz"))
    keep_cases("parsing", cases)


def rows(path: Path) -> list[Case]:
    """The cases of a file; none when it is absent."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream if line.strip()]


def raw_of(row: Case) -> bytes:
    """The mail of a row as bytes; rows marked ``latin1`` carry each byte as one character."""
    text = row.get("text") or row.get("raw") or ""
    return text.encode("latin-1") if row.get("latin1") else text.encode("utf-8", "surrogateescape")


@contextmanager
def mailbox_of(raws: Sequence[bytes]) -> Iterator[tuple[GmailMailbox, list[str]]]:
    """(a mailbox that holds these mails, their ids in the same order), served over HTTP."""
    world = sandbox.World()
    box = world.mailbox(OWNER)
    ids = [box.deliver(raw, labels=["INBOX"]) for raw in raws]
    with sandbox.serve(world) as server:
        root = server.google_api_root
        config = GoogleConfig("eval", "eval-secret", api_root=root, oauth_root=root, batch_size=50)
        connection = connect(
            config, Passing(GrantState(refresh_token=world.refresh_token(OWNER))), Throttle(PLENTY), email=OWNER
        )
        try:
            yield connection.mailbox("me"), ids
        finally:
            connection.close()


def _reading(mails: list[Case]) -> list[Case]:
    """Every mail through the whole way of a message."""
    with mailbox_of([raw_of(row) for row in mails]) as (mailbox, ids):
        listed = {hit.item_id: hit for hit in _all_hits(mailbox)}
        opened = {item.item_id: item for item in mailbox.open([listed[one] for one in ids if one in listed])}
    failed: list[Case] = []
    dropped = []
    for one, row in zip(ids, mails, strict=True):
        item = opened.get(one)
        if isinstance(item, Message) and not _text_lost(item, raw_of(row)):
            continue
        if item is None or isinstance(item, Message):
            dropped.append({"case": "dropped", "path": row["path"]})
        else:
            failed.append({"case": "exception", "path": row["path"], "error": getattr(item, "error", "")})
    figure("parsing.mails", len(mails))
    figure("parsing.exceptions", len(failed))
    figure("parsing.dropped", len(dropped))
    return failed + dropped + _against_oracle(mails, [opened.get(one) for one in ids])


def _all_hits(mailbox: GmailMailbox) -> Iterator[Any]:
    page = ""
    while True:
        hits = mailbox.listing(after=None, before=None, page=page)
        yield from hits.items
        page = hits.next
        if not page:
            return


def _text_lost(item: Message, raw: bytes) -> bool:
    """Whether a mail has text of its own that did not arrive: neither in the body nor as a named part."""
    if item.body is None:
        return True
    if item.body.text.strip() or item.attachments:
        return False
    _, root = part_from_rfc822(raw)
    return any(part.mime == "text/plain" and (part.data or b"").strip() for part in root.walk())


def _against_oracle(mails: list[Case], items: Sequence[Item | None]) -> list[Case]:
    """Addresses and subjects against what another parser of standing reads."""
    cases: list[Case] = []
    people = subjects = right_people = right_subjects = 0
    for row, item in zip(mails, items, strict=True):
        if not row.get("expected_json") or not isinstance(item, Message):
            continue
        headers = row["expected_json"]["parts"][0]["headers"]
        wanted = _expected_people(headers)
        found = {(party.role, party.address.lower()) for party in item.parties}
        people += 1
        right_people += wanted <= found
        if not wanted <= found:
            cases.append({"case": "addresses", "path": row["path"], "missing": len(wanted - found)})
        subject = next(
            (h["value"].get("Text") for h in headers if h["name"] == "subject" and "Text" in h["value"]), None
        )
        if subject is not None:
            subjects += 1
            same = _words(subject) == _words(item.subject)
            right_subjects += same
            if not same:
                cases.append({"case": "subject", "path": row["path"]})
    figure("parsing.addresses", right_people / max(1, people))
    figure("parsing.subjects", right_subjects / max(1, subjects))
    return cases


def _expected_people(headers: list[Case]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    senders: set[str] = set()
    for header in headers:
        name = header["name"]
        if not isinstance(name, str) or name not in ADDRESSED or "Address" not in header["value"]:
            continue
        given = header["value"]["Address"]
        listed = list(given.get("List") or [])
        for group in given.get("Group") or []:
            listed += group.get("addresses") or []
        for one in listed:
            address = str(one.get("address") or "").lower()
            if address.count("@") == 1 and "." in address.partition("@")[2] and " " not in address:
                found.add((ADDRESSED[name], address))
                senders |= {address} if name == "from" else set()
    return {pair for pair in found if pair[0] != "sender" or pair[1] not in senders}


def _replies(quotes: list[Case]) -> list[Case]:
    wanted = [row for row in quotes if row.get("expected") is not None]
    cases: list[Case] = []
    exact = raised = 0
    for row in quotes:
        try:
            new = _new_text(row)
        except Exception as error:  # noqa: BLE001  (that nothing raises is what is measured)
            raised += 1
            cases.append({"case": "reply_raised", "path": row["path"], "error": type(error).__name__})
            continue
        if row.get("expected") is None:
            continue
        same = _words(new) == _words(_expected_text(row))
        exact += same
        if not same:
            cases.append({"case": "reply", "origin": row["origin"], "path": row["path"]})
    figure("parsing.reply_cases", len(wanted))
    figure("parsing.reply_exact", exact / max(1, len(wanted)))
    figure("parsing.reply_exceptions", raised)
    return cases


def _new_text(row: Case) -> str:
    if row["format"] == "eml":
        return read_body(part_from_rfc822(raw_of(row))[1]).new
    if _is_html(row):
        data = row["text"].encode()
        return read_body(Part("text/html", data=data, charset="utf-8", size=len(data))).new
    return read_reply(row["text"]).new


def _expected_text(row: Case) -> str:
    return html_to_text(row["expected"])[0].replace(CUT, "") if _is_html(row) else row["expected"]


def _is_html(row: Case) -> bool:
    return row["format"] == "html" or row.get("expected_is") == "html without quoted text"


def _signatures(signed: list[Case]) -> list[Case]:
    """What a person wrote must stay; the signature should go. The second is taste, the first is loss."""
    cases: list[Case] = []
    kept = gone = with_one = 0
    for row in signed:
        if "signature_lines" not in row:
            continue
        new = _words(read_reply(row["text"]).new)
        lines = row["text"].split("\n")
        below = {number for key in ("signature_lines", "reply_lines") for number in row[key]}
        own = [line for number, line in enumerate(lines) if number not in below and line.strip()]
        lost = any(_words(line) not in new for line in own)
        kept += not lost
        if lost:
            cases.append({"case": "signature_took_text", "path": row["path"]})
        if row["has_signature"]:
            with_one += 1
            gone += not any(len(lines[n].split()) > 4 and _words(lines[n]) in new for n in row["signature_lines"])
    figure("parsing.signature_cases", sum("signature_lines" in row for row in signed))
    figure("parsing.signature_text_kept", kept / max(1, sum("signature_lines" in row for row in signed)))
    figure("parsing.signature_gone", gone / max(1, with_one))
    return cases


def _words(text: str) -> str:
    return " ".join(text.split())
