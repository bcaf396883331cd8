"""A plain client of the pretend Graph, every answer of which is held against the cut of Microsoft's OpenAPI."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

import httpx

from sandbox import Server, World
from tests.sandbox import ms_conform

DRIVEN: set[str] = set()
"""The paths of the document that were driven in this run."""
NO_SCHEMA = ("/$value", "/$batch", "/reauthorize", "/mailboxSettings", "/messages/delta")


class GraphClient:
    """`get` and `page` check what comes back; `ask` gives the bare response."""

    def __init__(self, world: World, server: Server, token: str, *, immutable: bool = True) -> None:
        self.world, self.server = world, server
        self.headers = {"Authorization": f"Bearer {token}"} | ({"Prefer": 'IdType="ImmutableId"'} if immutable else {})
        self.http = httpx.Client(timeout=20)

    def close(self) -> None:
        self.http.close()

    def ask(
        self, path: str, method: str = "GET", *, prefer: str = "", json: Any = None, **query: Any
    ) -> httpx.Response:
        """A request below the root, or to a whole address such as a nextLink; `query` names may leave out the $."""
        url = path if path.startswith("http") else self.server.microsoft_graph_root + path
        headers = dict(self.headers)
        if prefer:
            headers["Prefer"] = ", ".join(filter(None, (headers.get("Prefer"), prefer)))
        asked = {_NAMES.get(name, name): value for name, value in query.items()}
        url += ("&" if "?" in url else "?") * bool(asked) + urlencode(asked)
        return self.http.request(method, url, headers=headers, json=json)

    def get(self, path: str, **more: Any) -> dict[str, Any]:
        answer = self.ask(path, **more)
        assert answer.status_code == 200, answer.text
        return self.checked("GET", path, answer.json())

    def checked(self, method: str, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        below = path.removeprefix(self.server.microsoft_graph_root)
        below = re.sub(r"\('([^')]+)'\)", r"/\1", below)
        if not below.partition("?")[0].endswith(NO_SCHEMA) or "mailFolders" in below:
            DRIVEN.add(ms_conform.template(below))
            assert ms_conform.faults(method, below, answer) == []
        return answer

    def error(self, path: str, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal, its envelope checked."""
        answer = self.ask(path, **more)
        given = answer.json()["error"]
        assert set(given) == {"code", "message", "innerError"}
        assert {"date", "request-id", "client-request-id"} <= set(given["innerError"])
        assert answer.headers["request-id"] == given["innerError"]["request-id"]
        return answer.status_code, given["code"]

    def pages(self, path: str, **more: Any) -> list[dict[str, Any]]:
        """Every page of a listing or of a round, by the nextLinks."""
        found = [self.get(path, **more)]
        prefer = more.get("prefer", "")
        while "@odata.nextLink" in found[-1]:
            assert found[-1]["@odata.nextLink"].startswith(self.server.microsoft_graph_root)
            found.append(self.get(found[-1]["@odata.nextLink"], prefer=prefer))
        return found

    def items(self, path: str, **more: Any) -> list[dict[str, Any]]:
        return [one for page in self.pages(path, **more) for one in page["value"]]

    def round(self, path: str, **more: Any) -> tuple[list[dict[str, Any]], str]:
        """The items of a whole round of a delta, and its deltaLink."""
        pages = self.pages(path, **more)
        assert all(("@odata.nextLink" in one) != ("@odata.deltaLink" in one) for one in pages)
        return [one for page in pages for one in page["value"]], pages[-1]["@odata.deltaLink"]

    def batch(self, *requests: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """A batch; its answers by id."""
        answer = self.ask("/$batch", "POST", json={"requests": list(requests)})
        assert answer.status_code == 200, answer.text
        return {one["id"]: one for one in answer.json()["responses"]}


_NAMES = {name: f"${name}" for name in ("select", "filter", "search", "top", "skip", "orderby", "count", "expand")}
