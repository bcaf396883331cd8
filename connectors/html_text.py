"""HTML as plain text, with what quotes an earlier mail marked by ``>`` so that the reply reader sees it.

Parsing is lexbor's (through selectolax), which takes any nesting; the walk is iterative and bounded.
"""

from __future__ import annotations

import re
from typing import Any

from connectors.parts import DEEPEST

MOST_INPUT = 1_000_000
MOST_NODES = 60_000
_QUOTE_CLASS = re.compile(r"yahoo_quoted|outlook_quote|ms-outlook-mobile-reference-message", re.I)
_INTRODUCTION_CLASS = re.compile(r"gmail_attr\b|moz-cite-prefix|gmail_quote_attribution", re.I)
"""Who wrote what is quoted next, in whatever language; answers may stand between and below."""
_QUOTE_ID = re.compile(
    r"divRplyFwdMsg|appendonsend|OLK_SRC_BODY_SECTION|replySplit|mail-editor-reference-message|isForwardContent", re.I
)
_BLOCKS = {
    "p",
    "div",
    "br",
    "tr",
    "table",
    "ul",
    "ol",
    "li",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "hr",
    "section",
    "article",
    "header",
    "footer",
    "dl",
    "dt",
    "dd",
    "center",
    "address",
}
_PARAGRAPHS = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol"}
_SKIP = {"script", "style", "head", "title", "template", "noscript", "svg", "object", "iframe"}
_SPACE = re.compile(r"[ \t\r\n\f\u200b]+")
ENTERING = -1
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_ANY_TAG = re.compile(r"<[^<>]{0,2000}>")
_FLAT = {"br", "img", "hr", "input", "meta", "link", "col", "area", "base", "wbr", "source", "param", "embed", "track"}
_FLAT |= {"p", "li", "td", "th", "tr", "dt", "dd", "option", "tbody", "thead", "tfoot", "colgroup"}
"""Elements that are empty, or that end by themselves where the next begins."""
MOST_NESTED = 1_500
CUT = "\x02"
"""Stands in the text where a container of quoted mail begins; everything behind it is quoted."""


def plain(text: str) -> str:
    """What may be HTML (a meeting's description) as text of at most 50,000 characters."""
    return html_to_text(text)[0].replace(CUT, "")[:50_000] if "<" in text else text[:50_000]


def html_to_text(html: str) -> tuple[str, tuple[str, ...]]:
    """(text, http links). A container that mail programs put quoted mail in begins with ``CUT``; blockquotes become lines
    beginning with ``>``."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(_tamed(html[:MOST_INPUT].replace(CUT, "")))
    body = tree.body or tree.root
    if body is None:
        return "", ()
    writer = _Writer()
    stack: list[tuple[Any, int]] = [(body, ENTERING)]
    seen = 0
    while stack and seen < MOST_NODES:
        node, deeper = stack.pop()
        seen += 1
        tag = node.tag or ""
        if deeper != ENTERING:
            writer.leave(tag, deeper)
            continue
        if tag == "-text":
            writer.text(node.text_content or "")
            continue
        if tag in _SKIP or tag.startswith(("-", "_", "!")):
            continue
        attributes = node.attributes
        if _hidden(attributes):
            continue
        deeper = int(tag == "blockquote" or _introduces(node, attributes))
        writer.enter(tag, attributes, deeper)
        stack.append((node, deeper))
        child = node.last_child
        while child is not None:
            stack.append((child, ENTERING))
            child = child.prev
    return writer.done(), tuple(dict.fromkeys(writer.links))[:50]


def _tamed(html: str) -> str:
    """The same HTML; from where it is nested beyond reason (the parser's work grows with the square) only its text."""
    depth = 0
    for tag in _TAG.finditer(html):
        if tag.group(2).lower() in _FLAT:
            continue
        depth = max(0, depth - 1) if tag.group(1) else depth + 1
        if depth > MOST_NESTED:
            return html[: tag.start()] + _ANY_TAG.sub(" ", html[tag.start() :])
    return html


def _introduces(node: Any, attributes: dict[str, str | None]) -> bool:
    """Whether this says who wrote what is quoted right below; a forwarded mail follows without a quotation."""
    if not _INTRODUCTION_CLASS.search(attributes.get("class") or ""):
        return False
    following = node.next
    for _ in range(4):
        if following is None or following.tag not in ("-text", "br") or (following.text() or "").strip():
            break
        following = following.next
    return following is not None and following.tag == "blockquote"


class _Writer:
    """Collects lines; knows how deep in blockquotes it is."""

    def __init__(self) -> None:
        self.lines: list[str] = [""]
        self.links: list[str] = []
        self.depth = 0
        self.pre = 0

    def text(self, value: str) -> None:
        value = value.replace("\xa0", " ")
        if self.pre:
            first, *rest = value.split("\n")
            self._add(first)
            for line in rest:
                self.lines.append("")
                self._add(line)
            return
        value = _SPACE.sub(" ", value)
        if value == " " and self._blank():
            return
        self._add(value.lstrip(" ") if self._blank() else value)

    def enter(self, tag: str, attributes: dict[str, str | None], deeper: int) -> None:
        mark = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        if tag == "a":
            href = (attributes.get("href") or "").strip()
            if href.lower().startswith(("http://", "https://")) and len(href) < 2000:
                self.links.append(href)
        if tag == "br":
            self.lines.append("")
        elif tag in _BLOCKS:
            self._break()
        if tag in _PARAGRAPHS and not self._blank_before():
            self.lines.append("")
        if tag == "pre":
            self.pre += 1
        if tag == "li":
            self._add("- ")
        self.depth += deeper
        if tag != "blockquote" and mark.strip() and (_QUOTE_CLASS.search(mark) or _QUOTE_ID.search(mark)):
            self._break()
            self.lines.append(CUT)
            self.lines.append("")
        elif tag == "hr" and _QUOTE_ID.search(mark):
            self.lines.append(CUT)

    def leave(self, tag: str, deeper: int) -> None:
        if deeper:
            self._break()
            self.depth -= deeper
        if tag == "pre":
            self.pre = max(0, self.pre - 1)
        if tag in ("td", "th"):
            self._add(" ")
        if tag in _BLOCKS and tag != "br":
            self._break()
        if tag in _PARAGRAPHS and not self._blank_before():
            self.lines.append("")

    def done(self) -> str:
        text = "\n".join(line.rstrip() for line in self.lines)
        return re.sub(r"\n{3,}", "\n\n", text).strip("\n")

    def _add(self, value: str) -> None:
        if self._blank() and self.depth and value.strip():
            self.lines[-1] = "> " * min(self.depth, DEEPEST)
        self.lines[-1] += value

    def _break(self) -> None:
        """Begin a new line, unless this one is still empty."""
        if self._blank():
            self.lines[-1] = ""
        else:
            self.lines.append("")

    def _blank(self) -> bool:
        return not self.lines[-1].strip()

    def _blank_before(self) -> bool:
        return len(self.lines) > 1 and not self.lines[-2].strip() and self._blank()


def _hidden(attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or "mso-hide:all" in style
