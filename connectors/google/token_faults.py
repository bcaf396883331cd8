"""What the token endpoint's refusals mean (RFC 6749 5.2, RFC 7523 3.1; provider-contract 1.2, 1.10): two tables, one for a
person's consent, one for a service account that acts for somebody. Only what stands here asks a person to reconnect;
everything else, a 5xx page above all, is a fault of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.auth.exceptions import RefreshError

from connectors.errors import ConnectorError, OperatorFault, Reconnect, Refused, Scope, TryLater

HOUR, DAY = 3_600.0, 86_400.0
REAUTHENTICATE = "Reauthentication is needed."
"""How google-auth begins when the answer said ``invalid_rapt``; it hands no payload on."""


@dataclass(frozen=True)
class Robot:
    """A service account as an administrator knows it: its numeric client id, and what we ask for."""

    client_id: str
    scopes: Sequence[str]


Told = Callable[[Robot], ConnectorError]


def token_fault(error: str, description: str = "", subtype: str = "", *, robot: Robot | None = None) -> ConnectorError:
    """What an OAuth error means. ``robot``: it was asked for by a service account."""
    if robot is not None:
        return _of_robot(error, description.lower(), robot)
    if subtype in ("invalid_rapt", "rapt_required") or "invalid_rapt" in description:
        return _SESSION_POLICY()
    if error == "invalid_grant":
        return next((make() for words, make in _GRANTS if words in description.lower()), None) or _WITHDRAWN()
    return _CONSENT.get(error, _line)()


def refresh_fault(error: RefreshError, *, robot: Robot | None = None) -> ConnectorError:
    """What a RefreshError means: by the ``error`` in its payload alone, never by its kind (provider-contract 0.3)."""
    payload = error.args[1] if len(error.args) > 1 else None
    if isinstance(payload, dict) and isinstance(payload.get("error"), str):
        given = (str(payload.get(name) or "") for name in ("error_description", "error_subtype"))
        return token_fault(payload["error"], *given, robot=robot)
    if str(error.args[0] if error.args else "").startswith(REAUTHENTICATE) and robot is None:
        return _SESSION_POLICY()
    return _line()


def _reconnect(code: str, sentence: str) -> Callable[[], ConnectorError]:
    return lambda: Reconnect(code, sentence)


def _operator(code: str, sentence: str, scope: Scope = "provider") -> Callable[[], ConnectorError]:
    return lambda: OperatorFault(code, sentence, scope=scope)


def _line() -> ConnectorError:
    return TryLater("token_endpoint", "Google's sign-in is not answering properly at the moment; we try again.")


_WITHDRAWN = _reconnect(
    "invalid_grant",
    "The access to this account was withdrawn or has run out (a new password, six months unused, or a consent screen that "
    "is still in testing). Please reconnect.",
)
_SESSION_POLICY = _reconnect(
    "invalid_rapt",
    "Your organisation's session policy ended the access. Please reconnect; an administrator can exempt Dealtrail.",
)
CLOCK = _operator("clock_skew", "This machine's clock is wrong. Set it (NTP), then everything goes on by itself.")
_GRANTS = (
    ("invalid jwt", CLOCK),
    (
        "deleted",
        _reconnect("account_deleted", "Google says that this account was deleted. If it is back, reconnect it."),
    ),
    (
        "bad request",
        _reconnect(
            "foreign_token",
            "Google does not know this access: it was given to another app or project. Please reconnect from here.",
        ),
    ),
)
"""Words in the description of an ``invalid_grant``, first fit."""
_POLICY = (
    "The organisation's policy blocks this app. The Google Workspace administrator can allow it; no reconnecting helps."
)
_CONSENT: dict[str, Callable[[], ConnectorError]] = {
    "invalid_client": _operator(
        "invalid_client", "Google does not know the OAuth client. Check GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET."
    ),
    "deleted_client": _operator(
        "deleted_client",
        "The OAuth client was deleted in Google Cloud. Restore it there, or make a new one, set GOOGLE_CLIENT_ID and "
        "GOOGLE_CLIENT_SECRET, and have every mailbox reconnected.",
    ),
    "disabled_client": _operator(
        "disabled_client", "The OAuth client is disabled in Google Cloud. Whoever runs Dealtrail can enable it there."
    ),
    "unauthorized_client": _operator(
        "unauthorized_client",
        "This access was given to another OAuth client than the one that is set. Put the earlier GOOGLE_CLIENT_ID back, or "
        "have the mailboxes reconnected.",
    ),
    "admin_policy_enforced": _operator("admin_policy_enforced", _POLICY, "domain"),
    "org_internal": _operator(
        "org_internal",
        "The OAuth client is for its own organisation only. Whoever runs Dealtrail can make its audience external, or use a "
        "client of this organisation.",
        "domain",
    ),
    "access_denied": lambda: Refused("access_denied", _POLICY, scope="account"),
    "invalid_scope": _operator(
        "invalid_scope", "Google does not offer a scope that Dealtrail asks for; check the consent screen."
    ),
}


def _of_robot(error: str, description: str, robot: Robot) -> ConnectorError:
    if error == "invalid_grant":
        return next((make(robot) for words, make in _ROBOT_GRANTS if words in description), None) or _refused_user(
            robot
        )
    return _ROBOT.get(error, lambda _: _line())(robot)


def _user(code: str, sentence: str) -> Told:
    """That one person's mailbox; an administrator may mend it, the person cannot."""
    return lambda _: Refused(code, sentence, after=DAY / 4, scope="account")


