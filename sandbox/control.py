"""What a test or a demonstration may ask of a sandbox in another process: `/_sandbox/...`, JSON in and out."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.wire import Answer, Request, bad_request, not_found
from sandbox.world import World


def control(world: World, request: Request) -> Answer:
    """GET crm | accounts | stats | faults; POST deliver | label | delete | fault | clock | knobs; DELETE faults | stats."""
    name = request.path.removeprefix("/_sandbox/").strip("/")
    verb = _VERBS.get((request.method, name))
    if verb is None:
        raise not_found(f"There is no {request.method} /_sandbox/{name}.")
    try:
        return Answer.of(verb(world, request.json() if request.method == "POST" else {}))
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
}
