"""Many reads in one round trip (JSON batching; provider-contract 4.4, F55): each part has a fate of its own.

The outer answer says nothing about the parts; they come in any order and may be missing. A part that was refused for our haste,
or for a fault that may pass, is asked for again after the longest wait that any of them named; an id is never dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from connectors.errors import ConnectorError, Reconnect, Refused, TryLater
from connectors.items import Unreadable
from connectors.microsoft.faults import NotFound, from_answer
from connectors.microsoft.graph import IMMUTABLE, Graph

ROUNDS = 3
PATIENCE = 20.0
"""Seconds to wait for a part here; for longer it is owed."""
_FIRST_WAIT = 1.0
Answer = dict[str, Any] | bytes | Unreadable


def read(graph: Graph, urls: Mapping[str, str], *, urgent: bool = False) -> dict[str, Answer]:
    """GET the relative urls (``/me/messages/...``) by id; every id comes back once: what was read (bytes where it is no JSON),
    or Unreadable. Raises ConnectorError when nothing could be asked at all."""
    found: dict[str, Answer] = {}
    left = list(urls)
    for number in range(ROUNDS):
        again, wait = _round(graph, urls, left, found, urgent)
        if not again:
            break
        left = again
        if number == ROUNDS - 1 or wait > PATIENCE:
            break
        graph.clock.sleep(max(wait, _FIRST_WAIT * 2**number))
    return {key: found.get(key) or Unreadable(key, "missing", strike=False) for key in urls}


def _round(
    graph: Graph, urls: Mapping[str, str], left: list[str], found: dict[str, Answer], urgent: bool
) -> tuple[list[str], float]:
    """Ask for what is left; (what is to be asked for again, after how many seconds)."""
    again: list[str] = []
    wait, size = 0.0, graph.config.batch_size
    for start in range(0, len(left), size):
        part = left[start : start + size]
        answers = _asked(graph, urls, part, urgent)
        faults = {key: _fault(graph, answers[key]) for key in part if key in answers}
        _raise_what_concerns_all(faults)
        for key in part:
            found[key], retry = _fate(key, answers.get(key), faults.get(key))
            if retry:
                again.append(key)
                wait = max(wait, _wait(faults.get(key)))
        if any(answer.get("status") == 401 for answer in answers.values()):
            graph.renew()
    return again, wait


def _asked(graph: Graph, urls: Mapping[str, str], keys: list[str], urgent: bool) -> dict[str, dict[str, Any]]:
    requests = [
        {"id": str(number), "method": "GET", "url": urls[key], "headers": {"Prefer": IMMUTABLE}}
        for number, key in enumerate(keys)
    ]
    answers = graph.exchange(requests, urgent=urgent)
    by_number = {str(one.get("id")): one for one in answers}
    return {key: by_number[str(number)] for number, key in enumerate(keys) if str(number) in by_number}


def _fault(graph: Graph, answer: dict[str, Any]) -> ConnectorError | None:
    """What is wrong with a part; None for nothing."""
    status, body, headers = int(answer.get("status") or 0), answer.get("body"), answer.get("headers")
    if 200 <= status < 300:
        return None
    given = headers if isinstance(headers, dict) else {}
    fault = from_answer(status, body if isinstance(body, dict) else b"", given, now=graph.clock.now())
    return graph.heeded(fault)


def _wait(fault: ConnectorError | None) -> float:
    """Seconds before a part is asked for again; under a fresh token at once."""
    return fault.after if isinstance(fault, TryLater) and fault.code != "unauthorized" else 0.0


def _raise_what_concerns_all(faults: Mapping[str, ConnectorError | None]) -> None:
    """One part that is refused is that item's matter; when all of several are, it is the mailbox's."""
    refused = [fault for fault in faults.values() if isinstance(fault, Refused | Reconnect)]
    if len(refused) > 1 and len(refused) == len(faults):
        raise refused[0]


def _fate(key: str, answer: dict[str, Any] | None, fault: ConnectorError | None) -> tuple[Answer, bool]:
    """(what became of a part, whether to ask again)."""
    if answer is None:
        return Unreadable(key, "missing", strike=False), True
    if fault is None:
        body = answer.get("body")
        content = body if isinstance(body, dict) else _bytes(body)
        return (content, False) if content is not None else (Unreadable(key, "not_json"), True)
    if isinstance(fault, NotFound):
        return Unreadable(key, fault.code, gone=True), False
    if isinstance(fault, TryLater):
        strike = not fault.throttled and fault.code != "unauthorized"
        return Unreadable(key, fault.code, strike=strike), fault.code != "bad_request"
    return Unreadable(key, fault.code), False


def _bytes(body: Any) -> bytes | None:
    """What is no JSON comes as base64 (JSON batching, "Response format")."""
    if not isinstance(body, str):
        return None
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        return body.encode()
