"""What Graph posts to us (provider-contract 4.5, F59): a handshake whose token is said back, notices of changes, lifecycle notices.

Nothing in a post is signed. A notice counts only when it names a subscription of ours and knows the secret that we gave it;
several come in one post, each judged by itself, and the post is accepted whatever they are.
"""

from __future__ import annotations

import json
from typing import Any

from connectors.doorbell import ChannelNotice, Heard, Posted

LONGEST_TOKEN = 2_048
LONGEST_POST = 1_048_576
TO_TEND = ("reauthorizationrequired", "subscriptionremoved")
_ACCEPTED, _REFUSED = 202, 400


class GraphDoor:
    """``connectors.doorbell.Door``."""

    provider = "microsoft"
    longest = LONGEST_POST

    def hear(self, posted: Posted) -> Heard:
        token = posted.query.get("validationToken")
        if token is not None:
            return Heard(status=200, echo=token) if len(token) <= LONGEST_TOKEN else Heard(status=_REFUSED)
        return Heard(channels=notices_of(posted.body), status=_ACCEPTED)


def notices_of(body: bytes) -> tuple[ChannelNotice, ...]:
    """The notices in a post, each once; what is none is passed over."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    value = parsed.get("value") if isinstance(parsed, dict) else None
    found = (_notice(one) for one in (value if isinstance(value, list) else []))
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _notice(one: Any) -> ChannelNotice | None:
    if not isinstance(one, dict):
        return None
    name, secret, event = (one.get(key) for key in ("subscriptionId", "clientState", "lifecycleEvent"))
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not isinstance(secret, str) or len(secret) > 128:
        return None
    return ChannelNotice(name, secret, tend=str(event or "").lower() in TO_TEND)
