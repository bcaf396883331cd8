"""msal's line to Entra: an app object made when it is needed, over an http client of ours (provider-contract 3.1, 6).

msal insists on Microsoft's host names, keeps refusals of its own for a minute, logs what it cannot read, and has no timeout. So
it is given a line that maps the host to the configured root, ends what is no proper answer as a fault of the line before msal sees
it, and remembers the discovery document for a day; app objects live for one call.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx
import msal

from connectors.clock import utcnow
from connectors.errors import ConnectorError, OperatorFault, TryLater
from connectors.microsoft.config import LOGIN_ROOT, MicrosoftConfig
from connectors.microsoft.faults import from_line, retry_after
from connectors.microsoft.token_faults import token_fault

DAY = 86_400.0
BIGGEST = 1024 * 1024
PAUSE = 5.0
"""Seconds to wait for Entra when it does not say how long."""
_DOWN = "Microsoft's sign-in is not answering properly at the moment; we try again."
for _name in ("msal", "msal.oauth2cli", "msal.throttled_http_client"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class Answered:
    """What msal reads of an answer."""

    def __init__(self, status_code: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code, self.text, self.headers = status_code, text, dict(headers)

    def raise_for_status(self) -> None:
        """What is no success was raised before; an OAuth error is for msal to read."""


class EntraLine:
    """``http_client`` of an msal app. Raises ConnectorError through msal."""

    _known: dict[str, tuple[float, Answered]] = {}
    _lock = threading.Lock()

    def __init__(self, config: MicrosoftConfig) -> None:
        self._config = config

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> Answered:
        """Discovery. A tenant that does not exist is told here."""
        place = self._mapped(url)
        with self._lock:
            until, known = self._known.get(place, (0.0, None))
        if known is not None and until > time.monotonic():
            return known
        found = self._sent("GET", place, params, None, headers)
        if found.status_code >= 300:
            raise token_fault(json.loads(found.text), client_id=self._config.client_id)
        with self._lock:
            self._known[place] = (time.monotonic() + DAY, found)
        return found

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> Answered:
        """The token endpoint."""
        form = {name: _text(value) for name, value in (data or {}).items() if value is not None}
        return self._sent("POST", self._mapped(url), params, form, headers)

    def close(self) -> None:
        """Lines are closed after each request."""

    def _sent(self, method: str, url: str, params: Any, form: dict[str, str] | None, headers: Any) -> Answered:
        config = self._config
        try:
            with httpx.Client(timeout=config.timeout, follow_redirects=False, trust_env=not config.pretend) as line:
                answer = line.request(method, url, params=params or None, data=form, headers=headers)
        except httpx.HTTPError as error:
            raise from_line(error) from None
        wait = retry_after(answer.headers, utcnow())
        if answer.status_code >= 500 or answer.status_code == 429 or 300 <= answer.status_code < 400:
            raise TryLater("token_endpoint", _DOWN, after=wait or PAUSE, scope="account")
        if not isinstance(_json(answer), dict):
            raise TryLater("token_endpoint", _DOWN, after=PAUSE, scope="account")
        return Answered(answer.status_code, answer.text, answer.headers)

    def _mapped(self, url: str) -> str:
        if not url.startswith(f"{LOGIN_ROOT}/"):
            raise OperatorFault(
                "foreign_host", "A sign-in at an unknown host was stopped before any secret was sent there."
            )
        return self._config.login + url.removeprefix(LOGIN_ROOT)


def app_of(
    config: MicrosoftConfig,
    cache: msal.TokenCache,
    *,
    tenant: str = "",
    client_id: str = "",
    credential: str | dict[str, str] | None = None,
) -> msal.ConfidentialClientApplication:
    """An app object for one call, on this token cache. Raises ConnectorError (discovery is asked for here)."""
    try:
        return msal.ConfidentialClientApplication(
            client_id or config.client_id,
            client_credential=credential or config.client_secret,
            authority=config.authority(tenant),
            token_cache=cache,
            http_client=EntraLine(config),
            client_capabilities=["CP1"],
            instance_discovery=False,
        )
    except ConnectorError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever the library throws: its text may quote the answer or the key)
        raise _broken(error) from None


def asked(call: Any, *args: Any, **options: Any) -> dict[str, Any]:
    """A call of an msal app: its answer, an OAuth error included. Raises ConnectorError."""
    try:
        answer = call(*args, **options)
    except ConnectorError:
        raise
    except Exception as error:  # noqa: BLE001  (as above)
        raise _broken(error) from None
    return answer if isinstance(answer, dict) else {}


def _broken(error: Exception) -> ConnectorError:
    """The class of the error is shown, never its text."""
    return TryLater(f"sign_in_{type(error).__name__.lower()}"[:60], _DOWN, after=PAUSE, scope="account")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json() if len(answer.content) <= BIGGEST else None
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
