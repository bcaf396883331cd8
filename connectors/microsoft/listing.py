"""Lists and searches of an Outlook mailbox: ids only (provider-contract 4.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from connectors.base import Hits
from connectors.errors import CursorExpired, TryLater
from connectors.items import Listed
from connectors.microsoft.faults import NotFound
from connectors.microsoft.folders import Folders
from connectors.microsoft.graph import Graph

LIST_PAGE, SEARCH_PAGE = 500, 250
_HIT = "id,conversationId,parentFolderId,isDraft"


class OutlookLists:
    """The half of ``connectors.base.Mailbox`` that names messages. ``folders``: the tree, a fresh one when it is asked for."""

    searchable = True
    search_width = 15
    search_most = 1_000
    """Results after which Graph ends a search."""

    def __init__(self, graph: Graph, folders: Callable[[bool], Folders]) -> None:
        self._graph, self._folders = graph, folders

    def search(self, addresses: Sequence[str], *, after: datetime | None, page: str = "") -> Hits:
        """$search with KQL over participants, newest first. Graph ends a search after a thousand results: then another one
        goes on from the day of the last of them."""
        link, day, seen = _search_page(page)
        text = " OR ".join(f"participants:{_plain(one)}" for one in addresses)
        bounds = [f"received>={after.date().isoformat()}"] if after else []
        bounds += [f"received<={day}"] if day else []
        text = " AND ".join([f"({text})", *bounds]) if bounds else text
        params = {"$search": f'"{text}"', "$select": f"{_HIT},receivedDateTime", "$top": str(SEARCH_PAGE)}
        answer = self._list(f"{self._graph.home}/messages", params, link)
        rows = rows_of(answer)
        seen += len(rows)
        link = str(answer.get("@odata.nextLink") or "")
        oldest = str(rows[-1].get("receivedDateTime") or "")[:10] if rows else ""
        further = not link and seen >= self.search_most and oldest not in ("", day)
        more = [link, day, seen] if link else ["", oldest, 0]
        return Hits(self._counted(rows), json.dumps(more) if link or further else "")

    def listing(self, *, after: datetime | None, before: datetime | None, page: str = "") -> Hits:
        """Every id, folder by folder, newest first in each."""
        left, link = self._listing_page(page)
        if not left:
            return Hits(())
        bounds = [f"receivedDateTime {sign} {_stamp(at)}" for sign, at in (("ge", after), ("lt", before)) if at]
        params = {"$select": _HIT, "$top": str(LIST_PAGE), "$orderby": "receivedDateTime desc"}
        params |= {"$filter": " and ".join(bounds)} if bounds else {}
        hits = self._hits(
            f"{self._graph.home}/mailFolders/{quote(left[0], safe='')}/messages", params, link, missing_is_empty=True
        )
        left = left if hits.next else left[1:]
        return Hits(hits.items, json.dumps([left, hits.next]) if left else "")

    def sent(self, *, page: str = "") -> Hits:
        params = {"$select": _HIT, "$top": str(LIST_PAGE), "$orderby": "receivedDateTime desc"}
        return self._hits(f"{self._graph.home}/mailFolders/sentitems/messages", params, page)

    def find_message_id(self, message_id: str) -> list[str]:
        wanted = message_id.replace("'", "''")
        params = {"$filter": f"internetMessageId eq '<{wanted}>'", "$select": _HIT}
        return [hit.item_id for hit in self._hits(f"{self._graph.home}/messages", params, "").items]

    def _hits(self, path: str, params: Mapping[str, str], page: str, *, missing_is_empty: bool = False) -> Hits:
        """One page of ids."""
        try:
            answer = self._list(path, params, page)
        except NotFound:
            if missing_is_empty:
                return Hits(())
            raise
        return Hits(self._counted(rows_of(answer)), str(answer.get("@odata.nextLink") or ""))

    def _list(self, path: str, params: Mapping[str, str], link: str) -> dict[str, Any]:
        """A page of a list; from the start, where the link to go on with is not known any more."""
        if not link:
            return self._graph.get(path, params)
        try:
            return self._graph.follow(link)
        except (TryLater, CursorExpired) as error:
            if isinstance(error, TryLater) and error.code != "bad_request":
                raise
            return self._graph.get(path, params)

    def _counted(self, rows: Iterable[Mapping[str, Any]]) -> tuple[Listed, ...]:
        """Those that count as mail: no drafts, and none of folders without mail."""
        folders = self._folders(False)
        return tuple(
            Listed(str(row["id"]), str(row.get("conversationId") or ""))
            for row in rows
            if row.get("id") and not row.get("isDraft") and folders.place(str(row.get("parentFolderId"))) == "mail"
        )

    def _listing_page(self, page: str) -> tuple[list[str], str]:
        """(folders still to be listed, the link to go on with in the first of them)."""
        try:
            left, link = json.loads(page) if page else (None, "")
        except (ValueError, TypeError):
            left, link = None, ""
        if isinstance(left, list):
            return [str(one) for one in left], str(link)
        return self._folders(True).of_mail(), ""


def rows_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a list; an answer without one is no answer."""
    rows = answer.get("value")
    if not isinstance(rows, list):
        raise TryLater("not_json", "Microsoft's answer was not what it should be; we try again.")
    return [row for row in rows if isinstance(row, dict)]


def _search_page(page: str) -> tuple[str, str, int]:
    """(link to go on with, last day that is searched, results seen of that search)."""
    try:
        link, day, seen = json.loads(page) if page else ("", "", 0)
        return str(link), str(day), int(seen)
    except (ValueError, TypeError):
        return "", "", 0


def _plain(address: str) -> str:
    """An address, or ``@acme.example`` for a whole domain, as KQL takes it: nothing in it may end the term."""
    return "".join(c for c in address.removeprefix("@") if c.isalnum() or c in "@._+-'&/=!#$%{}~^*`?|")


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
