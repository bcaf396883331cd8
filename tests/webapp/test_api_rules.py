"""What holds for every noun: who knocks, problem details, cursors, Idempotency-Key, and the published description."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlmodel import select

import house as building
from models.contact import Company
from models.idempotency import CLAIM, KEEP, IdempotentAnswer
from serving import build_app
from tests.webapp.planted import Team, planted
from webapp.app import policies


@pytest.fixture
def team(house: building.House) -> Iterator[Team]:
    with planted(house) as team:
        yield team


# ---- refusals


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status"),
    [
        ("nobody", "GET", "deals", None, 401),
        ("nobody", "POST", "deals", {"name": "x"}, 401),
        ("owner", "GET", "settings", None, 403),
        ("owner", "POST", "pipelines", {"name": "x", "stages": []}, 403),
        ("owner", "GET", "deals/999", None, 404),
        ("owner", "GET", "nothing/here", None, 404),
        ("owner", "PUT", "deals", {}, 405),
        ("owner", "DELETE", "companies/{company_id}", None, 409),
        ("owner", "POST", "deals", {"nom": "x"}, 422),
        ("owner", "POST", "deals", [], 422),
    ],
)
def test_every_refusal_is_problem_details(team: Team, who: str, method: str, path: str, body: Any, status: int) -> None:
    answer = team.api(method, path, body, who=who)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert problem["instance"].startswith("/api/v1/")


def test_a_stranger_is_told_how_to_come_in(team: Team) -> None:
    answer = team.api("GET", "deals", who="nobody")
    assert answer.headers["www-authenticate"] == "Bearer"
    for header in ("Bearer dt_wrong", "Basic abc", "Bearer"):
        assert team.client.get("/api/v1/deals", headers={"authorization": header}).status_code == 401


def test_a_cookie_opens_no_api(team: Team) -> None:
    cookie, _ = team.cookies["owner"]
    assert team.client.get("/api/v1/deals", headers={"cookie": f"dealtrail={cookie}"}).status_code == 401


def test_broken_json_is_refused_with_a_sentence(team: Team) -> None:
    headers = {"content-type": "application/json"}
    answer = team.ask("owner", "POST", "/api/v1/deals", content=b'{"name": ', headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (422, "Something is wrong with the input")


# ---- cursors


def test_pages_follow_each_other_without_gap_or_repetition(team: Team) -> None:
    names = [f"Firm {number}" for number in range(7)]
    for name in names:
        assert team.api("POST", "companies", {"name": name}).status_code == 201
    seen: list[str] = []
    path = "companies?q=Firm&limit=3"
    page = team.read(path)
    while True:
        seen += [one["name"] for one in page["items"]]
        if page["next"] is None:
            break
        team.api("POST", "companies", {"name": "Late firm"}) if len(seen) == 3 else None
        page = team.read(f"{path}&cursor={page['next']}")
    assert seen == [*names, "Late firm"]


def test_a_timeline_is_paged_from_new_to_old(team: Team) -> None:
    first = team.read("interactions?limit=1")
    second = team.read(f"interactions?limit=1&cursor={first['next']}")
    assert second["next"] is None
    assert {first["items"][0]["id"], second["items"][0]["id"]} == {1, 2}
    assert team.read("deals/{deal_id}/timeline?limit=1")["next"] is None


def _cursor(place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "garbage",
        "%00",
        "a",
        _cursor([None]),
        _cursor([None, "1"]),
        _cursor([None, 2**70]),
        _cursor({"a": 1}),
        _cursor(["x", 1]),
        _cursor([5, 1]),
        _cursor(["2026-01-01T00:00:00", 1]),
        _cursor([[]] * 400)[:400],
    ],
)
def test_a_cursor_that_no_list_has_given_is_refused(team: Team, cursor: str) -> None:
    for path in ("interactions", "deals/{deal_id}/timeline"):
        answer = team.api("GET", f"{path}?cursor={cursor}")
        assert answer.status_code == 422, answer.text
    if cursor != _cursor(["x", 1]) and cursor != _cursor([5, 1]) and not cursor.startswith(_cursor(["2026"])[:6]):
        assert team.api("GET", f"companies?cursor={cursor}").status_code == 422


@pytest.mark.parametrize("limit", ["0", "201", "many", "-1"])
def test_a_limit_is_between_1_and_200(team: Team, limit: str) -> None:
    assert team.api("GET", f"companies?limit={limit}").status_code == 422


# ---- Idempotency-Key


def test_a_write_sent_twice_is_done_once_and_answered_twice(team: Team) -> None:
    first = team.api("POST", "companies", {"name": "Once"}, key="k1")
    again = team.api("POST", "companies", {"name": "Once"}, key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(team.read("companies?q=Once")["items"]) == 1


def test_a_deletion_sent_twice_is_answered_twice(team: Team) -> None:
    for _ in range(2):
        answer = team.api("DELETE", "deals/{spare_id}", key="k1")
        assert (answer.status_code, answer.content) == (204, b"")
    assert team.api("DELETE", "deals/{spare_id}").status_code == 404


def test_the_same_key_on_another_request_is_refused(team: Team) -> None:
    team.api("POST", "companies", {"name": "Once"}, key="k1")
    for path, body in (("companies", {"name": "Twice"}), ("contacts", {"name": "Once"})):
        answer = team.api("POST", path, body, key="k1")
        assert (answer.status_code, "another request" in answer.json()["detail"]) == (422, True)
    assert team.read("companies?q=Twice")["items"] == []


def test_two_people_may_use_the_same_key(team: Team) -> None:
    ids = {
        team.api("POST", "companies", {"name": "Once"}, key="k1", who=who).json()["id"] for who in ("owner", "admin")
    }
    assert len(ids) == 2


def test_a_refused_write_leaves_its_key_free(team: Team) -> None:
    assert team.api("POST", "companies", {"name": ""}, key="k1").status_code == 422
    assert team.api("POST", "companies", {"name": "Mended"}, key="k1").status_code == 201


def test_a_key_is_asked_for_after_the_door(team: Team) -> None:
    assert team.api("POST", "companies", {"name": "x"}, key="k1", who="nobody").status_code == 401
    assert team.api("PATCH", "settings", {"grace_days": 1}, key="k1").status_code == 403
    assert team.api("POST", "companies", {"name": "x"}, key="k" * 256).status_code == 422


def test_a_request_that_is_being_answered_is_not_done_a_second_time(team: Team) -> None:
    """Two at once: one makes the company, the other is told to wait or gets the same answer."""
    answers: list[Any] = []
    gate = threading.Barrier(4)

    def send() -> None:
        gate.wait()
        answers.append(team.api("POST", "companies", {"name": "Race"}, key="k1"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(team.read("companies?q=Race")["items"]) == 1


def test_a_claim_that_stands_open_answers_409_and_ends_when_its_holder_is_dead(team: Team) -> None:
    made = team.api("POST", "companies", {"name": "Open"}, key="k1")
    assert made.status_code == 201
    _age(team, CLAIM / 2, status=0)
    assert team.api("POST", "companies", {"name": "Open"}, key="k1").status_code == 409
    _age(team, CLAIM, status=0)
    assert team.api("POST", "companies", {"name": "Open"}, key="k1").status_code == 201


def test_an_answer_is_kept_for_a_day(team: Team) -> None:
    first = team.api("POST", "companies", {"name": "Daily"}, key="k1").json()
    _age(team, KEEP * 0.9)
    assert team.api("POST", "companies", {"name": "Daily"}, key="k1").json() == first
    _age(team, KEEP * 0.2)
    assert team.api("POST", "companies", {"name": "Daily"}, key="k1").json() != first


def test_a_secret_in_a_kept_answer_is_sealed(team: Team) -> None:
    secret = team.api("POST", "keys", {"name": "x"}, key="k1").json()["key"]
    body = {"target_url": "http://127.0.0.1:9/x", "event": "*"}
    signing = team.api("POST", "hooks", body, key="k2").json()["secret"]
    with team.house.db.read() as session:
        kept = "".join(row.body for row in session.exec(select(IdempotentAnswer)))
        assert kept
        assert secret not in kept
        assert signing not in kept
    assert team.api("POST", "keys", {"name": "x"}, key="k1").json()["key"] == secret


def _age(team: Team, by: Any, *, status: int | None = None) -> None:
    with team.house.db.write() as session:
        for row in session.exec(select(IdempotentAnswer)):
            row.created_at -= by
            row.status = row.status if status is None else status
            session.add(row)


# ---- the published description


def test_the_description_lists_every_endpoint_and_only_these(team: Team) -> None:
    described = team.client.get("/api/v1/openapi.json").json()
    told = {(method.upper(), path) for path, ways in described["paths"].items() for method in ways}
    real = {
        (method, path)
        for path, methods, _ in policies(build_app(team.house, setup_token=""))
        for method in methods - {"HEAD"}
        if path.startswith("/api/")
    }
    assert real <= told
    assert {(method, path) for method, path in told if path.startswith("/api/")} == real


def test_the_description_is_whole(team: Team) -> None:
    described = team.client.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    operations = [
        (path, way) for path, ways in described["paths"].items() for way in ways.values() if path.startswith("/api/")
    ]
    names = [way["operationId"] for _, way in operations]
    assert len(set(names)) == len(names)
    for path, way in operations:
        in_path = {one["name"] for one in way.get("parameters", []) if one["in"] == "path"}
        assert in_path == {part[1:-1] for part in path.split("/") if part.startswith("{")}, path
        assert way["description"], path
        assert way["security"] == [{"HTTPBearer": []}], path
        assert "application/problem+json" in way["responses"]["4XX"]["content"]
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    for reference in _references(described):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in described["components"][kind], reference


def test_every_write_says_that_it_takes_an_idempotency_key(team: Team) -> None:
    described = team.client.get("/api/v1/openapi.json").json()
    for path, ways in described["paths"].items():
        for method, way in ways.items():
            headers = {one["name"] for one in way.get("parameters", []) if one["in"] == "header"}
            if path.startswith("/api/"):
                assert ("Idempotency-Key" in headers) == (method != "get"), f"{method} {path}"


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def test_nothing_of_a_failed_write_is_kept(team: Team) -> None:
    body = {"name": "Half", "domains": ["half.example", "northwind.example"]}
    assert team.api("POST", "companies", body).status_code == 409
    with team.house.db.read() as session:
        assert session.exec(select(Company).where(Company.name == "Half")).first() is None
