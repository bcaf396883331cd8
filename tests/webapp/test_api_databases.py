"""Every endpoint of the API on both databases: what SQLite forgives, Postgres does not."""

from __future__ import annotations

from collections.abc import Callable

import house as building
from serving import build_app
from tests.webapp.planted import photograph, planted, put_back
from tests.webapp.test_who_sees_what import _ask, routes


def test_every_endpoint_answers_on_either_database(make_house: Callable[..., building.House], any_url: str) -> None:
    house = make_house(database_url=any_url)
    app = build_app(house, setup_token="")
    with planted(house, held=True) as team:
        before = photograph(house)
        for who in ("owner", "admin"):
            for method, path, _ in routes(app):
                if path.startswith("/api/"):
                    answer, sent = _ask(team, who, method, path)
                    assert answer.status_code < 500, f"{who} {sent}: {answer.text}"
                    put_back(house, before) if method != "GET" else None


def test_a_write_is_done_once_and_lists_are_searched_on_either_database(
    make_house: Callable[..., building.House], any_url: str
) -> None:
    with planted(make_house(database_url=any_url)) as team:
        made = [team.api("POST", "companies", {"name": "Once_A"}, key="k1").json() for _ in range(2)]
        assert made[0] == made[1]
        assert [one["id"] for one in team.read("companies?q=once_a")["items"]] == [made[0]["id"]]
        assert len(team.read("contacts?q=NORTHWIND")["items"]) == 1
        first = team.read("interactions?limit=1")
        assert team.read(f"interactions?limit=1&cursor={first['next']}")["items"] != first["items"]
        assert team.api("POST", "companies", {"name": "Other"}, key="k1").status_code == 422
        assert team.api("POST", "companies", {"name": "nul\u0000"}).status_code == 422
        assert team.api("GET", "companies/2147483648").status_code == 422
        assert team.api("GET", "companies?q=%00").status_code == 422
