"""Real mail into a pretend mailbox: an mbox file (Google Takeout writes one), a Maildir, or a folder of .eml files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sandbox.mailbox import Mailbox
from sandbox.mime import header, read_headers, split_head
from sandbox.parcel import date_of, people

_SEEN_LABELS = {"inbox": "INBOX", "sent": "SENT", "draft": "DRAFT", "drafts": "DRAFT", "spam": "SPAM", "trash": "TRASH"}


class UnreadableMail(Exception):
    """The path holds no mail; the text says what was expected."""


class Loaded(NamedTuple):
    """How many mails went in, and how many of these do not say legibly who wrote them and when."""

    mails: int
    malformed: int


def load(box: Mailbox, path: Path) -> Loaded:
    """Every mail under `path` into the mailbox, malformed or not, in the order of its dates. Raises UnreadableMail."""
    found = [(when(raw), raw) for raw in _mails(path)]
    if not found:
        raise UnreadableMail(f"{path} holds no mail. Give an mbox file, a Maildir or a folder with .eml files.")
    known = [at for at, _ in found if at is not None]
    start = min(known, default=box.clock.now())
    for at, raw in sorted(found, key=lambda pair: pair[0] if pair[0] is not None else start):
        box.deliver(raw, labels=labels_of(raw), at=at if at is not None else start, history=False)
    return Loaded(len(found), sum(is_malformed(raw) for _, raw in found))


def is_malformed(raw: bytes) -> bool:
    """Whether a mail lacks what RFC 5322 asks of each: a legible sender and a legible date."""
    headers = read_headers(split_head(raw)[0])
    senders = people(header(headers, "from"))
    return not any("@" in sender.address for sender in senders) or date_of(header(headers, "date")) is None


def when(raw: bytes) -> float | None:
    """When a mail arrived: its topmost Received line, else its Date. Seconds since 1970, None when neither is legible."""
    headers = read_headers(split_head(raw)[0])
    received = header(headers, "received").rpartition(";")[2].strip()
    for text in (received, header(headers, "date")):
        at = date_of(text)
        if at is not None and at > 0:
            return at
    return None


def labels_of(raw: bytes) -> list[str] | None:
    """Gmail's labels as Takeout writes them; None when there are none."""
    value = header(read_headers(split_head(raw)[0]), "x-gmail-labels")
    if not value:
        return None
    names = [name.strip().strip('"') for name in value.split(",") if name.strip()]
    return [_SEEN_LABELS.get(name.lower(), name.upper() if name.lower() == "unread" else name) for name in names]


def _mails(path: Path) -> Iterator[bytes]:
    try:
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() == ".eml":
            yield path.read_bytes()
        else:
            yield from _mbox(path)
    except OSError as error:
        raise UnreadableMail(f"{path} cannot be read: {error.strerror}.") from error


def _folder(path: Path) -> Iterator[bytes]:
    if (path / "cur").is_dir() or (path / "new").is_dir():
        files = [file for part in ("cur", "new") for file in sorted((path / part).glob("*"))]
    else:
        files = sorted(path.rglob("*.eml")) + sorted(path.rglob("*.mbox"))
    for file in files:
        if file.suffix == ".mbox":
            yield from _mbox(file)
        elif file.is_file():
            yield file.read_bytes()


def _mbox(path: Path) -> Iterator[bytes]:
    """The mails of an mbox file, one at a time (RFC 4155; mboxrd quoting is undone)."""
    held: list[bytes] = []
    blank, inside = True, False
    with path.open("rb") as file:
        for line in file:
            if blank and line.startswith(b"From "):
                if held:
                    yield b"".join(held)
                held, inside = [], True
            elif inside:
                held.append(line[1:] if line.startswith(b">") and line.lstrip(b">").startswith(b"From ") else line)
            else:
                raise UnreadableMail(f"{path} is no mbox file: it does not begin with a line 'From ...'.")
            blank = line in (b"\n", b"\r\n")
    if held:
        yield b"".join(held)
