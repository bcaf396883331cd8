"""Reading every message of a mailbox with a client library and nothing else: what our own way is measured against.

Google: *bare* is a google-api-python-client batch of 20 in format full whose JSON is parsed and thrown away, written as the
library's guide writes it, ``service.users().messages().get(...)`` for each message; *tuned* is the same with its resource object
made once. Microsoft: *bare* is httpx posting ``$batch`` with 20 messages, the fields that we ask for too and the text of the body,
whose JSON is parsed and thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httplib2
import httpx
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document

from connectors.google.client import _document
from connectors.microsoft.message import FILES, WHOLE

BATCH = 20
CLIENTS = {"google": ("bare", "tuned"), "microsoft": ("bare",)}
"""By provider; the last one is what we aim at."""
_PREFER = 'IdType="ImmutableId", outlook.body-content-type="text"'


@contextmanager
def reader(
    client: str, provider: str, api_root: str, oauth_root: str, refresh_token: str
) -> Iterator[Callable[[], None]]:
    """What reads it all, once it is called. Raises AssertionError when a message could not be read."""
    if provider == "microsoft":
        with _graph(api_root, oauth_root, refresh_token) as http:
            yield lambda: _read_outlook(http)
        return
    credentials = Credentials(
        None,
        refresh_token=refresh_token,
        token_uri=f"{oauth_root}/token",
        client_id="bench",
        client_secret="bench-secret",
    )
    http = AuthorizedHttp(credentials, http=httplib2.Http())
    service = build_from_document(_document("gmail", "v1", api_root), http=http)
    yield lambda: _read_gmail(service, tuned=client == "tuned")
    service.close()
    http.close()


# ---- Google


def _read_gmail(service: Any, *, tuned: bool) -> None:
    seen = 0

    def collect(key: str, answer: Any, error: Any) -> None:
        nonlocal seen
        seen += error is None and "payload" in answer

    messages = service.users().messages()
    ids = _gmail_ids(messages)
    for start in range(0, len(ids), BATCH):
        batch = service.new_batch_http_request(callback=collect)
        for key in ids[start : start + BATCH]:
            resource = messages if tuned else service.users().messages()
            batch.add(resource.get(userId="me", id=key, format="full"), request_id=key)
        batch.execute()
    _all_read(seen, ids)


def _gmail_ids(messages: Any) -> list[str]:
    ids: list[str] = []
    request = messages.list(userId="me", maxResults=500)
    while request is not None:
        answer = request.execute()
        ids += [row["id"] for row in answer.get("messages", [])]
        request = messages.list_next(request, answer)
    return ids


# ---- Microsoft


@contextmanager
def _graph(graph_root: str, login_root: str, refresh_token: str) -> Iterator[httpx.Client]:
    """A client with an access token."""
    given = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": "bench",
        "client_secret": "bench-secret",
        "scope": "Mail.Read offline_access",
    }
    answer = (
        httpx.post(f"{login_root}/organizations/oauth2/v2.0/token", data=given, timeout=60).raise_for_status().json()
    )
    headers = {"Authorization": f"Bearer {answer['access_token']}", "Prefer": 'IdType="ImmutableId"'}
    with httpx.Client(base_url=graph_root, headers=headers, timeout=60) as http:
        yield http


def _read_outlook(http: httpx.Client) -> None:
    ids, seen = _outlook_ids(http), 0
    query = f"$select={WHOLE}&$expand={FILES}"
    for start in range(0, len(ids), BATCH):
        parts = [
            {"id": key, "method": "GET", "url": f"/me/messages/{key}?{query}", "headers": {"Prefer": _PREFER}}
            for key in ids[start : start + BATCH]
        ]
        answer = http.post("/$batch", json={"requests": parts}).raise_for_status().json()
        seen += sum(one["status"] == 200 and "body" in one["body"] for one in answer["responses"])
    _all_read(seen, ids)


def _outlook_ids(http: httpx.Client) -> list[str]:
    ids: list[str] = []
    link = "/me/messages?$select=id&$top=500"
    while link:
        answer = http.get(link).raise_for_status().json()
        ids += [row["id"] for row in answer["value"]]
        link = answer.get("@odata.nextLink", "")
    return ids


def _all_read(seen: int, ids: list[str]) -> None:
    if seen != len(ids):
        raise AssertionError(f"{seen} of {len(ids)} messages were read")
