"""Every fault of Google's, on the wire, and what the connector says to do next (provider-contract 8).

The table is by number: one row for each fault that the sandbox knows and that an answer can show. F22 to F27 concern single
items and are in test_batch.py, F06 and F07 in test_grant.py, F36, F37 and F40 in test_calendar.py.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httplib2
import pytest
from google.auth.exceptions import RefreshError, TransportError
from googleapiclient.errors import HttpError

from connectors.errors import ConnectorError, CursorExpired, Gone, OperatorFault, Reconnect, Refused, TryLater
from connectors.google.faults import REASONS, classify, from_answer
from connectors.google.token_faults import token_fault
from sandbox.presets import PRESETS
from tests.connectors.conftest import Link

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
Call = Callable[[Link], Any]


def profile(link: Link) -> Any:
    return link.mailbox.count()


def listing(link: Link) -> Any:
    return link.mailbox.listing(after=None, before=None)


def history(link: Link) -> Any:
    return link.mailbox.pull(json.dumps({"h": str(link.box.history)}))


def events(link: Link) -> Any:
    return link.calendar.pull("", now=NOW)


def changes(link: Link) -> Any:
    """A calendar's next pull, with a sync token."""
    token = link.world.almanac.token()
    return link.calendar.pull(
        json.dumps({"sync": token, "series": {}, "end": (NOW + timedelta(days=60)).isoformat()}), now=NOW
    )


ANSWERS: list[tuple[str, str, Call, type[ConnectorError], str]] = [
    ("F01", "", profile, Reconnect, "invalid_grant"),
    ("F02", "", profile, TryLater, "token_endpoint"),
    ("F03", "", profile, Reconnect, "invalid_rapt"),
    ("F04", "", profile, OperatorFault, "unauthorized_client"),
    ("F04", "clock", profile, OperatorFault, "clock_skew"),
    ("F05", "", profile, OperatorFault, "invalid_client"),
    ("F05", "deleted_client", profile, OperatorFault, "deleted_client"),
    ("F08", "", profile, TryLater, "unauthorized"),
    ("F08", "", events, TryLater, "unauthorized"),
    ("F09", "", profile, TryLater, "rate_limited"),
    ("F10", "", profile, TryLater, "too_concurrent"),
    ("F11", "", profile, TryLater, "rate_limited"),
    ("F12", "", profile, TryLater, "daily_limit"),
    ("F13", "", profile, Refused, "domain_policy"),
    ("F14", "", profile, Reconnect, "insufficient_scope"),
    ("F15", "", profile, OperatorFault, "api_not_enabled"),
    ("F16", "", profile, Refused, "mailbox_unavailable"),
    ("F17", "", listing, Reconnect, "metadata_scope"),
    ("F18", "", history, CursorExpired, "history_expired"),
    ("F21", "", history, TryLater, "network"),
    ("F28", "", profile, TryLater, "not_json"),
    ("F28", "", listing, TryLater, "not_json"),
    ("F28", "", history, TryLater, "not_json"),
    ("F29", "", listing, TryLater, "truncated"),
    ("F29", "gzip", listing, TryLater, "truncated"),
    ("F29", "bomb", listing, TryLater, "malformed_decoderatioerror"),
    ("F30", "", profile, TryLater, "network"),
    ("F30", "close", events, TryLater, "network"),
    ("F33", "", changes, CursorExpired, "sync_token_expired"),
    ("F34", "", changes, CursorExpired, "sync_token_expired"),
    ("F35", "", changes, CursorExpired, "sync_token_expired"),
    ("F38", "", events, Gone, "calendar_gone"),
    ("F38", "", changes, Gone, "calendar_gone"),
    ("F39", "", events, TryLater, "rate_limited"),
    ("F39", "429", events, TryLater, "rate_limited"),
    ("F39", "quota", events, TryLater, "quota_exceeded"),
]
ELSEWHERE = {"F06", "F07", "F19", "F20", "F22", "F23", "F24", "F25", "F26", "F27", "F31", "F32", "F36", "F37", "F40"}
ELSEWHERE |= {"F41", "F42", "F60", "LF"}
TWICE = {"F21", "F30"}
"""The client library sends once more by itself when a line breaks before the answer."""


