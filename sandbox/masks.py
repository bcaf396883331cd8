"""The `fields` partial-response mask of Google's APIs: `a,b(c,d),e/f,g/*` ("Working with partial resources")."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sandbox.wire import bad_request

Mask = dict[str, "Mask | None"]


@lru_cache(maxsize=512)
def parse_mask(text: str) -> Mask:
    """The mask as a tree; None under a name means the whole value. Raises Refusal (400) when it is not well formed."""
    mask, at = _selection(text, 0)
    if at != len(text):
        raise bad_request(f"Invalid field selection {text}", location="fields")
    return mask


def apply_mask(mask: Mask, value: Any) -> Any:
    if isinstance(value, list):
        return [apply_mask(mask, one) for one in value]
    if not isinstance(value, dict):
        return value
    if "*" in mask:
        below = mask["*"]
        return {name: one if below is None else apply_mask(below, one) for name, one in value.items()}
    kept = {}
    for name, below in mask.items():
        if name in value:
            kept[name] = value[name] if below is None else apply_mask(below, value[name])
    return kept


def _selection(text: str, at: int) -> tuple[Mask, int]:
    mask: Mask = {}
    while True:
        at = _path(text, at, mask)
        if at < len(text) and text[at] == ",":
            at += 1
            continue
        return mask, at


def _path(text: str, at: int, into: Mask) -> int:
    start = at
    while at < len(text) and text[at] not in ",()/":
        at += 1
    name = text[start:at].strip()
    if not name:
        raise bad_request(f"Invalid field selection {text}", location="fields")
    mark = text[at] if at < len(text) else ""
    if mark == "/":
        below: Mask = {}
        at = _path(text, at + 1, below)
        _merge(into, name, below)
    elif mark == "(":
        below, at = _selection(text, at + 1)
        if at >= len(text) or text[at] != ")":
            raise bad_request(f"Invalid field selection {text}", location="fields")
        at += 1
        _merge(into, name, below)
    else:
        into[name] = None
    return at


def _merge(into: Mask, name: str, below: Mask) -> None:
    if name not in into:
        into[name] = below
    elif (present := into[name]) is not None:
        present.update(below)
