"""Many reads at once: whatever is missing, refused, cut or shuffled, each id that was asked for comes back exactly once
(provider-contract 1.7, F22 to F29)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from connectors.errors import ConnectorError, OperatorFault, Reconnect, TryLater
from connectors.google.batch import ROUNDS
from connectors.items import Item, Message, Unreadable
from connectors.throttle import Throttle
from tests.connectors.conftest import Link
from tests.connectors.contract import letter

COUNT = 20


@pytest.fixture
def ids(link: Link) -> list[str]:
    """Twenty letters."""
    return [link.box.deliver(letter(n), labels=["INBOX"]) for n in range(COUNT)]


def outcome(items: list[Item]) -> Counter[str]:
    """How many of each kind, by class, and by word where unreadable."""
    return Counter(item.error if isinstance(item, Unreadable) else type(item).__name__ for item in items)


def test_twenty_letters_take_one_round_trip(link: Link, ids: list[str]) -> None:
    found = link.mailbox.headers(ids)
    assert [item.item_id for item in found] == ids
    assert len(link.asked("gmail.batch")) == 1
    assert link.slept == []


def test_the_costs_are_those_of_2026(link: Link, ids: list[str]) -> None:
    """Fact 6: a read costs 20 units, in a batch as alone; the meter counts what the provider counts."""
    link.mailbox.headers(ids)
    assert link.budget.spent == 20 * COUNT == link.world.stats.units[link.email]


def test_a_batch_goes_to_the_configured_root_and_nowhere_else(link: Link, ids: list[str]) -> None:
    """Fact 2: the library's batches ignore the endpoint that single calls use."""
    batch = link.mailbox._client.gmail().new_batch_http_request()
    assert batch._batch_uri == f"{link.config.api_root}/batch/gmail/v1"
    link.mailbox.headers(ids)
    assert len(link.asked("gmail.messages.get")) == COUNT


ALL_READ: dict[str, dict[str, Any]] = {
    "a part is missing (F25)": {"fault": "F25"},
    "parts are shuffled, one is throttled, one gone, one cut (F26)": {"fault": "F26"},
    "too many parts (F27)": {"fault": "F27"},
    "an outer 401 (F27)": {"fault": "F27", "variant": "401"},
    "an outer 503 (F27)": {"fault": "F27", "variant": "503"},
    "a sign-in page (F28)": {"fault": "F28", "operation": "gmail.batch"},
    "a sign-in page in one part (F28)": {"fault": "F28", "operation": "gmail.messages.get"},
    "a cut answer (F29)": {"fault": "F29", "operation": "gmail.batch"},
    "broken compression (F29)": {"fault": "F29", "operation": "gmail.batch", "variant": "gzip"},
    "a reset line (F30)": {"fault": "F30", "operation": "gmail.batch", "times": 2},
    "a closed line (F30)": {"fault": "F30", "operation": "gmail.batch", "variant": "close"},
    "bare line feeds": {"fault": "LF"},
    "one part throttled (F10)": {"fault": "F10", "operation": "gmail.messages.get"},
    "one part broken for a while (F23)": {"fault": "F23", "times": 2},
}


@pytest.mark.parametrize("plan", ALL_READ.values(), ids=ALL_READ)
def test_after_a_passing_fault_everything_is_read(link: Link, ids: list[str], plan: dict[str, Any]) -> None:
    link.world.faults.add(plan["fault"], **{name: value for name, value in plan.items() if name != "fault"})
    found = link.mailbox.headers(ids)
    assert [item.item_id for item in found] == ids
    unread = [item for item in found if not isinstance(item, Message)]
    if plan["fault"] == "F26":
        assert [(item.error, item.gone) for item in unread if isinstance(item, Unreadable)] == [("not_found", True)]
    else:
        assert unread == []
    assert sum(link.slept) < 30


def test_a_poison_message_is_one_items_matter(link: Link, ids: list[str]) -> None:
    """F23: one id that answers 500 for ever; the rest proceeds."""
    link.world.faults.add("F23", item=ids[7])
    found = link.mailbox.headers(ids)
    assert outcome(found) == {"Message": COUNT - 1, "server_error": 1}
    (bad,) = [item for item in found if isinstance(item, Unreadable)]
    assert (bad.item_id, bad.strike, bad.gone) == (ids[7], True, False)
    assert len([seen for seen in link.asked("gmail.messages.get") if seen.item == ids[7]]) == ROUNDS


def test_an_id_that_is_not_yet_visible_is_gone_for_now(link: Link, ids: list[str]) -> None:
    """F22: announced by a push, readable a moment later; the worker looks again."""
    link.world.faults.add("F22", item=ids[0])
    (item,) = link.mailbox.headers(ids[:1])
    assert isinstance(item, Unreadable) and item.gone
    link.world.clock.advance(6)
    assert isinstance(link.mailbox.headers(ids[:1])[0], Message)


