"""Many reads in few round trips, each id accounted for (provider-contract 1.7).

A part may be missing, cut or refused while the others are there; every id without a proper answer is asked for again, in
smaller batches, and at last alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httplib2
from googleapiclient.errors import HttpError

from connectors.errors import ConnectorError, TryLater, error_word
from connectors.google.client import Client
from connectors.google.faults import NotFound
from connectors.google.multipart import Part
from connectors.items import Unreadable
from connectors.throttle import Pace

ROUNDS = 4
OWN_PACE = "budget"
"""The code of a wait that our own meter asks for: no complaint of the provider's."""
LONGEST_PAUSE = 5.0
"""Seconds that are waited here; a longer wait goes back to the worker, the thread being free meanwhile."""


class Batch:
    """Reads by id through the batch endpoint at ``uri``."""

    def __init__(self, client: Client, uri: str) -> None:
        self._client, self._uri, self._sleep = client, uri, client.clock.sleep
        self._pace = Pace(client.config.batch_size)

    def read(
        self, requests: Mapping[str, Callable[[], Any]], *, units: int, urgent: bool = False
    ) -> dict[str, dict[str, Any] | Unreadable]:
        """Each key once: the answer, or why there is none. Raises ConnectorError when nothing at all could be read and the
        reason concerns the whole account."""
        done: dict[str, dict[str, Any] | Unreadable] = {}
        open_ids = list(requests)
        last: dict[str, ConnectorError] = {}
        for attempt in range(ROUNDS):
            pause = self._round(requests, open_ids, done, last, units=units, urgent=urgent, singly=attempt >= 2)
            open_ids = [key for key in open_ids if key not in done]
            if not open_ids:
                return done
            if pause > LONGEST_PAUSE:
                break
            if attempt < ROUNDS - 1:
                self._sleep(max(pause, 0.5 * 2**attempt))
        self._give_up(open_ids, done, last)
        return done

    def _round(
        self,
        requests: Mapping[str, Callable[[], Any]],
        open_ids: Sequence[str],
        done: dict[str, dict[str, Any] | Unreadable],
        last: dict[str, ConnectorError],
        *,
        units: int,
        urgent: bool,
        singly: bool,
    ) -> float:
        """Ask once for everything that is open; how long to pause before the next round."""
        pause, start = 0.0, 0
        while start < len(open_ids):
            size = 1 if singly else min(self._pace.size, self._client.config.parts_at_once(units))
            part = open_ids[start : start + size]
            start += size
            outcome = self._send(requests, part, units=units, urgent=urgent)
            complaint = False
            for key in part:
                found = outcome.get(key) or TryLater("missing_part", "Google left a part of its answer out.")
                if isinstance(found, dict):
                    done[key] = found
                elif isinstance(found, NotFound):
                    done[key] = Unreadable(key, found.code, gone=True)
                else:
                    last[key] = found
                    if isinstance(found, TryLater) and found.throttled:
                        complaint = complaint or found.code != OWN_PACE
                        pause = max(pause, found.after)
                    elif not isinstance(found, TryLater):
                        pause = LONGEST_PAUSE + 1
            self._pace.complaint() if complaint else self._pace.clean()
            if pause > LONGEST_PAUSE:
                return pause
        return pause

    def _send(
        self, requests: Mapping[str, Callable[[], Any]], part: Sequence[str], *, units: int, urgent: bool
    ) -> dict[str, dict[str, Any] | ConnectorError]:
        """One batch; what each id got. A fault of the whole batch is each id's fault."""
        try:
            self._client.budget.spend(units * len(part), urgent=urgent)
        except TryLater as slow:
            return dict.fromkeys(part, slow)
        try:
            if len(part) == 1:
                answer = requests[part[0]]().execute(http=self._client.http, num_retries=0)
                return {part[0]: _checked(answer)}
            answers = self._client.exchange(self._uri, {key: requests[key]() for key in part})
        except Exception as error:  # noqa: BLE001  (the library throws what it likes; each becomes the ids' own fault)
            fault = self._client.fault(error)
            if isinstance(fault, TryLater) and fault.code == "bad_request" and len(part) > 1:
                fault = TryLater("batch_refused", fault.sentence, throttled=True)
            return dict.fromkeys(part, fault)
        return {key: self._outcome(answer) for key, answer in answers.items()}

    def _outcome(self, answer: Part) -> dict[str, Any] | ConnectorError:
        if answer.status >= 300:
            head = httplib2.Response(answer.headers | {"status": str(answer.status)})
            return self._client.fault(HttpError(head, answer.content))
        try:
            return _checked(json.loads(answer.content))
        except ValueError:
            return _checked(None)

    def _give_up(
        self, open_ids: Sequence[str], done: dict[str, dict[str, Any] | Unreadable], last: Mapping[str, ConnectorError]
    ) -> None:
        """What stays unread is data on its item; but when nothing was read at all and the provider spoke of the account,
        that is the account's matter."""
        first = last.get(open_ids[0])
        if first is not None and not done and _concerns_account(first):
            raise first
        for key in open_ids:
            fault = last.get(key) or first  # an id that was never asked shares the reason for which we stopped
            slow = isinstance(fault, TryLater) and fault.throttled
            done[key] = Unreadable(key, error_word(fault) if fault else "missing_part", strike=not slow)
            if fault is not None and not isinstance(fault, TryLater):
                done[key] = Unreadable(key, error_word(fault), strike=False)


_OF_THE_LINE = ("network", "truncated", "unauthorized", "token_endpoint", "not_json")
"""Faults of the way to the provider: no item's own. A 5xx may be one item's poison, also of one that is asked for alone (F23)."""


def _concerns_account(fault: ConnectorError) -> bool:
    if isinstance(fault, TryLater):
        return fault.throttled or fault.code in _OF_THE_LINE
    return True


def _checked(answer: Any) -> dict[str, Any] | ConnectorError:
    if isinstance(answer, dict) and answer:
        return answer
    return TryLater("not_json", "A part of Google's answer was not what it should be.")
