"""What Entra's refusals mean (provider-contract 3.5): one table by AADSTS number, one by suberror, one by OAuth error.

A number narrows what its error says; one that we do not know changes nothing. Only what stands here as ``Reconnect`` asks a person
to sign in again. ``robot``: asked for in the app's own name, for a whole tenant; nobody can sign in again for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.errors import ConnectorError, OperatorFault, Reconnect, Refused, Scope, TryLater

HOUR, DAY = 3_600.0, 86_400.0
LOOP = 300.0
"""Seconds to keep quiet after Entra saw the same request too often (50196)."""


@dataclass(frozen=True)
class Told:
    """What Entra said. ``claims`` (JSON): what the next sign-in must satisfy."""

    claims: str = ""
    client_id: str = ""


Make = Callable[[Told], ConnectorError]


def token_fault(answer: Mapping[str, Any], *, client_id: str = "", robot: bool = False) -> ConnectorError:
    """What to do next about an OAuth error of Entra's."""
    error, suberror = str(answer.get("error") or ""), str(answer.get("suberror") or answer.get("error_subcode") or "")
    told = Told(str(answer.get("claims") or ""), client_id)
    numbers = [number for number in answer.get("error_codes") or [] if isinstance(number, int)]
    numbers = numbers or _number_in(str(answer.get("error_description") or ""))
    for number in numbers:
        made = (_ROBOT.get(number) if robot else None) or _NUMBERS.get(number)
        if made is not None:
            return made(told)
    return (_SUBERRORS.get(suberror) or _ERRORS.get(error) or _down)(told)


def _number_in(description: str) -> list[int]:
    """At the authorize endpoint the number stands in the words alone."""
    head = description.partition(":")[0].strip()
    return [int(head.removeprefix("AADSTS"))] if head.startswith("AADSTS") and head[6:].isdigit() else []


def _reconnect(code: str, sentence: str) -> Make:
    return lambda told: Reconnect(code, sentence, claims=told.claims)


def _refused(code: str, sentence: str, after: float = DAY / 4) -> Make:
    return lambda told: Refused(code, sentence, after=after, scope="account")


def _operator(code: str, sentence: str, scope: Scope = "provider") -> Make:
    return lambda told: OperatorFault(code, sentence, scope=scope)


def _later(code: str, sentence: str, after: float) -> Make:
    return lambda told: TryLater(code, sentence, after=after, scope="account")


_down = _later("token_endpoint", "Microsoft's sign-in is not answering properly at the moment; we try again.", 5.0)
_revoked = _reconnect(
    "grant_revoked", "The access to this account was withdrawn, by its person or an administrator. Please reconnect."
)
_unused = _reconnect("grant_expired", "The access has run out, because it was not used for too long. Please reconnect.")
_second_factor = _reconnect(
    "second_factor", "Your organisation asks for another proof that it is you (a second factor). Please reconnect."
)
_conditional = _refused(
    "conditional_access",
    "Your organisation's conditional access policy blocks Dealtrail for this account. Its administrator can make an "
    "exception; reconnecting alone may not help.",
)
_restart = _reconnect("stale_code", "This sign-in has run out or was used before. Please start it again.")
_secret = _operator(
    "invalid_client",
    "Microsoft does not accept the app's secret: it is wrong or has run out. Make a new one in Entra (Certificates & "
    "secrets) and set MICROSOFT_CLIENT_SECRET; no mailbox needs to be reconnected.",
)
_no_app = _operator(
    "unknown_app",
    "Microsoft knows no app with this id there. Check MICROSOFT_CLIENT_ID and MICROSOFT_TENANT.",
)
_no_tenant = _operator("unknown_tenant", "Microsoft knows no such tenant. Check MICROSOFT_TENANT.")
_single = _operator(
    "single_tenant",
    "The app is registered for one organisation only. Set MICROSOFT_TENANT to its id, or let the app serve several in Entra.",
)
_consent = _reconnect(
    "consent_missing", "Reading mail and calendar was not (or is no longer) allowed for this account. Please reconnect."
)
_declined = _reconnect(
    "declined", "Nothing was connected, because access was declined. You can start again at any time."
)
_stopped = _refused(
    "user_disabled",
    "Microsoft does not let this user sign in any more (disabled, deleted or moved). Their administrator can help; "
    "disconnect the account if they have left.",
    DAY,
)


