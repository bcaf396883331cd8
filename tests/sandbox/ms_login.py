"""msal on the pretend Entra: an http_client that takes Microsoft's host names to the sandbox's socket, as a product would."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msal

from sandbox import Server

HOST = "https://login.microsoftonline.com"
BACK = "https://dealtrail.acme.example/accounts/microsoft/callback"
_FIELD = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')
SCOPES = ["User.Read", "Mail.Read", "Calendars.Read"]


class Mapped:
    """What msal needs of a session (contract section 6)."""

    def __init__(self, login_root: str) -> None:
        self.login_root = login_root
        self.http = httpx.Client(timeout=20)
        self.asked: list[str] = []

    def get(self, url: str, params: Any = None, headers: Any = None, **more: Any) -> _Answer:
        return _Answer(self.http.get(self.mapped(url), params=params or None, headers=headers))

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **more: Any) -> _Answer:
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return _Answer(self.http.post(self.mapped(url), params=params or None, data=form, headers=headers))

    def close(self) -> None:
        self.http.close()

    def mapped(self, url: str) -> str:
        assert url.startswith(f"{HOST}/"), f"{url} leaves Entra"
        self.asked.append(url)
        return self.login_root + url.removeprefix(HOST)


class _Answer:
    def __init__(self, answer: httpx.Response) -> None:
        self.status_code, self.text, self.headers = answer.status_code, answer.text, answer.headers
        self._answer = answer

    def raise_for_status(self) -> None:
        self._answer.raise_for_status()


class Login:
    """One app of ours on one server."""

    def __init__(self, server: Server, *, tenant: str = "organizations", credential: Any = "secret") -> None:
        self.server, self.tenant, self.credential = server, tenant, credential
        self.http = Mapped(server.microsoft_login_root)
        self.cache = msal.SerializableTokenCache()

    def app(self) -> msal.ConfidentialClientApplication:
        """A new one each time: msal keeps a refusal for a minute."""
        return msal.ConfidentialClientApplication(
            "client",
            client_credential=self.credential,
            authority=f"{HOST}/{self.tenant}",
            token_cache=self.cache,
            http_client=self.http,
            instance_discovery=False,
        )

    def begin(self, **more: Any) -> dict[str, Any]:
        more.setdefault("response_mode", "form_post")
        return self.app().initiate_auth_code_flow(SCOPES, redirect_uri=BACK, **more)

    def answered(self, url: str, **form: Any) -> dict[str, str]:
        """What comes back to our redirect address from a page of Entra; `form` is what was chosen on it."""
        url = self.http.mapped(url)
        parts = urlsplit(url)
        bare = url.partition("?")[0]
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        answer = self.http.http.post(bare, data=asked | form) if form else self.http.http.get(url)
        if asked.get("response_mode") == "form_post":
            assert f'action="{BACK}"' in answer.text, answer.text
            return {name: html.unescape(value) for name, value in _FIELD.findall(answer.text)}
        assert answer.status_code == 302, answer.text
        assert answer.headers["location"].startswith(BACK)
        return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}

    def signed_in(self, email: str, **more: Any) -> dict[str, Any]:
        """The whole way of one user through the page."""
        flow = self.begin(**more)
        return self.app().acquire_token_by_auth_code_flow(flow, self.answered(flow["auth_uri"], choice=email))

    def silent(self, **more: Any) -> dict[str, Any]:
        app = self.app()
        (account,) = app.get_accounts()
        found = app.acquire_token_silent_with_error(SCOPES, account, **more)
        assert found is not None
        return found

    def close(self) -> None:
        self.http.close()