@pytest.mark.parametrize(
    ("fault", "variant", "call", "kind", "code"), ANSWERS, ids=[f"{a[0]}{a[1]}-{a[2].__name__}" for a in ANSWERS]
)
def test_a_fault_says_what_to_do_next(
    link: Link, fault: str, variant: str, call: Call, kind: type[ConnectorError], code: str
) -> None:
    if fault in TWICE:
        link.world.faults.add(fault, variant=variant, times=9, nth=1)
    else:
        link.world.faults.add(fault, variant=variant)
    with pytest.raises(ConnectorError) as caught:
        call(link)
    assert (type(caught.value) is kind or isinstance(caught.value, kind), caught.value.code) == (True, code)
    assert caught.value.sentence.endswith(".")


def test_every_fault_of_googles_is_tested_somewhere() -> None:
    told = {row[0] for row in ANSWERS} | ELSEWHERE
    assert {name for name in PRESETS if name.startswith("F")} <= told


@pytest.mark.parametrize(
    ("fault", "least", "throttled"),
    [
        ("F09", 60, True),
        ("F10", 1, True),
        ("F11", 3_000, True),
        ("F12", 3_600, True),
        ("F08", 30, False),
        ("F28", 0, False),
    ],
)
def test_a_wait_is_as_long_as_was_asked_for(link: Link, fault: str, least: float, throttled: bool) -> None:
    link.world.faults.add(fault)
    with pytest.raises(TryLater) as caught:
        profile(link)
    assert caught.value.after >= least
    assert caught.value.throttled is throttled
    assert (link.budget.penalties != []) is throttled


def test_quota_exceeded_of_a_calendar_waits_ten_minutes(link: Link) -> None:
    link.world.faults.add("F39", variant="quota")
    with pytest.raises(TryLater) as caught:
        events(link)
    assert caught.value.after >= 600


def test_refresh_error_with_an_html_503_is_no_reconnect(link: Link) -> None:
    """Fact 3: only what the token endpoint says in so many words means that a person must act."""
    link.world.faults.add("F02", times=None)
    with pytest.raises(TryLater):
        profile(link)
    link.world.faults.clear()
    assert profile(link) == 0


def test_a_page_that_is_no_json_is_no_data(link: Link) -> None:
    """Fact 1: the library hands text out without raising; then ``messages`` is not in it, and everything is lost."""
    link.box.deliver(b"Subject: one\r\n\r\nx", labels=["INBOX"])
    link.world.faults.add("F28", operation="gmail.messages.list")
    with pytest.raises(TryLater):
        listing(link)
    assert len(listing(link).items) == 1


def test_401_for_ever_ends_after_two_refreshes(link: Link) -> None:
    link.world.faults.add("F08")
    with pytest.raises(TryLater):
        profile(link)
    assert len(link.asked("gmail.getProfile")) <= 3
    assert len(link.store.saved) <= 3


def test_a_redirect_is_a_fault_and_the_token_stays_here() -> None:
    error = HttpError(httplib2.Response({"status": 302, "location": "https://evil.example/"}), b"")
    assert classify(error).code == "redirected"


def test_a_calendars_fault_leaves_the_mailbox_alone(link: Link) -> None:
    link.world.faults.add("F38")
    with pytest.raises(Gone):
        events(link)
    assert profile(link) == 0


def answer(status: int, body: Any, **headers: str) -> ConnectorError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return from_answer(status, content, headers, "")


def google(code: int, reason: str, status: str = "", message: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "errors": [{"reason": reason}], "status": status}}


