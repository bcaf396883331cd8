"""HTML as plain text, with what quotes an earlier mail marked by ``>`` so that the reply reader sees it.

Parsing is lexbor's (through selectolax), which takes any nesting; the walk is iterative and bounded.
"""

from __future__ import annotations

import re

from connectors.parts import DEEPEST

MOST_INPUT = 1_000_000
MOST_NODES = 60_000
_QUOTE_CLASS = re.compile(
    r"gmail_quote|gmail_extra|yahoo_quoted|moz-cite-prefix|protonmail_quote|zmail_extra|tutanota_quote|mail_quote|"
    r"outlook_quote|ms-outlook-mobile-reference-message|x_gmail_quote|WordSection0quote",
    re.I,
)
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
CUT = "\x1e"
"""Stands in the text where a container of quoted mail begins; everything behind it is quoted."""


def html_to_text(html: str) -> tuple[str, tuple[str, ...]]:
    """(text, http links). A container that mail programs put quoted mail in begins with ``CUT``; blockquotes become lines
    beginning with ``>``."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(html[:MOST_INPUT])
    body = tree.body or tree.root
    if body is None:
        return "", ()
    writer = _Writer()
    stack: list[tuple[object, bool]] = [(body, False)]
    seen = 0
    while stack and seen < MOST_NODES:
        node, leaving = stack.pop()
        seen += 1
        tag = node.tag or ""  # pyright: ignore[reportAttributeAccessIssue]
        if leaving:
            writer.leave(tag)
            continue
        if tag == "-text":
            writer.text(node.text_content or "")  # pyright: ignore[reportAttributeAccessIssue]
            continue
        if tag in _SKIP or tag.startswith(("-", "_", "!")):
            continue
        attributes = node.attributes  # pyright: ignore[reportAttributeAccessIssue]
        if _hidden(attributes):
            continue
        writer.enter(tag, attributes)
        stack.append((node, True))
        child = node.last_child  # pyright: ignore[reportAttributeAccessIssue]
        while child is not None:
            stack.append((child, False))
            child = child.prev
    return writer.done(), tuple(dict.fromkeys(writer.links))[:50]


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
                self._break()
                self._add(line)
            return
        value = _SPACE.sub(" ", value)
        if value == " " and self._blank():
            return
        self._add(value.lstrip(" ") if self._blank() else value)

    def enter(self, tag: str, attributes: dict[str, str | None]) -> None:
        mark = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
        if tag == "a":
            href = (attributes.get("href") or "").strip()
            if href.lower().startswith(("http://", "https://")) and len(href) < 2000:
                self.links.append(href)
        if tag in _BLOCKS:
            self._break()
        if tag in _PARAGRAPHS and not self._blank_before():
            self.lines.append("")
        if tag == "pre":
            self.pre += 1
        if tag == "li":
            self._add("- ")
        if tag == "blockquote":
            self.depth = min(self.depth + 1, DEEPEST)
        if tag != "blockquote" and mark.strip() and (_QUOTE_CLASS.search(mark) or _QUOTE_ID.search(mark)):
            self._break()
            self.lines.append(CUT)
            self.lines.append("")
        elif tag == "hr" and _QUOTE_ID.search(mark):
            self.lines.append(CUT)

    def leave(self, tag: str) -> None:
        if tag == "blockquote":
            self._break()
            self.depth = max(0, self.depth - 1)
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
            self.lines[-1] = "> " * self.depth
        self.lines[-1] += value

    def _break(self) -> None:
        self.lines.append("")
        if len(self.lines) > 2 and not self.lines[-2].strip() and not self.lines[-3].strip():
            self.lines.pop()

    def _blank(self) -> bool:
        return not self.lines[-1].strip()

    def _blank_before(self) -> bool:
        return len(self.lines) > 1 and not self.lines[-2].strip() and self._blank()


def _hidden(attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return "display:none" in style or "mso-hide:all" in style