def test_an_answer_that_explodes_is_one_items_matter(link: Link, ids: list[str]) -> None:
    """F29: a hundredfold gzip bomb for one id."""
    link.world.faults.add("F29", variant="bomb", operation="gmail.messages.get", item=ids[0], times=None)
    (item,) = link.mailbox.headers(ids[:1])
    assert isinstance(item, Unreadable)
    assert (item.error, item.strike) == ("malformed_decoderatioerror", True)


def test_an_id_that_the_provider_does_not_understand_is_a_strike(link: Link, ids: list[str]) -> None:
    found = link.mailbox.headers(["no-such-form", *ids])
    assert outcome(found) == {"bad_request": 1, "Message": COUNT}
    assert isinstance(found[0], Unreadable) and found[0].strike


def test_a_throttled_read_is_never_a_strike(link: Link, ids: list[str]) -> None:
    link.world.faults.add("F09", operation="gmail.messages.get", nth=6, times=None)
    found = link.mailbox.headers(ids)
    assert outcome(found)["Message"] == 5
    assert all(not item.strike for item in found if isinstance(item, Unreadable))
    assert link.budget.penalties


def test_a_mailbox_that_is_throttled_altogether_says_when_to_come_back(link: Link, ids: list[str]) -> None:
    link.world.faults.add("F09", operation="gmail.messages.get", times=None)
    with pytest.raises(TryLater) as caught:
        link.mailbox.headers(ids)
    assert caught.value.throttled and caught.value.after >= 60
    assert link.slept == []


def test_too_many_at_once_halves_the_batch_and_asks_again(link: Link, ids: list[str]) -> None:
    """F10: the rest is asked for again in smaller parts, after a pause of a second or more."""
    link.world.knobs.concurrency_limit = 6
    found = link.mailbox.headers(ids)
    assert outcome(found)["Message"] >= 6
    assert [item.item_id for item in found] == ids
    assert link.world.stats.peak_concurrency[link.email] <= 6
    assert link.slept and link.slept[0] >= 1


@pytest.mark.parametrize(
    ("fault", "kind"), [("F13", ConnectorError), ("F14", Reconnect), ("F15", OperatorFault), ("F01", Reconnect)]
)
def test_what_concerns_the_whole_account_is_raised(
    link: Link, ids: list[str], fault: str, kind: type[ConnectorError]
) -> None:
    link.world.faults.add(fault)
    with pytest.raises(kind):
        link.mailbox.headers(ids)
    assert link.slept == []


def test_a_line_that_stays_broken_is_no_strike_against_any_letter(link: Link, ids: list[str]) -> None:
    link.world.faults.add("F30", operation="gmail.*", times=None)
    with pytest.raises(TryLater):
        link.mailbox.headers(ids)


def test_while_the_batch_endpoint_is_down_letters_are_read_one_by_one(link: Link, ids: list[str]) -> None:
    """F27: no id is dropped, and none gets a strike."""
    link.world.faults.add("F27", variant="503", times=None)
    assert outcome(link.mailbox.headers(ids)) == {"Message": len(ids)}


def test_a_poison_letter_asked_for_alone_is_still_its_own_matter(link: Link, ids: list[str]) -> None:
    """F23: were it the account's, nothing else would ever be read again."""
    link.world.faults.add("F23", item=ids[7])
    [bad] = link.mailbox.headers([ids[7]])
    assert isinstance(bad, Unreadable) and bad.strike


def test_what_was_read_before_our_own_pace_was_used_up_is_kept(make_link: Callable[..., Link], ids: list[str]) -> None:
    slow = make_link(batch_size=5)
    now = [0.0]
    meter = Throttle(200, patience=0, clock=lambda: now[0], sleep=lambda seconds: None)
    slow.connection._client.budget = meter
    found = slow.mailbox.headers(ids)
    assert [item.item_id for item in found] == ids
    assert outcome(found) == {"Message": 10, "budget": 10}
    assert all(not item.strike for item in found if isinstance(item, Unreadable))
    now[0] += 61
    assert outcome(slow.mailbox.headers(ids[10:])) == {"Message": 10}


def test_with_nothing_left_to_spend_nothing_is_asked(make_link: Callable[..., Link], ids: list[str]) -> None:
    slow = make_link()
    meter = Throttle(200, patience=0, clock=lambda: 0.0, sleep=lambda seconds: None)
    meter.spend(200)
    slow.connection._client.budget = meter
    with pytest.raises(TryLater) as caught:
        slow.mailbox.headers(ids)
    assert (caught.value.code, slow.asked("gmail.batch")) == ("budget", [])


def test_a_failure_run_is_no_storm(link: Link, ids: list[str]) -> None:
    link.mailbox.headers(ids)
    clean = len(link.asked("gmail.messages.get"))
    link.world.stats.clear()
    link.world.faults.add("F26", times=None)
    link.mailbox.headers(ids)
    assert len(link.asked("gmail.messages.get")) <= 3 * clean
