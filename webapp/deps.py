"""What the pages and the API are given: made once by main, reached through the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from connectors.doorbell import Door
from models.db import Database
from models.keyring import Keyring


class Provider(Protocol):
    """What the sign-up needs of a kind of account (``connectors.provider``)."""

    name: str
    label: str
    client: str
    own_hands: str

    @property
    def ready(self) -> bool: ...

    @property
    def why_not(self) -> str: ...

    def begin(
        self, redirect_uri: str, login_hint: str, before: Mapping[str, Any] | None = None
    ) -> tuple[str, str, str]: ...

    def finish(self, blob: str, params: Mapping[str, str], redirect_uri: str) -> Any: ...

    def revoke(self, grant: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Deps:
    """The surroundings of a request. ``check_url`` raises ValueError with a sentence for an address that must not be
    called; ``setup_token``: what the first-start page asks for, empty when only this machine can reach it; ``doors``: where
    providers push to us, by the path below ``/push/``."""

    db: Database
    keyring: Keyring
    base_url: str
    session_days: int
    consents: Mapping[str, Provider]
    check_url: Callable[[str], object]
    clock: Callable[[], datetime]
    version: str
    setup_token: str = ""
    doors: Mapping[str, Door] = field(default_factory=dict)


@dataclass(frozen=True)
class Viewer:
    """Who asks. ``csrf`` is empty for an API key, which no browser sends by itself."""

    id: int
    email: str
    name: str
    role: str
    csrf: str = ""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def leads(self) -> bool:
        """Admins and managers decide for the whole team."""
        return self.role in ("admin", "manager")


def deps_of(request: Request) -> Deps:
    """The application's surroundings."""
    return request.app.state.deps


def viewer_of(request: Request) -> Viewer:
    """Who asks; only on routes whose policy wants somebody."""
    return request.state.viewer


Given = Annotated[Deps, Depends(deps_of)]
Me = Annotated[Viewer, Depends(viewer_of)]
