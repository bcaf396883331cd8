"""Who sees what, generated from the route table: every route, asked by everybody, at every level. A mail's words come out
only for those whose sight allows it; a route that is new here fails until it is filled in.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

import house as building
from serving import build_app
from tests.webapp.planted import (
    FILE,
    MARKS,
    PEOPLE,
    PERSON,
    QUOTE,
    SNIPPET,
    SUBJECT,
    TEXT,
    Team,
    photograph,
    planted,
    put_back,
)
from webapp import app as application
from webapp.app import policies
from webapp.security import SAFE

ASKERS = ("nobody", *PEOPLE)
LEVELS = ("full", "subject", "metadata")
WORDS = {"full": set(MARKS), "subject": {SUBJECT}, "metadata": set(), "none": set()}
RANK = {"nobody": -1, "public": 0, "rep": 1, "manager": 2, "admin": 3, "owner": 1, "other": 1}

LATER = {"before": "2030-01-01T00:00:00+00:00~1"}
QUERIES: dict[str, dict[str, Any]] = {
    "/deals/{deal_id}/earlier": LATER,
    "/contacts/{contact_id}/earlier": LATER,
    "/companies/{company_id}/earlier": LATER,
    "/search": {"q": "prices"},
    "/export": {"text": "1"},
    "/api/v1/held": {"state": "all"},
    "/api/v1/accounts/{account_id}/visibility": {"level": "subject"},
    "/api/v1/threads/{thread_id}/visibility": {"level": "subject"},
    "/api/v1/suggestions": {"state": "all"},
}
"""What a reading route is asked with, where it would answer nothing otherwise. Never one of the marks: pages repeat it."""

BODIES: dict[str, Any] = {
    "POST /api/v1/companies": {"name": "Fresh"},
    "PATCH /api/v1/companies/{company_id}": {"name": "Other"},
    "POST /api/v1/contacts": {"emails": ["new@fresh.example"]},
    "PATCH /api/v1/contacts/{contact_id}": {"title": "Head"},
    "POST /api/v1/discovered/decisions": {"ids": ["{discovery_id}"], "decision": "contact"},
    "POST /api/v1/merges": {"kind": "contact", "kept_id": "{contact_id}", "gone_id": "{twice_id}"},
    "POST /api/v1/deals": {"name": "Fresh"},
    "PATCH /api/v1/deals/{deal_id}": {"name": "Other", "stage": "Contacted"},
    "PUT /api/v1/deals/{deal_id}/stage": {"stage": "Lost", "reason": "price"},
    "POST /api/v1/deals/{deal_id}/stage": {"stage": "Contacted"},
    "POST /api/v1/pipelines": {"name": "Second", "stages": [{"name": "In", "meaning": "lead"}]},
    "PATCH /api/v1/pipelines/{pipeline_id}": {"name": "Other"},
    "PUT /api/v1/interactions/{interaction_id}/visibility": {"visibility": "metadata"},
    "POST /api/v1/held/{held_id}/choice": {"deal_id": "{deal_id}"},
    "POST /api/v1/suggestions/{suggestion_id}/acceptance": {"stage": "Won", "amount": 5},
    "POST /api/v1/suggestions/{suggestion_id}/dismissal": {"why": "too early"},
    "PATCH /api/v1/accounts/{account_id}": {"visibility": "subject"},
    "POST /api/v1/users": {"email": "new@acme.example"},
    "PATCH /api/v1/users/{user_id}": {"role": "manager"},
    "POST /api/v1/keys": {"name": "more"},
    "PATCH /api/v1/settings": {"grace_days": 20},
    "POST /api/v1/blocks": {"kind": "domain", "value": "stranger.example"},
    "POST /api/v1/hooks": {"target_url": "http://127.0.0.1:9/x", "event": "*"},
    "POST /api/v1/hooks/{hook_id}/replay": {"after": "0"},
    "POST /api/v1/imports": {"kind": "deals"},
    "PATCH /api/v1/imports/{import_id}": {"announce": True},
    "PUT /api/v1/accounts/{account_id}/visibility": {"visibility": "subject", "remove_texts": True},
    "PUT /api/v1/threads/{thread_id}/visibility": {"visibility": "subject"},
    "POST /api/v1/simulations": {"settings": {"grace_days": 3}, "block": [{"kind": "domain", "value": "x.example"}]},
}
"""What each writing route of the API is sent; those that take no body stay away."""

FORM = {
    "deal_id": "{deal_id}",
    "stage": "Contacted",
    "name": "Other",
    "why": "too early",
    "visibility": "metadata",
    "ids": "{discovery_id}",
    "decision": "contact",
    "other": "{twice_id}",
    "confirm": "Bea Buyer",
    "grace_days": "3",
    "several_deals": "newest",
}
"""What each form of the pages is sent; each takes what it knows."""


@pytest.fixture
def app(house: building.House) -> FastAPI:
    """The application of which the routes are read."""
    return build_app(house, setup_token="")


def routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    """(method, path, policy) of every endpoint."""
    for path, methods, who in policies(app):
        for method in sorted(methods - {"HEAD", "OPTIONS"}):
            yield method, path, who or ""


@pytest.mark.parametrize("mode", ["normal", "held", "override"])
@pytest.mark.parametrize("level", LEVELS)
def test_no_answer_carries_a_word_that_the_asker_may_not_read(
    house: building.House, app: FastAPI, level: str, mode: str
) -> None:
    table = list(routes(app))
    with planted(house, level=level, held=mode == "held", override="metadata" if mode == "override" else "") as team:
        before = photograph(house)
        for who in ASKERS:
            allowed = WORDS[_sight(who, level, mode)]
            for method, path, wanted in table:
                answer, sent = _ask(team, who, method, path)
                assert answer.status_code < 500, f"{who} {sent}: {answer.status_code}"
                told = _told(answer)
                leaked = {mark for mark in MARKS if mark in told} - allowed
                assert not leaked, f"{who} {sent} at {level}, {mode}: {answer.status_code} tells {sorted(leaked)}"
                assert who == "owner" or PERSON not in told, f"{who} {sent} tells whom the owner writes with"
                _keeps_its_policy(who, wanted, answer.status_code, sent)
                if method not in SAFE and answer.status_code < 400:
                    put_back(house, before)


@pytest.mark.parametrize("mode", ["normal", "held", "override"])
@pytest.mark.parametrize("level", LEVELS)
def test_everybody_can_read_all_that_they_may(house: building.House, app: FastAPI, level: str, mode: str) -> None:
    """Else the test above could be met by saying nothing at all."""
    reads = [path for method, path, _ in routes(app) if method == "GET" and path.startswith("/api/")]
    with planted(house, level=level, held=mode == "held", override="metadata" if mode == "override" else "") as team:
        for who in ASKERS:
            answers = "".join(_ask(team, who, "GET", path)[0].text for path in reads)
            assert {mark for mark in MARKS if mark in answers} == WORDS[_sight(who, level, mode)], who


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("level", LEVELS)
def test_an_export_tells_no_more_than_the_timeline_does(house: building.House, level: str, form: str) -> None:
    """And what is packed is looked into, else the test above would see no leak of it."""
    with planted(house, level=level) as team:
        answer = team.ask("admin", "GET", "/export", params={"format": form, "text": "1"})
        assert answer.status_code == 200
        assert "Bea Buyer" in _told(answer)
        assert {mark for mark in MARKS if mark in _told(answer)} <= WORDS[level]


def test_each_kind_of_word_is_found_where_it_is_told(house: building.House) -> None:
    with planted(house) as team:
        told = {
            "/api/v1/interactions/{interaction_id}": {SUBJECT, TEXT, SNIPPET, FILE},
            "/api/v1/deals/{deal_id}/timeline": {SUBJECT, SNIPPET},
            "/api/v1/suggestions/{suggestion_id}": {QUOTE, SUBJECT},
            "/api/v1/events": {SUBJECT, SNIPPET},
            "/api/v1/hooks/samples/{event}": {SUBJECT, SNIPPET},
        }
        for path, marks in told.items():
            answer = _ask(team, "other", "GET", path)[0].text
            assert marks <= {mark for mark in MARKS if mark in answer}, path


def test_a_route_without_a_policy_keeps_the_application_from_starting(
    house: building.House, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter()

    @router.get("/api/v1/forgotten")
    def forgotten() -> None: ...

    monkeypatch.setattr(application.api, "router", router)
    with pytest.raises(RuntimeError, match="/api/v1/forgotten"):
        build_app(house, setup_token="")


def test_a_new_route_must_be_filled_in_here(house: building.House) -> None:
    with planted(house) as team, pytest.raises(AssertionError, match="strange_id"):
        _ask(team, "owner", "GET", "/api/v1/strange/{strange_id}")


def test_every_body_in_the_table_belongs_to_a_route(app: FastAPI) -> None:
    known = {f"{method} {path}" for method, path, _ in routes(app)}
    assert set(BODIES) <= known


def test_every_writing_route_of_the_api_that_takes_a_body_has_one_in_the_table(app: FastAPI) -> None:
    taking = {
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/api/") and "requestBody" in operation
    }
    assert taking <= set(BODIES), f"say what to send to {sorted(taking - set(BODIES))}"


def test_whom_the_owner_writes_with_is_told_to_the_owner_alone(house: building.House) -> None:
    told = ("/api/v1/discovered", "/api/v1/events", "/discovered", "/discovered/news")
    with planted(house) as team:
        for path in told:
            assert PERSON in _ask(team, "owner", "GET", path)[0].text, path
            for who in ("other", "manager", "admin", "nobody"):
                assert PERSON not in _ask(team, who, "GET", path)[0].text, f"{who} {path}"
        for who in ("other", "manager", "admin"):
            sent = {"ids": [team.ids["discovery_id"]], "decision": "never"}
            assert team.ask(who, "POST", "/api/v1/discovered/decisions", json=sent).status_code == 404
            assert _ask(team, who, "DELETE", "/api/v1/discovered/decisions/{batch}")[0].status_code == 404


@pytest.mark.parametrize("who", ["other", "manager"])
def test_an_account_is_none_of_a_colleague_s_business(house: building.House, who: str) -> None:
    with planted(house) as team:
        for path in ("", "/ledger", "/audit"):
            assert _ask(team, who, "GET", "/api/v1/accounts/{account_id}" + path)[0].status_code == 404
        assert _ask(team, who, "GET", "/api/v1/accounts")[0].json()["items"] == []


def test_a_held_item_is_its_owner_s_alone(house: building.House) -> None:
    with planted(house, held=True) as team:
        for who in ("other", "manager", "admin"):
            for path in ("/api/v1/held/{held_id}", "/api/v1/interactions/{interaction_id}"):
                assert _ask(team, who, "GET", path)[0].status_code == 404
            assert _ask(team, who, "POST", "/api/v1/held/{held_id}/choice")[0].status_code == 404
            assert _ask(team, who, "GET", "/api/v1/held")[0].json()["items"] == []
            feed = _ask(team, who, "GET", "/api/v1/events")[0].json()["items"]
            assert "interaction.held" not in {event["type"] for event in feed}
            assert _ask(team, who, "GET", "/api/v1/deliveries/{delivery_id}")[0].status_code == 404


def test_nobody_but_its_owner_opens_a_mailbox_wider(house: building.House) -> None:
    with planted(house, level="metadata") as team:
        for who in ("other", "manager", "admin"):
            path = "/api/v1/accounts/{account_id}".format(**team.ids)
            assert team.ask(who, "PATCH", path, json={"visibility": "full"}).status_code in (403, 404)
            path = "/api/v1/interactions/{interaction_id}/visibility".format(**team.ids)
            assert team.ask(who, "PUT", path, json={"visibility": None}).status_code == 403


def _sight(who: str, level: str, mode: str) -> str:
    """The rule, written once more by hand."""
    if who == "owner":
        return "full"
    if who == "nobody" or mode == "held":
        return "none"
    return "metadata" if mode == "override" else level


def _ask(team: Team, who: str, method: str, path: str) -> tuple[Any, str]:
    """One request with everything filled in; the answer, and what was sent."""
    address = re.sub(r"{(\w+)(?::\w+)?}", lambda found: str(_value(team, found[1])), path)
    more: dict[str, Any] = {}
    if method == "GET":
        more["params"] = QUERIES.get(path, {})
    elif path.startswith("/api/"):
        body = BODIES.get(f"{method} {path}")
        more["json"] = _filled(team, body) if body is not None else None
    else:
        more["data"] = _filled(team, FORM)
    return team.ask(who, method, address, **more), f"{method} {address}"


def _told(answer: Any) -> str:
    """What an answer says; of packed files (an export, a spreadsheet) all that is in them."""
    if answer.content[:2] != b"PK":
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return "".join(packed.read(name).decode("utf-8", "replace") for name in packed.namelist())


def _value(team: Team, name: str) -> Any:
    assert name in team.ids, f"the parameter {name} is not known here; plant something for it"
    return team.ids[name]


def _filled(team: Team, body: dict[str, Any]) -> dict[str, Any]:
    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(one) for one in value]
        return _value(team, value[1:-1]) if isinstance(value, str) and value.startswith("{") else value

    return {name: fill(value) for name, value in body.items()}


def _keeps_its_policy(who: str, wanted: str, status: int, sent: str) -> None:
    if wanted == "public":
        return
    if who == "nobody":
        assert status in ((401,) if "/api/" in sent else (303,)), f"{sent}: {status}"
    elif RANK[who] < RANK[wanted]:
        assert status == 403, f"{who} {sent}: {status}"