def _admin_consent(told: Told) -> ConnectorError:
    link = f"https://login.microsoftonline.com/organizations/adminconsent?client_id={told.client_id}"
    return Reconnect(
        "admin_consent",
        f"An administrator of your organisation must allow Dealtrail first. They can do so at {link} ; then connect again.",
    )


_NUMBERS: dict[int, Make] = {
    **dict.fromkeys((700082, 70008, 700084), _unused),
    50173: _revoked,
    70043: _reconnect(
        "sign_in_frequency",
        "Your organisation asks for a fresh sign-in every so often. Please reconnect; an administrator can spare you that by "
        "connecting the whole organisation.",
    ),
    **dict.fromkeys((50076, 50079, 50074, 50072, 50078, 50158), _second_factor),
    **dict.fromkeys((53000, 53001, 53003, 530035, 53004, 53011), _conditional),
    **dict.fromkeys((65001, 90008), _consent),
    65004: _declined,
    **dict.fromkeys((90094, 90095), _admin_consent),
    50105: _refused(
        "not_assigned", "This user is not assigned to the app Dealtrail in Entra. An administrator can assign them."
    ),
    **dict.fromkeys((50057, 50034, 51004), _stopped),
    50020: _refused(
        "other_tenant",
        "This account belongs to another organisation than the one that Dealtrail is set up for (MICROSOFT_TENANT).",
        DAY,
    ),
    **dict.fromkeys((70000, 54005, 501481, 50089), _restart),
    50011: _operator(
        "redirect_address",
        "The redirect address is not registered with the app. Add BASE_URL/connect/microsoft/callback in Entra "
        "(Authentication, Web).",
    ),
    **dict.fromkeys((7000215, 7000222, 70002), _secret),
    700027: _operator(
        "certificate_refused",
        "Microsoft does not accept the app's certificate. Upload it in Entra (Certificates & secrets), or check this "
        "machine's clock.",
    ),
    **dict.fromkeys((700016, 700011), _no_app),
    90002: _no_tenant,
    50194: _single,
    9001023: _operator(
        "shared_tenant", "A whole organisation is connected by its own tenant id; name it with --tenant."
    ),
    50196: _later("request_loop", "Microsoft saw the same request from us too often; we keep quiet for a while.", LOOP),
    **dict.fromkeys((90033, 90024, 90055, 50033, 50000), _down),
}
_ROBOT: dict[int, Make] = {
    **dict.fromkeys(
        (7000215, 7000222, 70002, 700027),
        _operator(
            "key_refused",
            "Microsoft does not accept the certificate or secret with which the team was connected: it was removed or has "
            "run out. Add a new one in Entra and run `dealtrail connect microsoft --tenant` with it again.",
        ),
    ),
    **dict.fromkeys(
        (700016, 700011, 65001),
        _operator(
            "app_not_allowed",
            "The organisation has not allowed the app. Its administrator must grant admin consent to the application "
            "permissions Mail.Read, Calendars.Read and User.Read.All in Entra; we try again every hour.",
        ),
    ),
    90002: _operator("unknown_tenant", "Microsoft knows no such tenant. Check --tenant."),
}
"""The same where the app asks in its own name."""
_SUBERRORS: dict[str, Make] = {
    "consent_required": _consent,
    "basic_action": _second_factor,
    "additional_action": _second_factor,
    "message_only": _conditional,
    "user_password_expired": _reconnect(
        "password_expired", "The password of this account has run out. Please reconnect."
    ),
}
_ERRORS: dict[str, Make] = {
    "invalid_grant": _revoked,
    "interaction_required": _second_factor,
    "consent_required": _consent,
    "login_required": _revoked,
    "access_denied": _declined,
    "invalid_client": _secret,
    "unauthorized_client": _no_app,
    "permission_denied": _declined,
}
