"""Service accounts and domain-wide delegation: the JWT-bearer grant of the token endpoint (RFC 7523; provider contract 1.10)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.oauth import Grant, key_of, subject_of
from sandbox.wire import Refusal, oauth_error

if TYPE_CHECKING:
    from sandbox.world import World

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ROBOT = "robot@p.iam.gserviceaccount.com"
AUDIENCE = "https://oauth2.googleapis.com/token"
UNAUTHORIZED = (
    "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes "
    "requested."
)
WRONG_CLOCK = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp "
    "values in the JWT claim."
)


@dataclass(eq=False)
class ServiceAccount:
    """A robot of the operator's project. `delegated` gives, by domain, the scopes an administrator there allows it."""

    email: str
    delegated: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def key(self) -> rsa.RSAPrivateKey:
        return key_of(self.email)

    @property
    def client_id(self) -> str:
        return subject_of(self.email)

    def info(self, token_uri: str = AUDIENCE) -> dict[str, str]:
        """The key file, as `google.oauth2.service_account.Credentials.from_service_account_info` wants it."""
        clear = serialization.NoEncryption()
        key = self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear)
        shown = {"type": "service_account", "project_id": self.email.partition("@")[2].partition(".")[0]}
        shown |= {"private_key_id": "sandbox-robot-1", "private_key": key.decode(), "client_email": self.email}
        return shown | {"client_id": self.client_id, "token_uri": token_uri, "universe_domain": "googleapis.com"}

    def allow(self, domain: str, *scopes: str) -> None:
        """An administrator of the domain allows exactly these scopes; none withdraws it."""
        if scopes:
            self.delegated[domain.lower()] = frozenset(scopes)
        else:
            self.delegated.pop(domain.lower(), None)


class Delegation:
    """All service accounts by address."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.accounts: dict[str, ServiceAccount] = {}

    def account(self, email: str = ROBOT) -> ServiceAccount:
        return self.accounts.setdefault(email, ServiceAccount(email))

    def exchange(self, assertion: str) -> dict[str, Any]:
        """An access token for the assertion. Raises Refusal with what Google says."""
        claims, robot = self._verified(assertion)
        self._timely(claims)
        email = str(claims.get("sub") or robot.email).lower()
        scopes = tuple(str(claims.get("scope", "")).split())
        if email != robot.email:
            allowed = robot.delegated.get(email.partition("@")[2], frozenset())
            if not scopes or not set(scopes) <= allowed:
                raise Refusal(oauth_error(401, "unauthorized_client", UNAUTHORIZED))
            if email not in self.world.mailboxes:
                raise _invalid("Invalid email or User ID")
            if email in self.world.suspended:
                raise _invalid("Account disabled")
        grant = Grant(email, scopes, robot.client_id, "", self.world.clock.now(), via=robot.email)
        answer = self.world.grants.issue(grant)
        return {name: answer[name] for name in ("access_token", "expires_in", "token_type")}

    def wanted(self, assertion: str) -> str:
        """For whom an assertion asks, unverified; "" when it cannot be read."""
        try:
            claims = json.loads(_unpacked(assertion.split(".")[1]))
            return str(claims.get("sub") or claims.get("iss") or "").lower()
        except (ValueError, IndexError, AttributeError):
            return ""

    def _verified(self, assertion: str) -> tuple[dict[str, Any], ServiceAccount]:
        try:
            signed, _, signature = assertion.rpartition(".")
            claims = json.loads(_unpacked(signed.partition(".")[2]))
            robot = self.accounts.get(claims.get("iss", ""))
            if robot is None:
                raise _invalid("Invalid grant: account not found")
            key = robot.key.public_key()
            key.verify(_unpacked(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, AttributeError):
            raise _invalid("Bad Request") from None
        except InvalidSignature:
            raise _invalid("Invalid JWT Signature.") from None
        if claims.get("aud") != AUDIENCE and not str(claims.get("aud", "")).endswith("/token"):
            raise _invalid("Invalid JWT: Failed audience check.")
        return claims, robot

    def _timely(self, claims: dict[str, Any]) -> None:
        leeway, now = self.world.knobs.jwt_leeway, self.world.clock.now()
        begin, end = claims.get("iat"), claims.get("exp")
        if not isinstance(begin, int | float) or not isinstance(end, int | float) or not 0 < end - begin <= 3600:
            raise _invalid(WRONG_CLOCK)
        if leeway is not None and not begin - leeway <= now <= end + leeway:
            raise _invalid(WRONG_CLOCK)


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _invalid(description: str) -> Refusal:
    return Refusal(oauth_error(400, "invalid_grant", description))
