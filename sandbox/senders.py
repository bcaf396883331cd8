"""Faults that are sent rather than answered: forged, doubled and broken push messages (F41, F42), malformed mail (F60).

Planned like any other, `world.faults.add("F42", variant="expired")`, they act at once; `account` narrows them to one mailbox.
Without a variant all variants are sent, in the order in which they are listed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.pubsub import Published, Subscription, push_body
from sandbox.torture import deliver_malformed

if TYPE_CHECKING:
    from sandbox.channels import Channel
    from sandbox.faults import Rule
    from sandbox.world import World

CHANNEL_VARIANTS = ("sync", "duplicate", "jump", "token", "unknown")
PUSH_VARIANTS = ("audience", "expired", "account", "none", "junk", "unknown", "thrice")


def forged_channel_messages(world: World, rule: Rule) -> None:
    """F41 on every open channel (of the account): a late sync, the same number twice, a jump of numbers, a wrong token, a
    channel that nobody opened."""
    for channel in list(world.channels.open.values()):
        if rule.account in ("", channel.email):
            for variant in _chosen(rule, CHANNEL_VARIANTS):
                _forge_channel(world, channel, variant)


def forged_pushes(world: World, rule: Rule) -> None:
    """F42 on every push subscription: a token for another audience, expired, of another service account, none at all; data
    that is not base64; a mailbox nobody knows; one message three times."""
    for one in list(world.pubsub.subscriptions.values()):
        if one.push_to:
            for variant in _chosen(rule, PUSH_VARIANTS):
                _forge_push(world, one, variant, rule.account)


def malformed_mail(world: World, rule: Rule) -> None:
    """F60: the malformed mails of sandbox/torture.py into the account's mailbox; `variant` names one of them."""
    deliver_malformed(world.mailbox(rule.account), [rule.variant] if rule.variant else None)


def _chosen(rule: Rule, known: tuple[str, ...]) -> tuple[str, ...]:
    if rule.variant and rule.variant not in known:
        raise ValueError(f"{rule.fault} has no variant {rule.variant}; known: {', '.join(known)}.")
    return (rule.variant,) if rule.variant else known


def _forge_channel(world: World, channel: Channel, variant: str) -> None:
    tell = world.channels.tell
    if variant == "sync":
        tell(channel, "sync", X_Goog_Message_Number="1")
    elif variant == "duplicate":
        tell(channel, "exists")
        tell(channel, "exists", X_Goog_Message_Number=str(channel.number))
    elif variant == "jump":
        channel.number += 1_000
        tell(channel, "exists")
    elif variant == "token":
        tell(channel, "exists", X_Goog_Channel_Token="not-the-token")
    else:
        tell(channel, "exists", X_Goog_Channel_ID="00000000-0000-4000-8000-000000000000")


def _forge_push(world: World, one: Subscription, variant: str, account: str) -> None:
    pubsub, now = world.pubsub, world.clock.now()
    email = account or next(iter(world.mailboxes), "nobody@nowhere.example")
    history = world.mailboxes[email].history if email in world.mailboxes else 1
    known = json.dumps({"emailAddress": email, "historyId": history}).encode()
    message = Published(f"forged-{variant}", known, now)
    tokens: dict[str, Callable[[], str]] = {
        "audience": lambda: pubsub.token(one, aud="https://somebody-else.example/push"),
        "expired": lambda: pubsub.token(one, iat=int(now) - 7_200, exp=int(now) - 3_600),
        "account": lambda: pubsub.token(one, email="intruder@other.iam.gserviceaccount.com"),
        "none": lambda: "",
    }
    if variant in tokens:
        pubsub.push(one, message, token=tokens[variant]())
    elif variant == "junk":
        broken = json.loads(push_body(one, message))
        broken["message"]["data"] = "%%% this is not base64 %%%"
        pubsub.push(one, message, body=json.dumps(broken).encode())
    elif variant == "unknown":
        stranger = json.dumps({"emailAddress": "nobody@nowhere.example", "historyId": 5}).encode()
        pubsub.push(one, Published(message.id, stranger, now))
    else:
        for _ in range(3):
            pubsub.push(one, message)


SENDERS = {"F41": forged_channel_messages, "F42": forged_pushes, "F60": malformed_mail}
VARIANTS = {"F41": CHANNEL_VARIANTS, "F42": PUSH_VARIANTS}