_refused_user = _user(
    "user_refused", "Google refuses this one mailbox to the service account. The Workspace administrator can see why."
)
_DEAD_KEY = (
    "Google does not accept the service account's key: it was deleted, disabled or replaced. Make a new key in Google Cloud "
    "and run `dealtrail connect google --service-account` with it again."
)
_ROBOT_GRANTS: tuple[tuple[str, Told], ...] = (
    ("timeframe", lambda _: CLOCK()),
    ("short-lived", lambda _: CLOCK()),
    ("invalid jwt", lambda _: OperatorFault("key_refused", _DEAD_KEY)),
    ("account not found", lambda _: OperatorFault("key_refused", _DEAD_KEY)),
    (
        "invalid email or user id",
        _user(
            "user_unknown",
            "Google knows no such user in this Workspace. The administrator can check the address; disconnect it if it is "
            "gone.",
        ),
    ),
    (
        "deleted",
        _user("user_suspended", "This user was deleted in Google Workspace; the administrator can restore them."),
    ),
    (
        "disabled",
        _user("user_suspended", "This user is suspended in Google Workspace; the administrator can reactivate them."),
    ),
    (
        "suspended",
        _user("user_suspended", "This user is suspended in Google Workspace; the administrator can reactivate them."),
    ),
)
"""The same for a service account's assertion."""


def _not_delegated(robot: Robot) -> ConnectorError:
    return OperatorFault(
        "delegation_missing",
        f"Google does not let the service account act for this domain. Its Workspace administrator must allow client id "
        f"{robot.client_id} under Security, API controls, Domain-wide delegation, with exactly these scopes: "
        f"{','.join(robot.scopes)}. That can take up to 24 hours; we try again every hour.",
        after=HOUR,
        scope="domain",
    )


_ROBOT: dict[str, Told] = {
    "unauthorized_client": _not_delegated,
    "access_denied": _not_delegated,
    "invalid_client": lambda _: OperatorFault("key_refused", _DEAD_KEY),
    "deleted_client": lambda _: OperatorFault(
        "deleted_client",
        "The service account was deleted in Google Cloud. Restore it there, or connect the team with another one.",
    ),
    "disabled_client": lambda _: OperatorFault(
        "disabled_client",
        "The service account is disabled in Google Cloud. Whoever runs Dealtrail can enable it there.",
    ),
    "admin_policy_enforced": lambda _: OperatorFault("admin_policy_enforced", _POLICY, scope="domain"),
    "org_internal": lambda robot: _CONSENT["org_internal"](),
    "invalid_scope": lambda robot: _CONSENT["invalid_scope"](),
}
