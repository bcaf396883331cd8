"""Google's own client library, pointed where the configuration says, behind one adapter that never retries by itself, never
follows a redirect, and sends a token to no other host (provider-contract 0.1, 0.2, 6)."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import google_auth_httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from connectors.base import Budget, GrantStore
from connectors.clock import REAL, Clock
from connectors.errors import ConnectorError, OperatorFault, TryLater
from connectors.google import multipart
from connectors.google.config import GoogleConfig
from connectors.google.credentials import StoredCredentials
from connectors.google.faults import classify
from connectors.google.line import Line

logging.getLogger("googleapiclient").setLevel(logging.WARNING)
"""Below that level the library writes down addresses with the people that were searched for."""


class GuardedHttp(google_auth_httplib2.AuthorizedHttp):
    """Attaches the token only for hosts that were configured."""

    allowed: frozenset[str] = frozenset()

    def request(self, uri: str, *args: Any, **options: Any) -> Any:
        if urlsplit(uri).netloc not in self.allowed:
            raise OperatorFault(
                "foreign_host", "A request to an unknown host was stopped before any token was attached."
            )
        return super().request(uri, *args, **options)


class Client:
    """The services of one account. Not thread-safe: one for each thread. Close it."""

    def __init__(
        self, config: GoogleConfig, store: GrantStore, budget: Budget, *, email: str = "", clock: Clock = REAL
    ) -> None:
        self.config, self.budget, self.clock = config, budget, clock
        self.quota_user = hashlib.sha256(email.lower().encode()).hexdigest()[:32] if email else ""
        self._store = store
        self._http: GuardedHttp | None = None
        self._services: dict[str, Any] = {}
        self._held: dict[str, Any] = {}

    @property
    def http(self) -> GuardedHttp:
        if self._http is None:
            bare = Line(self.config.timeout)
            credentials = StoredCredentials(self.config, self._store, google_auth_httplib2.Request(bare))
            self._http = GuardedHttp(credentials, http=bare)
            self._http.allowed = self.config.hosts
        return self._http

    def gmail(self) -> Any:
        return self._service("gmail", "v1", self.config.gmail_root)

    def calendar(self) -> Any:
        return self._service("calendar", "v3", self.config.calendar_root)

    def directory(self) -> Any:
        """Who there is in a Workspace domain."""
        return self._service("admin", "directory_v1", self.config.admin_root)

    def renew(self) -> None:
        """Fetch an access token now. Raises ConnectorError."""
        try:
            self.http.credentials.refresh(None)
        except Exception as error:  # noqa: BLE001  (as in ``call``)
            raise self._fault(error) from None

    def hold(self, name: str, make: Any) -> Any:
        """A resource object kept: building the chain anew costs a millisecond each time."""
        if name not in self._held:
            self._held[name] = make()
        return self._held[name]

    def call(self, request: Any, *, units: int = 0, urgent: bool = False) -> dict[str, Any]:
        """Send one request; its answer is a dict or an error says what to do next. Each names the mailbox for the quota, or
        all mailboxes of a service account would share one (provider-contract 2.5). Raises ConnectorError."""
        if units:
            self.budget.spend(units, urgent=urgent)
        if self.quota_user and "quotaUser=" not in request.uri:
            request.uri += f"{'&' if '?' in request.uri else '?'}quotaUser={self.quota_user}"
        try:
            answer = request.execute(http=self.http, num_retries=0)
        except Exception as error:  # noqa: BLE001  (whatever the library throws: its text may hold addresses and ids)
            raise self._fault(error) from None
        return self.checked(answer)

    def exchange(self, uri: str, requests: Mapping[str, Any]) -> dict[str, multipart.Part]:
        """Send many GET requests in one round trip; the answers by id, those whose token was refused asked for once more
        under a fresh one. Raises what the line throws, and HttpError for the batch as a whole."""
        answers, token = self._post_batch(uri, requests)
        refused = {key: one for key, one in requests.items() if key in answers and answers[key].status == 401}
        if refused:
            if self.http.credentials.token == token:
                self.http.credentials.refresh(None)
            answers |= self._post_batch(uri, refused)[0]
        return answers

    def _post_batch(self, uri: str, requests: Mapping[str, Any]) -> tuple[dict[str, multipart.Part], str]:
        """The answers, and the token under which they were asked for."""
        headers: dict[str, str] = {}
        self.http.credentials.before_request(None, "POST", uri, headers)
        token = self.http.credentials.token
        kind, body = multipart.write(requests, headers)
        answer, content = self.http.request(uri, method="POST", body=body, headers={"content-type": kind})
        if answer.status >= 300:
            raise HttpError(answer, content, uri=uri)
        return multipart.read(str(answer.get("content-type", "")), content), token

    def checked(self, answer: Any) -> dict[str, Any]:
        """An answer that is no JSON object is no answer: the library hands text out without raising."""
        if not isinstance(answer, dict):
            raise TryLater("not_json", "Google's answer was not what it should be; we try again.", scope="source")
        return answer

    def drop_line(self) -> None:
        """Forget the connection, so that the next request opens a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def close(self) -> None:
        """Close sockets and services."""
        self._held.clear()
        for service in self._services.values():
            service.close()
        self._services.clear()
        self.drop_line()

    def _fault(self, error: BaseException) -> ConnectorError:
        found = classify(error, now=self.clock.now())
        if isinstance(found, TryLater):
            if found.throttled and found.after:
                self.budget.penalise(found.after)
            if found.code in ("network", "truncated"):
                self.drop_line()
        return found

    fault = _fault

    def _service(self, name: str, version: str, root: str) -> Any:
        if name not in self._services:
            self._services[name] = build_from_document(_document(name, version, root), http=self.http)
        return self._services[name]


@cache
def _document(name: str, version: str, root: str) -> Any:
    """The bundled discovery document, pointed at ``root`` for single calls and for batches alike."""
    document = copy.deepcopy(_bundled(name, version))
    document["rootUrl"] = f"{root}/"
    document["batchPath"] = f"batch/{name}/{version}"
    document["baseUrl"] = f"{root}/{document['servicePath']}"
    document.pop("mtlsRootUrl", None)
    return document


@cache
def _bundled(name: str, version: str) -> Any:
    folder = files("googleapiclient.discovery_cache").joinpath("documents")
    return json.loads(folder.joinpath(f"{name}.{version}.json").read_text(encoding="utf-8"))
