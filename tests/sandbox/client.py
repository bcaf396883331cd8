"""Google's own client library on a sandbox, every answer of which is held against the discovery documents."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import google_auth_httplib2
import httplib2
import httpx
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from sandbox import Server, World
from sandbox.oauth import READING
from tests.sandbox import conform

ALL = (
    *READING,
    "https://www.googleapis.com/auth/pubsub",
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
)
DRIVEN: set[str] = set()
"""The method ids that were driven in this run."""


class Google:
    """One account's view. `call` runs a request and checks its answer; `batch` runs many in one."""

    def __init__(self, world: World, server: Server, email: str, scopes: tuple[str, ...] = ALL) -> None:
        self.world, self.server, self.email = world, server, email.lower()
        self.token = world.access_token(email, scopes)
        self.credentials = Credentials(
            self.token,
            refresh_token=world.refresh_token(email, scopes),
            token_uri=f"{server.google_oauth_root}/token",
            client_id="client",
            client_secret="secret",
        )
        self._http = httplib2.Http(timeout=20)
        self._plain = httpx.Client(verify=False, timeout=20)

    @cached_property
    def gmail(self) -> Any:
        return self._service("gmail")

    @cached_property
    def calendar(self) -> Any:
        return self._service("calendar")

    @cached_property
    def directory(self) -> Any:
        return self._service("directory")

    @cached_property
    def pubsub(self) -> Any:
        return self._service("pubsub")

    @property
    def users(self) -> Any:
        return self.gmail.users()

    @property
    def messages(self) -> Any:
        return self.gmail.users().messages()

    @property
    def events(self) -> Any:
        return self.calendar.events()

    def close(self) -> None:
        self._http.close()
        self._plain.close()

    def call(self, request: Any) -> Any:
        return self.checked(request, request.execute())

    def checked(self, request: Any, answer: Any) -> Any:
        DRIVEN.add(request.methodId)
        assert conform.faults(request.methodId, answer) == []
        return answer

    def batch(self, requests: list[Any], service: Any = None) -> list[Any]:
        """Answers in the order of the requests; an HttpError where a part was refused."""
        found: dict[str, Any] = {}
        made = (service or self.gmail).new_batch_http_request()
        for number, request in enumerate(requests):
            made.add(
                request,
                request_id=str(number),
                callback=lambda key, answer, error: found.update({key: error or answer}),
            )
        made.execute()
        answers = [found[str(number)] for number in range(len(requests))]
        for request, answer in zip(requests, answers, strict=True):
            if not isinstance(answer, HttpError):
                self.checked(request, answer)
        return answers

    def pages(self, method: Any, key: str, **given: Any) -> list[Any]:
        """All items of a listing, page by page, each page checked."""
        found, token = [], None
        while True:
            answer = self.call(method(**given, pageToken=token) if token else method(**given))
            found += answer.get(key, [])
            token = answer.get("nextPageToken")
            if not token:
                return found

    def search(self, q: str, **given: Any) -> list[str]:
        """The ids a query finds, newest first."""
        return [one["id"] for one in self.pages(self.messages.list, "messages", userId="me", q=q, **given)]

    def get(self, path: str, **given: Any) -> httpx.Response:
        """A plain GET, for what the library would not send."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self._plain.get(f"{self.server.url}{path}", headers=headers, params=given or None)

    def _service(self, api: str) -> Any:
        patched = dict(conform.document(api))
        patched["rootUrl"] = f"{self.server.url}/"
        patched["baseUrl"] = f"{self.server.url}/{patched['servicePath']}"
        patched.pop("mtlsRootUrl", None)
        http = google_auth_httplib2.AuthorizedHttp(self.credentials, http=self._http)
        return build_from_document(patched, http=http)


def error_of(caught: HttpError) -> dict[str, Any]:
    """The error object of a refusal, its envelope checked (contract 1.8)."""
    error = json.loads(caught.content)["error"]
    assert error["code"] == caught.resp.status
    assert isinstance(error["message"], str)
    assert set(error) <= {"code", "message", "errors", "status", "details"}
    for one in error["errors"]:
        assert (
            {"message", "domain", "reason"} <= set(one) <= {"message", "domain", "reason", "locationType", "location"}
        )
    return error


def reason_of(caught: HttpError) -> tuple[int, str]:
    return caught.resp.status, error_of(caught)["errors"][0]["reason"]
