"""What a logged message costs us in processor time, against the bare library reading the same messages.

Both are measured in this process, in turns, in one run, after a warm-up: *bare* is a google-api-python-client batch of
20 in format full whose JSON is parsed and thrown away, written as the library's guide writes it,
``service.users().messages().get(...)`` for each message; *tuned* is the same with its resource object made once; *ours*
is the whole way from the search to links, signals, suggestions and events on SQLite. The sandbox burns its own time in
its own process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import httplib2
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document

from bench.figures import figure, say
from bench.ground import PEOPLE, REP, Pretend, linked, place, pretend_google, settle
from connectors.google.client import _document
from serving import calm_collector

MESSAGES = 2_000
ROUNDS = 3
BATCH = 20
WARM = "warm@acme.example"
TARGET = 2.0


def run(messages: int = MESSAGES) -> None:
    """Print cpu.ratio (to the tuned library), cpu.ratio_to_bare, cpu.ours_ms, cpu.bare_ms, cpu.tuned_ms."""
    say(f"cpu: processor time per logged message, {messages} of them, against a bare batch fetch; target <= {TARGET}")
    with pretend_google() as far:
        far.tell("fill", email=WARM, count=200, relevant_share=1.0, people=PEOPLE)
        _bare(far, WARM)
        _ours(far, WARM, 200)
        calm_collector()  # as ``serve`` does
        far.tell("fill", email=REP, count=messages, relevant_share=1.0, people=PEOPLE)
        rounds = [(_bare(far, REP), _bare(far, REP, tuned=True), _ours(far, REP, messages)) for _ in range(ROUNDS)]
    for name, spent in zip(("bare", "tuned", "ours"), zip(*rounds, strict=True), strict=True):
        figure(f"cpu.{name}_ms", median(spent) * 1000 / messages)
    figure("cpu.ratio_to_bare", median(ours / bare for bare, _, ours in rounds))
    figure("cpu.ratio", median(ours / tuned for _, tuned, ours in rounds))


def _ours(far: Pretend, email: str, messages: int) -> float:
    """Seconds of processor time from the connected account to everything logged."""
    with place(far.api_root, far.oauth_root, far.refresh_token(email)) as here:
        spent = _spent(lambda: settle(here.work))
        with here.house.db.read() as session:
            found = linked(session)
        if found != messages:
            raise AssertionError(f"{found} of {messages} messages are on their deals")
    return spent


def _bare(far: Pretend, email: str, *, tuned: bool = False) -> float:
    """The same for reading every message of a mailbox with the library alone."""
    credentials = Credentials(
        None,
        refresh_token=far.refresh_token(email),
        token_uri=f"{far.oauth_root}/token",
        client_id="bench",
        client_secret="bench-secret",
    )
    http = AuthorizedHttp(credentials, http=httplib2.Http())
    service = build_from_document(_document("gmail", "v1", far.api_root), http=http)
    seen = 0

    def collect(key: str, answer: Any, error: Any) -> None:
        nonlocal seen
        seen += error is None and "payload" in answer

    def read_all() -> None:
        messages = service.users().messages()
        ids = _ids(messages)
        for start in range(0, len(ids), BATCH):
            batch = service.new_batch_http_request(callback=collect)
            for key in ids[start : start + BATCH]:
                resource = messages if tuned else service.users().messages()
                batch.add(resource.get(userId="me", id=key, format="full"), request_id=key)
            batch.execute()
        if seen != len(ids):
            raise AssertionError(f"{seen} of {len(ids)} messages were read")

    spent = _spent(read_all)
    service.close()
    http.close()
    return spent


def _ids(messages: Any) -> list[str]:
    ids: list[str] = []
    request = messages.list(userId="me", maxResults=500)
    while request is not None:
        answer = request.execute()
        ids += [row["id"] for row in answer.get("messages", [])]
        request = messages.list_next(request, answer)
    return ids


def _spent(do: Callable[[], object]) -> float:
    start = time.process_time()
    do()
    return time.process_time() - start
