"""Entra's errors by their AADSTS number (provider contract 3.5): the OAuth error, the words, the suberror MSAL branches on."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sandbox.microsoft.forms import JSON, dumped, guid
from sandbox.wire import Answer

CLAIMS = json.dumps({"access_token": {"capolids": {"essential": True, "values": [guid("policy")]}}})
"""The claims challenge that comes with a demand for a second factor."""
AADSTS: dict[int, tuple[str, str, str]] = {
    700082: ("invalid_grant", "The refresh token has expired due to inactivity.", "bad_token"),
    70008: ("invalid_grant", "The provided authorization code or refresh token has expired due to inactivity.", ""),
    700084: ("invalid_grant", "The refresh token was issued to a single page app and therefore has a fixed life.", ""),
    50173: ("invalid_grant", "The provided grant has expired due to it being revoked, a fresh token is needed.", ""),
    70043: (
        "invalid_grant",
        "The refresh token has expired or is invalid due to sign-in frequency checks.",
        "token_expired",
    ),
    50076: ("interaction_required", "You must use multi-factor authentication to access the resource.", "basic_action"),
    50079: ("interaction_required", "You must enroll in multi-factor authentication.", "basic_action"),
    50074: ("interaction_required", "Strong Authentication is required.", "basic_action"),
    50072: ("interaction_required", "You must enroll in multi-factor authentication to access.", "basic_action"),
    50078: ("interaction_required", "Presented multi-factor authentication has expired.", "basic_action"),
    50158: ("interaction_required", "External security challenge not satisfied.", "basic_action"),
    53000: ("interaction_required", "Your device is required to be managed to access this resource.", "message_only"),
    53001: ("interaction_required", "Your device is required to be domain joined.", "message_only"),
    53003: ("interaction_required", "Access has been blocked by Conditional Access policies.", "message_only"),
    530035: ("interaction_required", "Access has been blocked by security defaults.", "message_only"),
    53004: ("interaction_required", "The user must complete the registration process first.", "additional_action"),
    53011: ("interaction_required", "User blocked due to risk on home tenant.", "message_only"),
    65001: ("invalid_grant", "The user or administrator has not consented to use the application.", "consent_required"),
    90008: ("invalid_grant", "The user or administrator has not consented to use the application.", "consent_required"),
    65004: ("access_denied", "The resource owner or authorization server denied the request.", ""),
    90094: ("access_denied", "Admin consent is required for the permissions requested by this application.", ""),
    90095: ("access_denied", "Admin consent is required; a request was sent to the administrator.", ""),
    50105: ("invalid_grant", "The signed in user is not assigned to a role for the application.", ""),
    50057: ("invalid_grant", "The user account is disabled.", ""),
    50034: ("invalid_grant", "The user account does not exist in the directory.", ""),
    51004: ("invalid_grant", "The user account does not exist in the directory.", ""),
    50020: ("invalid_grant", "User account from identity provider does not exist in tenant.", ""),
    70000: ("invalid_grant", "The provided value for the input parameter 'code' is not valid.", ""),
    54005: ("invalid_grant", "OAuth2 Authorization code was already redeemed, please retry with a new valid code.", ""),
    501481: ("invalid_grant", "The Code_Verifier does not match the code_challenge supplied in the request.", ""),
    50011: (
        "invalid_request",
        "The redirect URI specified in the request does not match those of the application.",
        "",
    ),
    50089: ("invalid_grant", "Authentication failed due to flow token expired.", ""),
    7000215: ("invalid_client", "Invalid client secret provided.", ""),
    7000222: ("invalid_client", "The provided client secret keys for app are expired.", ""),
    70002: ("invalid_client", "Error validating credentials.", ""),
    700027: (
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered.",
        "",
    ),
    700016: ("unauthorized_client", "Application was not found in the directory.", ""),
    700011: ("unauthorized_client", "Application was not found in the directory.", ""),
    90002: ("invalid_request", "Tenant not found. Check to make sure you have the correct tenant ID.", ""),
    50194: ("invalid_request", "Application is not configured as a multi-tenant application.", ""),
    9001023: ("invalid_request", "The grant type is not supported over the /common or /consumers endpoints.", ""),
    50196: ("invalid_request", "The server terminated an operation because it encountered a client request loop.", ""),
    90033: ("temporarily_unavailable", "A transient error has occurred. Please try again.", ""),
    90024: ("temporarily_unavailable", "RequestBudgetExceededError: a transient error has occurred.", ""),
    90055: ("temporarily_unavailable", "TenantThrottlingError: there are too many incoming requests.", ""),
    50033: ("temporarily_unavailable", "RetryableError: a transient error not related to the database.", ""),
    50000: ("temporarily_unavailable", "TokenIssuanceError: there's an issue with the sign-in service.", ""),
    70003: ("unsupported_grant_type", "The app requested an unsupported grant type.", ""),
    1002012: ("invalid_scope", "The provided value for scope is not valid; client credentials need /.default.", ""),
    900144: ("invalid_request", "The request body must contain the parameter.", ""),
}
CURED = {700082, 70008, 700084, 50173, 70043, 65001, 90008}
"""What a new sign-in of the user cures."""
CLAIMING = {50076, 50079, 50074, 50072, 50078, 50158, 53000, 53001, 53003}
"""What comes with a claims challenge; a new sign-in that passes it on has met it."""


def entra_error(number: int, now: float, text: str = "", *, status: int = 0) -> Answer:
    """The answer of the token endpoint (macro A of the contract): 401 for invalid_client, 503 for passing trouble, else 400."""
    error, known, suberror = AADSTS[number]
    status = status or {"invalid_client": 401, "temporarily_unavailable": 503}.get(error, 400)
    at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = guid("trace", str(now), str(number)), guid("correlation", str(now), str(number))
    tail = f"Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}"
    given = {"error": error, "error_description": f"AADSTS{number}: {text or known} {tail}", "error_codes": [number]}
    given |= {"timestamp": at, "trace_id": trace, "correlation_id": correlation}
    given["error_uri"] = f"https://login.microsoftonline.com/error?code={number}"
    given |= {"suberror": suberror} if suberror else {}
    given |= {"claims": CLAIMS} if number in CLAIMING else {}
    return Answer(status, dumped(given), {"Content-Type": f"{JSON}; charset=utf-8"})
