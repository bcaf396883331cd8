"""Every fault of Graph's (provider-contract 8, F28 to F30 and F49 to F56) has its own word, its own sentence and a way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any

import pytest

from connectors.errors import ConnectorError, CursorExpired, OperatorFault, Refused, TryLater
from connectors.microsoft.faults import NotFound, codes_of, from_answer, retry_after
from connectors.microsoft.graph import demanded_claims
from tests.connectors.contract import NOW, letter, messages, pages, pinned
from tests.connectors.ms_link import OutlookLink

Make = Callable[..., OutlookLink]


def graph_error(code: str, *inner: str) -> bytes:
    """An error as Graph writes it; each inner code one level deeper."""
    body: dict[str, Any] = {"code": code, "message": "Mail of bea@northwind.example"}
    level = body
    for one in inner:
        level["innerError"] = {"code": one}
        level = level["innerError"]
    return json.dumps({"error": body}).encode()


@pytest.mark.parametrize(
    ("status", "content", "headers", "kind", "code", "after"),
    [
        (429, graph_error("ApplicationThrottled"), {"Retry-After": "12"}, TryLater, "throttled", 12),
        (
            429,
            graph_error("TooManyRequests", "activityLimitReached"),
            {"retry-after": "600"},
            TryLater,
            "throttled",
            600,
        ),
        (429, b"", {}, TryLater, "throttled", 10),
        (503, graph_error("ApplicationThrottled"), {}, TryLater, "throttled", 10),
        (509, b"<html>", {}, TryLater, "throttled", 10),
        (503, graph_error("serviceNotAvailable"), {"Retry-After": "20"}, TryLater, "server_error", 20),
        (500, graph_error("ErrorInternalServerError"), {}, TryLater, "server_error", 2),
        (502, b"<html>", {}, TryLater, "server_error", 2),
        (504, b"<html>", {}, TryLater, "gateway_timeout", 0),
        (423, graph_error("Locked"), {}, TryLater, "server_error", 2),
        (401, graph_error("InvalidAuthenticationToken"), {}, TryLater, "unauthorized", 30),
        (410, graph_error("SyncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (400, graph_error("syncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (404, graph_error("syncStateNotFound"), {}, CursorExpired, "cursor_expired", None),
        (410, graph_error("ErrorInvalidSyncState", "resyncRequired"), {}, CursorExpired, "cursor_expired", None),
        (410, b"", {}, CursorExpired, "cursor_expired", None),
        (404, graph_error("ErrorItemNotFound"), {}, NotFound, "not_found", None),
        (404, graph_error("MailboxNotEnabledForRESTAPI"), {}, Refused, "mailbox_unavailable", 86_400),
        (404, b"<html>login</html>", {}, TryLater, "not_json", 60),
        (403, b"<html>login</html>", {}, TryLater, "not_json", 60),
        (403, graph_error("ErrorAccessDenied"), {}, Refused, "blocked_by_admin", 14_400),
        (403, graph_error("Authorization_RequestDenied"), {}, Refused, "no_privilege", 14_400),
        (403, graph_error("SomethingNew"), {}, Refused, "blocked_by_admin", 14_400),
        (400, graph_error("BadRequest", "InefficientFilter"), {}, TryLater, "bad_request", 600),
        (400, graph_error("SomethingNew"), {}, TryLater, "bad_request", 600),
        (302, b"", {}, TryLater, "redirected", 0),
    ],
)
def test_an_answer_says_what_to_do_next(
    status: int, content: bytes, headers: dict[str, str], kind: type[ConnectorError], code: str, after: float | None
) -> None:
    found = from_answer(status, content, headers, now=NOW)
    assert (type(found), found.code) == (kind, code)
    assert "bea@" not in str(found)
    if after is not None:
        assert after <= getattr(found, "after", 0.0) <= after * 1.3


def test_the_innermost_code_speaks_first() -> None:
    assert codes_of(graph_error("Outer", "Inner", "Innermost")) == ["innermost", "inner", "outer"]
    assert codes_of(b"[]") == codes_of(b"\xff") == codes_of(b'{"error": "text"}') == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("999999", 86_400),
        (format_datetime(NOW.replace(minute=1), usegmt=True), 60),
        ("soon", 0),
        ("", 0),
    ],
)
def test_a_wait_is_read_in_both_forms(value: str, seconds: float) -> None:
    assert retry_after({"RETRY-AFTER": value}, NOW) == seconds


DEMAND = 'error="insufficient_claims", claims='


@pytest.mark.parametrize("value", ["", "Bearer", 'Bearer claims="e30="', f'{DEMAND}"%%%"', f'{DEMAND}"AAAA"'])
def test_claims_that_make_no_sense_are_none(value: str) -> None:
    assert demanded_claims({"www-authenticate": value}) == ""


@pytest.mark.parametrize(
    ("fault", "variant", "kind", "code"),
    [
        ("F28", "", TryLater, "not_json"),
        ("F29", "", TryLater, "truncated"),
        ("F30", "", TryLater, ("network", "truncated")),
        ("F49", "", TryLater, "throttled"),
        ("F49", "date", TryLater, "throttled"),
        ("F49", "none", TryLater, "throttled"),
        ("F49", "long", TryLater, "throttled"),
        ("F49", "busy", TryLater, "throttled"),
        ("F50", "", TryLater, "unauthorized"),
        ("F51", "", Refused, "blocked_by_admin"),
        ("F51", "denied", Refused, "blocked_by_admin"),
        ("F52", "", Refused, "mailbox_unavailable"),
        ("F56", "503", TryLater, "server_error"),
        ("F56", "500", TryLater, "server_error"),
        ("F56", "502", TryLater, "server_error"),
    ],
)
def test_each_fault_of_the_wire_has_its_word_and_its_end(
    outlook_link: OutlookLink, fault: str, variant: str, kind: type[ConnectorError], code: str | tuple[str, ...]
) -> None:
    cursor = pinned(outlook_link.mailbox)
    fresh = outlook_link.box.deliver(letter(1), "inbox")
    outlook_link.world.faults.add(fault, variant=variant, operation="graph.*", times=None)
    with pytest.raises(kind) as caught:
        outlook_link.mailbox.pull(cursor)
    assert caught.value.code in ((code,) if isinstance(code, str) else code)
    outlook_link.world.faults.clear()
    found = [item.item_id for page in pages(outlook_link.mailbox.pull, cursor) for item in messages(page.items)]
    assert found == [fresh]


def test_what_graph_asks_for_is_waited_by_all_who_share_the_mailbox(outlook_link: OutlookLink) -> None:
    outlook_link.world.faults.add("F49", variant="long", times=1)
    with pytest.raises(TryLater):
        outlook_link.mailbox.pin()
    assert outlook_link.budget.penalties == [600.0]


def test_a_page_that_takes_too_long_is_asked_for_in_smaller_pieces(outlook_link: OutlookLink) -> None:
    for number in range(3):
        outlook_link.box.deliver(letter(number), "inbox")
    cursor = outlook_link.mailbox.pin()
    outlook_link.world.faults.add("F56", operation="graph.messages.delta", times=2)
    assert len(messages(outlook_link.mailbox.pull(cursor).items)) == 3
    outlook_link.world.faults.add("F56", operation="graph.messages.delta", times=None)
    with pytest.raises(TryLater) as caught:
        outlook_link.mailbox.pull(cursor)
    assert caught.value.code == "gateway_timeout"


def test_a_mailbox_without_a_licence_is_told_and_connected_without_mail(make_outlook: Make) -> None:
    link = make_outlook()
    link.box.enabled = False
    identity = link.connection.identity()
    assert "no mailbox in Microsoft 365" in identity.missing[0]
    with pytest.raises(Refused) as caught:
        link.mailbox.pin()
    assert (caught.value.code, caught.value.scope) == ("mailbox_unavailable", "source")


def test_a_line_that_cannot_be_verified_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    import httpx

    from connectors.microsoft.faults import from_line

    error = httpx.ConnectError("x")
    error.__cause__ = ssl.SSLCertVerificationError("bad")
    assert isinstance(from_line(error), OperatorFault)
