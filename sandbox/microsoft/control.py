"""What a test or a demonstration may ask of the Microsoft side in another process: `/_sandbox/microsoft/...`, JSON in and out."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.bulk import fill
from sandbox.microsoft.filling import labelled

if TYPE_CHECKING:
    from sandbox.world import World


def _accounts(world: World, given: dict[str, Any]) -> Any:
    return world.microsoft.accounts()


def _user(world: World, given: dict[str, Any]) -> Any:
    """An account (made when new): name, licensed, disabled, blocked, alias, reader."""
    box = world.microsoft.user(given["email"], given.get("name", ""), licensed=given.get("licensed", True))
    box.enabled = given.get("licensed", box.enabled)
    box.blocked = given.get("blocked", box.blocked)
    if "disabled" in given:
        disabled = world.microsoft.entra.disabled
        (disabled.add if given["disabled"] else disabled.discard)(box.email)
    if "alias" in given:
        box.add_alias(given["alias"])
    if "reader" in given:
        box.share_with(given["reader"])
    return {"email": box.email, "id": box.oid, "tenant": box.tenant}


def _deliver(world: World, given: dict[str, Any]) -> Any:
    raw = base64.urlsafe_b64decode(given["raw"]) if "raw" in given else str(given["text"]).encode()
    return {"id": world.outlook(given["email"]).deliver(raw, given.get("folder"), given.get("at"))}


def _move(world: World, given: dict[str, Any]) -> Any:
    return {"id": world.outlook(given["email"]).move(given["id"], given["folder"])}


def _delete(world: World, given: dict[str, Any]) -> Any:
    """For good."""
    world.outlook(given["email"]).purge(given["id"])
    return {}


def _fill(world: World, given: dict[str, Any]) -> Any:
    """A large mailbox; see sandbox/bulk.py."""
    filled = fill(labelled(world.outlook(given.pop("email"))), given.pop("count"), **given)
    return {"count": filled.count, "relevant": len(filled.relevant)}


def _meet(world: World, given: dict[str, Any]) -> Any:
    """A meeting for everybody: organizer, guests, start and end (ISO 8601), subject, and what Microsoft.meet takes."""
    start, end = (datetime.fromisoformat(given.pop(name)).astimezone(UTC) for name in ("start", "end"))
    organizer, guests, subject = (given.pop(name) for name in ("organizer", "guests", "subject"))
    return {"uid": world.microsoft.meet(organizer, guests, start, end, subject, **given)}


def _cancel(world: World, given: dict[str, Any]) -> Any:
    world.microsoft.cancel_meeting(given["uid"])
    return {}


def _knobs(world: World, given: dict[str, Any]) -> Any:
    for name, value in given.items():
        if name not in world.microsoft.knobs.__dataclass_fields__:
            raise ValueError(f"There is no knob {name}.")
        setattr(world.microsoft.knobs, name, value)
    return {}


def _expire(world: World, given: dict[str, Any]) -> Any:
    """Every delta token (of one mailbox, or of all) is out of date."""
    for box in list(world.microsoft.users.values()):
        if given.get("email", box.email).lower() == box.email:
            box.expire_delta()
            box.calendar.expire_delta()
    return {}


def _revoke(world: World, given: dict[str, Any]) -> Any:
    """Every refresh token of the account ends; `number` is the AADSTS number that it will be refused with."""
    world.microsoft.entra.kill(given["email"], given.get("number", 50173))
    return {}


def _refuse(world: World, given: dict[str, Any]) -> Any:
    """Token requests of the account ("" for all) are refused with an AADSTS number; 0 lifts it."""
    world.microsoft.entra.refuse.pop(given.get("email", ""), None)
    if given["number"]:
        world.microsoft.entra.refuse[given.get("email", "")] = given["number"]
    return {}


def _forget_access(world: World, given: dict[str, Any]) -> Any:
    world.microsoft.entra.forget_access()
    return {}


def _allow(world: World, given: dict[str, Any]) -> Any:
    """The administrator of a domain consents to app permissions."""
    roles = {"roles": tuple(given["roles"])} if "roles" in given else {}
    world.microsoft.entra.allow(given["domain"], client_id=given.get("client_id", ""), **roles)
    return {}


def _lifecycle(world: World, given: dict[str, Any]) -> Any:
    return {"told": world.microsoft.subscriptions.lifecycle(given["event"], given.get("email", ""))}


def _meter(world: World, given: dict[str, Any]) -> Any:
    """By mailbox: requests that came too early, refusals, the most in one window."""
    meter = world.microsoft.meter
    return {name: dict(getattr(meter, name)) for name in ("early", "refused", "most")}


Verb = Callable[["World", dict[str, Any]], Any]
VERBS: dict[tuple[str, str], Verb] = {
    ("GET", "microsoft/accounts"): _accounts,
    ("GET", "microsoft/meter"): _meter,
    ("POST", "microsoft/user"): _user,
    ("POST", "microsoft/deliver"): _deliver,
    ("POST", "microsoft/move"): _move,
    ("POST", "microsoft/delete"): _delete,
    ("POST", "microsoft/fill"): _fill,
    ("POST", "microsoft/meet"): _meet,
    ("POST", "microsoft/cancel"): _cancel,
    ("POST", "microsoft/knobs"): _knobs,
    ("POST", "microsoft/expire"): _expire,
    ("POST", "microsoft/revoke"): _revoke,
    ("POST", "microsoft/refuse"): _refuse,
    ("POST", "microsoft/forget_access"): _forget_access,
    ("POST", "microsoft/allow"): _allow,
    ("POST", "microsoft/lifecycle"): _lifecycle,
}
