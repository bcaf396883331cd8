"""The text of a message: which part, as which text, and what of it is new."""

from __future__ import annotations

import re

from connectors.html_text import CUT, html_to_text
from connectors.items import Body
from connectors.parts import Part, parameters
from connectors.reply import read_reply
from connectors.words import decode_bytes

MOST_TEXT = 400_000
_STUB = re.compile(r"(html|browser|view|anzeig|affich|weergave|visualiz).{0,80}", re.I)


def read_body(root: Part) -> Body:
    """The body. Plain text is preferred; HTML where there is no plain text or only a stub of it. Never raises."""
    plain, html = _chosen(root)
    links: tuple[str, ...] = ()
    marked = ""
    if html is not None:
        marked, links = html_to_text(decode_bytes((html.data or b"")[: MOST_TEXT * 3], html.charset))
    text = _plain_text(plain) if plain is not None else ""
    if not text.strip() or (marked and _is_stub(text, marked)):
        text = marked
    cut = len(text) > MOST_TEXT
    text = text[:MOST_TEXT]
    reply = read_reply(text)
    if CUT in marked and text is not marked:
        reply = min((reply, read_reply(marked[:MOST_TEXT])), key=lambda one: (not one.new.strip(), len(one.new)))
    shown = text.replace(CUT + "\n", "").replace(CUT, "")
    return Body(text=shown.replace("\x00", ""), new=reply.new, signature=reply.signature, links=links, truncated=cut)


def _chosen(root: Part) -> tuple[Part | None, Part | None]:
    """The first text/plain and the first text/html part that are the message's own, not attached. A message whose structure
    is broken (a multipart without parts) is read as it stands."""
    if not root.children and root.data and root.mime.startswith(("multipart/", "message/")):
        return root, None
    plain = html = None
    stack = [root]
    while stack:
        part = stack.pop()
        attached = part.header("content-disposition").lower().startswith("attachment") or (
            part.filename and part is not root
        )
        if part.mime == "message/rfc822" or attached:
            continue
        if part.mime == "text/plain" and plain is None and part.data is not None:
            plain = part
        elif part.mime == "text/html" and html is None and part.data is not None:
            html = part
        stack.extend(reversed(part.children))
    return plain, html


def _plain_text(part: Part) -> str:
    text = decode_bytes((part.data or b"")[: MOST_TEXT * 3], part.charset)
    content = parameters(part.header("content-type"))
    if content.get("format", "").lower() == "flowed":
        text = unflow(text, delsp=content.get("delsp", "").lower() == "yes")
    return text


def unflow(text: str, *, delsp: bool) -> str:
    """format=flowed lines joined again (RFC 3676 4)."""
    out: list[str] = []
    open_line = False
    for raw in text.replace("\r\n", "\n").split("\n"):
        line = raw[1:] if raw.startswith(" ") else raw
        flows = line.endswith(" ") and line != "-- " and not line.startswith(">")
        piece = line[:-1] if flows and delsp else line
        if open_line and not line.startswith(">") and line != "-- ":
            out[-1] += piece
        else:
            out.append(piece)
        open_line = flows
    return "\n".join(out)


def _is_stub(text: str, marked: str) -> bool:
    return len(text.strip()) < 120 and len(marked) > 4 * len(text) and bool(_STUB.search(text))
