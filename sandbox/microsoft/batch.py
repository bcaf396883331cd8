"""JSON batches: up to twenty requests in one, each with its own status, in any order (provider contract 4.4)."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.forms import GRAPH, JSON, bad_query, dumped, graph_error
from sandbox.wire import Answer, Request

MOST = 20
AT_ONCE = 4
"""How many of a batch Graph sends to Outlook at a time."""


def run_batch(ask: Ask, run: Callable[[Request], Answer]) -> Answer:
    """The outer answer. Raises Refusal (400) for a batch that cannot be read, has too many items or one id twice."""
    items = _items(ask)
    meter, email = ask.microsoft.meter, ask.request.account
    wanted = min(AT_ONCE, len(items))
    places = sum(meter.enter(email) for _ in range(wanted)) if email else wanted
    try:
        answers = _answers(ask, items, run, places, wanted)
    finally:
        for _ in range(places if email else 0):
            meter.leave(email)
    shown = [_shown(key, answer) for key, answer in answers.items()]
    if ask.microsoft.knobs.shuffle_batch:
        random.Random(len(ask.request.body)).shuffle(shown)
    return Answer(200, dumped({"responses": shown}), {"Content-Type": JSON})


def too_many_items() -> Answer:
    return graph_error(400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")


def _items(ask: Ask) -> list[dict[str, Any]]:
    items = ask.json().get("requests")
    if not isinstance(items, list) or not items or not all(isinstance(one, dict) for one in items):
        raise bad_query("Invalid batch payload format.")
    if len(items) > MOST:
        raise bad_query("Number of batch request steps exceeds the maximum value of 20.")
    ids = [str(one.get("id", "")) for one in items]
    if len(set(ids)) < len(ids) or not all(ids):
        raise bad_query("Each request of a batch needs an id of its own.")
    if not all(str(one.get("url", "")) and one.get("method") for one in items):
        raise bad_query("Each request of a batch needs a method and a relative url.")
    return items


def _answers(
    ask: Ask, items: list[dict[str, Any]], run: Callable[[Request], Answer], places: int, wanted: int
) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for at, one in enumerate(items):
        key = str(one["id"])
        before = [answers.get(str(name)) for name in one.get("dependsOn", ())]
        if any(done is None or done.status >= 400 for done in before):
            answers[key] = graph_error(424, "FailedDependency", "The request depends on another one that failed.")
        elif at % wanted >= places:
            answers[key] = ask.microsoft.meter.crowded()
            ask.microsoft.meter.went(ask.request.account, answers[key])
        else:
            answers[key] = run(_part(ask.request, one))
    return answers


def _part(outer: Request, one: dict[str, Any]) -> Request:
    headers = {str(name).lower(): str(value) for name, value in (one.get("headers") or {}).items()}
    headers.setdefault("authorization", outer.headers.get("authorization", ""))
    body = json.dumps(one["body"]).encode() if "body" in one else b""
    target = f"{GRAPH}/{str(one['url']).lstrip('/')}"
    return Request(str(one["method"]).upper(), target, headers, body, base=outer.base, part_of_batch=True)


def _shown(key: str, answer: Answer) -> dict[str, Any]:
    """A part's answer; a body that is no JSON, whatever it says that it is, as a base64 string."""
    kind = answer.headers.get("Content-Type", "")
    shown: dict[str, Any] = {"id": key, "status": answer.status, "headers": answer.headers}
    try:
        if kind.startswith(JSON):
            return shown | {"body": json.loads(answer.body)}
    except ValueError:
        shown["headers"] = answer.headers | {"Content-Type": "application/octet-stream"}
    if answer.body:
        shown["body"] = base64.b64encode(answer.body).decode()
    return shown
