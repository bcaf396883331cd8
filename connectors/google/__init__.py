"""Gmail and Google Calendar, through Google's own client library. Vendor libraries load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.google.config import GoogleConfig

if TYPE_CHECKING:
    from connectors.google.connection import GoogleConnection, connect
    from connectors.google.grant import Consent, adopt_refresh_token, begin_consent, finish_consent

__all__ = [
    "Consent",
    "GoogleConfig",
    "GoogleConnection",
    "adopt_refresh_token",
    "begin_consent",
    "connect",
    "finish_consent",
]


def __getattr__(name: str) -> Any:
    """Load the part that needs Google's libraries when it is asked for."""
    if name in ("Consent", "adopt_refresh_token", "begin_consent", "finish_consent"):
        from connectors.google import grant

        return getattr(grant, name)
    if name in ("GoogleConnection", "connect"):
        from connectors.google import connection

        return getattr(connection, name)
    raise AttributeError(name)
