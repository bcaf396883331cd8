"""Notices that are sent rather than answered: forged, mixed, flooding, and lifecycle ones (F59), subscriptions that end (F58).

Planned like any other fault, `world.faults.add("F59", variant="flood")`, they act at once; `account` narrows them to one
mailbox. Without a variant all of F59 but the flood and the removal are sent, in the order in which they are listed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.microsoft.forms import guid
from sandbox.microsoft.subscriptions import ask_back
from sandbox.torture import deliver_malformed

if TYPE_CHECKING:
    from sandbox.faults import Rule
    from sandbox.microsoft.subscriptions import Subscription
    from sandbox.world import World

NOTICES = ("validation", "mixed", "state", "unknown", "missed", "reauthorize", "flood", "removed")
FLOOD = 500
_LIFECYCLE = {"missed": "missed", "reauthorize": "reauthorizationRequired", "removed": "subscriptionRemoved"}
SCRIPT = "<script>alert('x')</script> %26"


def forged_notices(world: World, rule: Rule) -> None:
    """F59. validation: an unasked handshake with markup in its token; mixed: two subscriptions, a wrong clientState and an
    unknown subscription in one POST; state and unknown: these alone; flood: one notice 500 times; the rest: lifecycle."""
    chosen = (rule.variant,) if rule.variant else NOTICES[:6]
    for variant in chosen:
        if variant in _LIFECYCLE:
            world.microsoft.subscriptions.lifecycle(_LIFECYCLE[variant], rule.account)
            continue
        for one in list(world.microsoft.subscriptions.open.values()):
            if rule.account in ("", one.email):
                _FORGERS[variant](world, one)


def silent_end(world: World, rule: Rule) -> None:
    """F58X: subscriptions (of the account) end before their time, and nobody is told."""
    opened = world.microsoft.subscriptions.open
    for one in list(opened.values()):
        if rule.account in ("", one.email):
            opened.pop(one.id, None)


def malformed_outlook_mail(world: World, rule: Rule) -> None:
    """F60M: the malformed mails of sandbox/torture.py into the account's Outlook mailbox; `variant` names one of them."""
    box = world.outlook(rule.account)
    deliver_malformed(box, [rule.variant] if rule.variant else None)  # type: ignore[arg-type]


def _validation(world: World, one: Subscription) -> None:
    ask_back(one.url, SCRIPT)


def _mixed(world: World, one: Subscription) -> None:
    subscriptions = world.microsoft.subscriptions
    others = [two for two in subscriptions.open.values() if two.url == one.url][:2]
    notices = [_notice(world, two) for two in others]
    notices += [_notice(world, one, clientState="not-the-state"), _notice(world, one, subscriptionId=guid("nobody's"))]
    subscriptions.post(one, notices)


def _state(world: World, one: Subscription) -> None:
    world.microsoft.subscriptions.post(one, [_notice(world, one, clientState="not-the-state")])


def _unknown(world: World, one: Subscription) -> None:
    world.microsoft.subscriptions.post(one, [_notice(world, one, subscriptionId=guid("nobody's"))])


def _flood(world: World, one: Subscription) -> None:
    for _ in range(FLOOD):
        world.microsoft.subscriptions.post(one, [_notice(world, one)])


def _notice(world: World, one: Subscription, **changed: str) -> dict:
    """A notice about a message (or event) of the mailbox, or about one that nobody knows."""
    box = world.microsoft.users[one.email]
    item = next(iter(box.items if one.kind == "message" else box.calendar.events), "AAkALgnobody")
    kind, collection = ("Message", "Messages") if one.kind == "message" else ("Event", "Events")
    shown = world.microsoft.subscriptions.about(one, "created", item, collection, f"#Microsoft.Graph.{kind}")
    return shown | changed


_FORGERS: dict[str, Callable[[World, Subscription], None]] = {
    "validation": _validation,
    "mixed": _mixed,
    "state": _state,
    "unknown": _unknown,
    "flood": _flood,
}
