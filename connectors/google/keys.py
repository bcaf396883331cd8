"""The key file of a service account, as Google Cloud hands it out: read strictly, because whoever holds it may open a whole
team's mail, and because it names the address to which it wants to be sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from google.auth import crypt

from connectors.errors import OperatorFault
from connectors.google.config import GoogleConfig

NEEDED = ("client_email", "client_id", "private_key", "token_uri")
OWN_UNIVERSE = "googleapis.com"


def read_key(text: str, config: GoogleConfig) -> dict[str, str]:
    """A key file's content, checked. Raises OperatorFault, whose sentence never quotes it."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("type") != "service_account":
        raise _wrong(
            "This is not the key file of a service account. In Google Cloud: IAM, Service accounts, Keys, Add key, JSON."
        )
    key = {str(name): str(value) for name, value in found.items()}
    checked_key(key, config)
    _signs(key)
    return key


def checked_key(key: Mapping[str, Any], config: GoogleConfig) -> Mapping[str, Any]:
    """The key, if it may be used on this server. Raises OperatorFault."""
    missing = [name for name in NEEDED if not key.get(name)]
    if missing:
        raise _wrong(
            f"The key file lacks {', '.join(missing)}. Download the service account's key from Google Cloud again."
        )
    if _place(str(key["token_uri"])) != _place(config.token_uri):
        raise OperatorFault(
            "foreign_key",
            f"The key file wants its token from another host than {urlsplit(config.token_uri).netloc}. Nothing was sent; "
            "use a key that Google Cloud made, or check GOOGLE_OAUTH_ROOT.",
        )
    if key.get("universe_domain", OWN_UNIVERSE) != OWN_UNIVERSE or not str(key["client_id"]).isdigit():
        raise _wrong(
            "The key file is of another cloud, or names no numeric client id. Dealtrail needs one of Google's own."
        )
    return key


def _signs(key: Mapping[str, Any]) -> None:
    try:
        crypt.RSASigner.from_service_account_info(key)
    except Exception:  # noqa: BLE001  (every library of cryptography has its own way to say so, and quotes the key)
        raise unreadable() from None


def unreadable() -> OperatorFault:
    """The private key in the file is damaged."""
    return _wrong("The private key in the key file cannot be read. Download the service account's key again.")


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _wrong(sentence: str) -> OperatorFault:
    return OperatorFault("key_file", sentence)