SHAPES: dict[str, tuple[int, Any, type[ConnectorError], str]] = {
    "a reason in the details only": (
        403,
        {"error": {"code": 403, "details": [{"reason": "SERVICE_DISABLED"}]}},
        OperatorFault,
        "api_not_enabled",
    ),
    "a reason beats the status": (403, google(403, "rateLimitExceeded", "PERMISSION_DENIED"), TryLater, "rate_limited"),
    "a 403 without a reason": (403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}}, Refused, "forbidden"),
    "a list for a body": (403, [google(403, "domainPolicy")], Refused, "domain_policy"),
    "a 403 that no API wrote": (403, b"<html>Blocked by the firewall</html>", TryLater, "not_json"),
    "a 404 that no API wrote": (404, b"<html>No such page</html>", TryLater, "not_json"),
    "a 404 of the API": (404, google(404, "notFound"), Gone, "not_found"),
    "a 410 without a body": (410, b"", CursorExpired, "cursor_expired"),
    "a deleted event": (410, google(410, "deleted"), Gone, "deleted"),
    "a 429 without a body": (429, b"", TryLater, "rate_limited"),
    "an HTML 502": (502, b"<html>", TryLater, "server_error"),
    "a 503 with a quota's reason": (503, google(503, "rateLimitExceeded"), TryLater, "server_error"),
    "a timeout of theirs": (408, b"", TryLater, "server_error"),
    "a conflict": (409, google(409, "conflict"), TryLater, "server_error"),
    "our own mistake": (400, google(400, "invalidArgument"), TryLater, "bad_request"),
    "an error that is a string": (400, {"error": "invalid"}, TryLater, "bad_request"),
    "odd entries": (403, {"error": {"errors": ["x", None, {}], "details": "y"}}, Refused, "forbidden"),
}


@pytest.mark.parametrize(("status", "body", "kind", "code"), SHAPES.values(), ids=SHAPES)
def test_an_answer_of_any_shape_is_understood(status: int, body: Any, kind: type[ConnectorError], code: str) -> None:
    found = answer(status, body)
    assert isinstance(found, kind)
    assert found.code == code


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_for_people(reason: str) -> None:
    found = answer(403, google(403, reason))
    assert len(found.sentence) > 20


def test_retry_after_is_honoured_in_seconds_and_as_a_date() -> None:
    for value in ("90", "Wed, 01 Jan 2098 00:00:00 GMT"):
        found = answer(503, b"", **{"retry-after": value})
        assert isinstance(found, TryLater) and found.after >= 90


@pytest.mark.parametrize("value", ["soon", "-1", "Mon, 99 Zzz", ""])
def test_a_retry_after_that_makes_no_sense_is_ignored(value: str) -> None:
    found = answer(503, b"", **{"retry-after": value})
    assert isinstance(found, TryLater) and found.after == 2.0


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (RefreshError("x", {"error": "invalid_grant"}), Reconnect, "invalid_grant"),
        (RefreshError("x", {"error": "temporarily_unavailable"}), TryLater, "token_endpoint"),
        (RefreshError("x", "<html>"), TryLater, "token_endpoint"),
        (RefreshError("Reauthentication is needed. Please run gcloud"), Reconnect, "invalid_rapt"),
        (RefreshError(), TryLater, "token_endpoint"),
        (TransportError("x"), TryLater, "network"),
        (ConnectionResetError(), TryLater, "network"),
        (BrokenPipeError(), TryLater, "network"),
        (TimeoutError(), TryLater, "network"),
        (httplib2.ServerNotFoundError(), TryLater, "network"),
        (ssl.SSLCertVerificationError(), OperatorFault, "tls"),
        (TypeError("x"), TryLater, "malformed_typeerror"),
        (KeyError("x"), TryLater, "malformed_keyerror"),
    ],
)
def test_what_the_libraries_throw_is_understood(error: Exception, kind: type[ConnectorError], code: str) -> None:
    found = classify(error)
    assert isinstance(found, kind)
    assert found.code == code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_grant", Reconnect),
        ("invalid_client", OperatorFault),
        ("unauthorized_client", OperatorFault),
        ("invalid_scope", OperatorFault),
        ("access_denied", Refused),
        ("admin_policy_enforced", OperatorFault),
        ("server_error", TryLater),
        ("something_new", TryLater),
        ("", TryLater),
    ],
)
def test_only_a_fixed_set_of_token_errors_asks_a_person_to_act(error: str, kind: type[ConnectorError]) -> None:
    assert isinstance(token_fault(error, ""), kind)
