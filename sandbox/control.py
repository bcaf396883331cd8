"""What a test or a demonstration may ask of a sandbox in another process: `/_sandbox/...`, JSON in and out."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.bulk import fill
from sandbox.delegation import ROBOT
from sandbox.microsoft.control import VERBS as MICROSOFT_VERBS
from sandbox.oauth import DEAD
from sandbox.wire import Answer, Request, bad_request, not_found
from sandbox.world import World


def control(world: World, request: Request) -> Answer:
    """GET crm, accounts, stats, faults, posted; DELETE stats, faults; POST the others of the table below,
    and below microsoft/ those of sandbox/microsoft/control.py."""
    name = request.path.removeprefix("/_sandbox/").strip("/")
    verb = _VERBS.get((request.method, name))
    if verb is None:
        raise not_found(f"There is no {request.method} /_sandbox/{name}.")
    try:
        given = request.json() if request.method == "POST" else {}
        if name == "robot":
            given.setdefault("token_uri", f"{request.base}/token")
        return Answer.of(verb(world, given))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise bad_request(f"{type(error).__name__}: {error}") from error


def _crm(world: World, given: dict[str, Any]) -> Any:
    return world.crm


def _accounts(world: World, given: dict[str, Any]) -> Any:
    return world.accounts()


def _stats(world: World, given: dict[str, Any]) -> Any:
    return world.stats.as_json()


def _clear_stats(world: World, given: dict[str, Any]) -> Any:
    world.stats.clear()
    return {}


def _faults(world: World, given: dict[str, Any]) -> Any:
    return world.faults.as_json()


def _clear_faults(world: World, given: dict[str, Any]) -> Any:
    world.faults.clear()
    return {}


def _fault(world: World, given: dict[str, Any]) -> Any:
    world.faults.add(given.pop("fault"), **given)
    return world.faults.as_json()


def _deliver(world: World, given: dict[str, Any]) -> Any:
    raw = base64.urlsafe_b64decode(given["raw"]) if "raw" in given else str(given["text"]).encode()
    box = world.mailbox(given["email"])
    return {"id": box.deliver(raw, labels=given.get("labels"), at=given.get("at"))}


def _label(world: World, given: dict[str, Any]) -> Any:
    world.mailbox(given["email"]).label(given["id"], given.get("add", ()), given.get("remove", ()))
    return {}


def _delete(world: World, given: dict[str, Any]) -> Any:
    world.mailbox(given["email"]).delete(given["id"])
    return {}


def _clock(world: World, given: dict[str, Any]) -> Any:
    world.clock.advance(float(given.get("advance", 0)))
    return {"now": world.clock.now()}


def _knobs(world: World, given: dict[str, Any]) -> Any:
    for name, value in given.items():
        if name not in world.knobs.__dataclass_fields__:
            raise ValueError(f"There is no knob {name}.")
        setattr(world.knobs, name, value)
    return {}


def _fill(world: World, given: dict[str, Any]) -> Any:
    """A large mailbox; see sandbox/bulk.py."""
    filled = fill(world.mailbox(given.pop("email")), given.pop("count"), **given)
    return {"count": filled.count, "relevant": len(filled.relevant)}


def _event(world: World, given: dict[str, Any]) -> Any:
    """An event put, or with `cancel` cancelled, in a calendar."""
    calendar = world.almanac.calendar(given["email"], given.get("calendar", "primary"))
    if "cancel" in given:
        world.almanac.cancel(calendar, given["cancel"])
        return {}
    return {"id": world.almanac.put(calendar, given["event"])}


def _expire(world: World, given: dict[str, Any]) -> Any:
    """Every history cursor (of one mailbox, or of all) and every sync token is out of date."""
    for box in list(world.mailboxes.values()):
        if given.get("email", box.email).lower() == box.email:
            box.expire_history()
    world.almanac.expire_tokens()
    return {}


def _topic(world: World, given: dict[str, Any]) -> Any:
    return {"name": world.pubsub.topic(given["name"], granted=given.get("granted", True))}


def _subscription(world: World, given: dict[str, Any]) -> Any:
    return {"name": world.pubsub.subscribe(given.pop("name"), given.pop("topic"), **given).name}


def _settle(world: World, given: dict[str, Any]) -> Any:
    """Everything that is due has been pushed."""
    return {"posted": len(world.courier.settle()), "pending": world.courier.pending()}


def _posted(world: World, given: dict[str, Any]) -> Any:
    shown = ("at", "url", "status", "attempt", "kind")
    return [{name: getattr(one, name) for name in shown} for one in list(world.courier.record)]


def _tokens(world: World, given: dict[str, Any]) -> Any:
    """How long tokens live: access_seconds, refresh_seconds, unused_seconds, rotate, most."""
    for name, value in given.items():
        if name not in ("access_seconds", "refresh_seconds", "unused_seconds", "rotate", "most"):
            raise ValueError(f"Tokens have no {name}.")
        setattr(world.grants, name, value)
    return {}


def _revoke(world: World, given: dict[str, Any]) -> Any:
    """Every grant of the account ends; `reason` is what the token endpoint will say."""
    world.grants.kill(given["email"], given.get("reason", DEAD))
    return {}


def _forget_access(world: World, given: dict[str, Any]) -> Any:
    world.grants.forget_access()
    return {}


def _user(world: World, given: dict[str, Any]) -> Any:
    """An account (made when new): name, admin, suspended, alias."""
    box = world.mailbox(given["email"], given.get("name", ""))
    for name, members in (("admin", world.admins), ("suspended", world.suspended)):
        if name in given:
            (members.add if given[name] else members.discard)(box.email)
    if "alias" in given:
        box.add_alias(given["alias"])
    return {"email": box.email}


def _robot(world: World, given: dict[str, Any]) -> Any:
    """The service account's key file; `delegated` maps domains to the scopes allowed there ([] withdraws)."""
    robot = world.delegation.account(given.get("email", ROBOT))
    for domain, scopes in given.get("delegated", {}).items():
        robot.allow(domain, *scopes)
    return robot.info(given["token_uri"])


_VERBS = {
    ("GET", "crm"): _crm,
    ("GET", "accounts"): _accounts,
    ("GET", "stats"): _stats,
    ("DELETE", "stats"): _clear_stats,
    ("GET", "faults"): _faults,
    ("DELETE", "faults"): _clear_faults,
    ("POST", "fault"): _fault,
    ("POST", "deliver"): _deliver,
    ("POST", "label"): _label,
    ("POST", "delete"): _delete,
    ("POST", "clock"): _clock,
    ("POST", "knobs"): _knobs,
    ("POST", "fill"): _fill,
    ("POST", "event"): _event,
    ("POST", "expire"): _expire,
    ("POST", "topic"): _topic,
    ("POST", "subscription"): _subscription,
    ("POST", "settle"): _settle,
    ("GET", "posted"): _posted,
    ("POST", "tokens"): _tokens,
    ("POST", "revoke"): _revoke,
    ("POST", "forget_access"): _forget_access,
    ("POST", "user"): _user,
    ("POST", "robot"): _robot,
    **MICROSOFT_VERBS,
}
