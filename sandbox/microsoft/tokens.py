"""The opaque tokens in delta and next links: state of a walk, sealed, with the generation that it belongs to (contract 4.3)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.microsoft.forms import bad_query, graph_error
from sandbox.wire import Answer, Refusal

if TYPE_CHECKING:
    from sandbox.microsoft.tenancy import Microsoft

_SEAL = b"pretend Exchange"


@dataclass
class Walk:
    """Where a client is: it knows all up to `since` (0: nothing); this round goes to `upto` and is past `after`.

    `asked` is what the first request fixed: $select, $filter, changeType, the window of a calendar view, the page size.
    """

    resource: str
    generation: int
    since: int
    upto: int
    after: list[Any] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    seen: int = 0


def sealed(walk: Walk, microsoft: Microsoft) -> str:
    """The token of a walk."""
    walk.at = microsoft.clock.now()
    body = json.dumps(walk.__dict__, separators=(",", ":")).encode() + b" " * microsoft.knobs.token_padding
    return base64.urlsafe_b64encode(_mark(body) + body).decode().rstrip("=")


def opened(token: str, resource: str, generation: int, microsoft: Microsoft) -> Walk:
    """The walk of a token. Raises Refusal: 400 for one we never gave, 410 for one that is out of date."""
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mark, body = data[:12], data[12:]
        walk = Walk(**json.loads(body)) if mark == _mark(body) else None
    except ValueError:
        walk = None
    if walk is None or walk.resource != resource:
        raise bad_query("Badly formed token.", "ErrorInvalidParameter")
    ttl = microsoft.knobs.delta_ttl
    if walk.generation != generation or (ttl is not None and walk.at + ttl <= microsoft.clock.now()):
        raise Refusal(sync_state_not_found(walk.generation, generation))
    return walk


def sync_state_not_found(generation: int = 149, highest: int = 157, *, code: str = "SyncStateNotFound") -> Answer:
    message = f"The sync state generation is not found; generation={generation};[highest={highest}][{highest}]."
    return graph_error(410, code, message)


def _mark(body: bytes) -> bytes:
    return hashlib.sha256(_SEAL + body).digest()[:12]
