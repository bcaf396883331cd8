"""Address lists out of header values (RFC 5322 3.4, RFC 6854 groups, obsolete forms), one address a mailbox.

A display name can carry anything, another person's address included; only what stands in the angle brackets (or alone)
counts. A mailbox that cannot be read without guessing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import idna

from connectors.items import Party, Role
from connectors.parts import unfold
from connectors.words import decode_words

MOST_RECIPIENTS = 500
MOST_CHARACTERS = 65_536
_LOCAL = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f\x7f]+", re.ASCII)
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x08\x0a-\x1f]|\\.)*"')
_DOMAIN = re.compile(
    r"[A-Za-z0-9_\u0080-\U0010ffff](?:[A-Za-z0-9_.\-\u0080-\U0010ffff]*[A-Za-z0-9\u0080-\U0010ffff])?\.?"
)
_INVOLVED = re.compile(r"[\"();:\\]|<[^<>,]*,")
"""What plain splitting at commas would read wrong: quotes, comments, groups, a comma inside angle brackets."""
_SPACES = re.compile(r"\s+")
SHORT = 300
"""Characters of a header that is worth remembering."""


def parse(value: str, role: Role) -> list[Party]:
    """The parties of one header value, at most ``MOST_RECIPIENTS``. Never raises."""
    text = unfold(value)[:MOST_CHARACTERS]
    return list(_again(text, role) if len(text) <= SHORT else _parsed(text, role))


def _parsed(text: str, role: Role) -> tuple[Party, ...]:
    found: list[Party] = []
    for name, address in _mailboxes(text):
        clean = valid(address)
        if clean:
            found.append(Party(role, clean, _shown(name, clean)))
        if len(found) >= MOST_RECIPIENTS:
            break
    return tuple(found)


_again = lru_cache(maxsize=4_096)(_parsed)
"""The same few people write most of the mail."""


def parse_all(headers: Sequence[tuple[str, str]]) -> tuple[Party, ...]:
    """The parties of a message's address headers, in the order From, Sender, To, Cc, Bcc, Reply-To. Where a Google Group writes
    in its own name, it says for whom in X-Original-From: that counts as a Reply-To."""
    roles: dict[str, Role] = {
        "from": "from",
        "sender": "sender",
        "to": "to",
        "cc": "cc",
        "bcc": "bcc",
        "reply-to": "reply_to",
        "x-original-from": "reply_to",
    }
    by_role: dict[str, list[Party]] = {name: [] for name in roles}
    for name, value in headers:
        key = name.lower()
        if key in roles and len(by_role[key]) < MOST_RECIPIENTS:
            by_role[key] += parse(value, roles[key])
    senders = {party.address.lower() for party in by_role["from"]}
    by_role["sender"] = [party for party in by_role["sender"] if party.address.lower() not in senders]
    return tuple(party for name in roles for party in by_role[name][:MOST_RECIPIENTS])


def valid(address: str) -> str:
    """The address with its domain lower-cased and in IDNA A-labels (UTS 46), or empty when it is none."""
    address = address.strip()
    local, at, domain = address.rpartition("@")
    if not at or len(address) > 320:
        return ""
    domain = domain.strip().rstrip(".")
    if not (_LOCAL.fullmatch(local) or _QUOTED.fullmatch(local) or _utf8_local(local)):
        return ""
    if "." not in domain or ".." in domain or not _DOMAIN.fullmatch(domain):
        return ""
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return ""
    return f"{local}@{domain.lower()}"


def _utf8_local(local: str) -> bool:
    """RFC 6532: letters beyond ASCII in a local part."""
    return bool(local) and not local.isascii() and all(c.isalnum() or c in "!#$%&'*+-/=?^_`{|}~." for c in local)


def _mailboxes(text: str) -> Iterator[tuple[str, str]]:
    """(display name, address) of each mailbox, in order; one that cannot be read yields nothing."""
    for piece in _split(text):
        if "<" in piece:
            name, _, rest = _before_angle(piece)
            inside, closed, after = rest.partition(">")
            if closed and not after.strip().strip('"'):
                yield name, _route(inside)
            continue
        bare = _uncommented(piece).strip()
        if bare:
            yield _comment(piece), bare.strip("'\"") if bare.count("@") == 1 and not bare.startswith('"') else bare


def _split(text: str) -> Iterator[str]:
    """Cut at commas and semicolons outside of quotes, comments and angle brackets; a group's name is dropped."""
    if not _INVOLVED.search(text):
        yield from text.split(",")
        return
    piece: list[str] = []
    quoted = angle = addressed = False
    comment = 0
    index = 0
    while index < len(text):
        char = text[index]
        if char == "\\" and index + 1 < len(text):
            piece.append(text[index : index + 2])
            index += 2
            continue
        if char == '"' and not comment:
            quoted = not quoted
        elif not quoted:
            if char == "(":
                comment += 1
            elif char == ")" and comment:
                comment -= 1
            elif not comment:
                if char == "<":
                    angle = True
                elif char == ">":
                    angle = False
                elif char == "@":
                    addressed = True
                elif char == ":" and not angle and not addressed:
                    piece = []
                    index += 1
                    continue
                elif char in ",;" and not angle:
                    yield "".join(piece)
                    piece, addressed = [], False
                    index += 1
                    continue
        piece.append(char)
        index += 1
    rest = "".join(piece)
    if quoted and "<" in rest:
        rest = rest.replace('"', "")
    yield rest


def _before_angle(piece: str) -> tuple[str, str, str]:
    """Split at the angle bracket that opens the address: the last one outside of quotes."""
    quoted, at = False, -1
    for index, char in enumerate(piece):
        if char == '"' and (index == 0 or piece[index - 1] != "\\"):
            quoted = not quoted
        elif char == "<" and not quoted:
            at = index
    if at < 0:
        at = piece.rfind("<")
    return piece[:at], "<", piece[at + 1 :]


def _route(inside: str) -> str:
    """An obsolete source route (@a,@b:user@c) names the user at its end."""
    inside = inside.strip()
    return inside.rpartition(":")[2].strip() if inside.startswith("@") else inside


def _uncommented(piece: str) -> str:
    out, depth, quoted = [], 0, False
    for char in piece:
        if char == '"' and not depth:
            quoted = not quoted
        if char == "(" and not quoted:
            depth += 1
        elif char == ")" and depth and not quoted:
            depth -= 1
        elif not depth:
            out.append(char)
    return "".join(out)


def _comment(piece: str) -> str:
    start, end = piece.find("("), piece.rfind(")")
    return piece[start + 1 : end] if 0 <= start < end else ""


def _shown(name: str, address: str) -> str:
    """A display name fit for people; empty when it only repeats the address."""
    name = decode_words(name.strip().strip("\"'“”").replace('\\"', '"').replace("\\\\", "\\"))
    name = _SPACES.sub(" ", name).strip().strip("\"'").strip()
    return "" if name.lower() == address.lower() else name[:200]
