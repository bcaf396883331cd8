"""An Outlook mailbox as a source of messages (provider-contract 4.1 to 4.4).

A pull is a look at the tree of folders, then at each folder's delta, until something was found or the cycle is over; headers come
with the delta, texts by batch. The first round of a folder goes through all that lies in it: there is nothing else to sweep.

Invariants: an ``@removed`` is believed only after the message itself was asked for, since a move looks like a loss; a row with
less than a message needs is named, not read; a link that expired concerns its own folder alone. What a search had found and was
thrown away before its folder's first round came to it is told by nobody: when all first rounds are over, all is compared once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from connectors.errors import ConnectorError, CursorExpired, TryLater
from connectors.items import Item, Listed, Message, Page, Removed, Unreadable
from connectors.microsoft import batch
from connectors.microsoft.faults import NotFound
from connectors.microsoft.folders import MEANINGS, SELECT, Folders
from connectors.microsoft.graph import Graph
from connectors.microsoft.listing import OutlookLists, rows_of
from connectors.microsoft.message import FILES, HEADS, WHOLE, is_meeting, is_whole, moment, read
from connectors.microsoft.position import Position

LOOKS = 60
"""Looks at folders in one pull at the most; ``TIME`` seconds at the most, since a lease is running."""
TIME = 15.0
TREE_PAGE = 250
LEAST_PAGE = 10
MOST_PAGES = 400
MAP_FOR = 600.0
OVERLAP = timedelta(days=3)
_NAMES = (*MEANINGS, "msgfolderroot")


class OutlookMailbox(OutlookLists):
    """``connectors.base.Mailbox`` on Graph. ``own``: addresses that mail of the owner may come from."""

    pull_lists = True

    def __init__(self, graph: Graph, own: Iterable[str] = ()) -> None:
        super().__init__(graph, self._known_folders)
        self._own = frozenset(address.lower() for address in own)
        self._size = graph.config.page_size
        self._map: tuple[float, Folders] | None = None

    # -- what is new

    def pin(self) -> str:
        """A position before the first round of every folder (some 3 requests)."""
        at = Position(folders=self._well_known(), at=self._now().isoformat(), whole=False)
        self._look_at_tree(at)
        return at.dump()

    def count(self) -> int | None:
        """All messages in folders that hold mail."""
        rows, _ = self._tree("")
        folders = self._known_folders()
        totals = {str(row.get("id")): row.get("totalItemCount") for row in rows}
        return sum(total for folder in folders.of_mail() if isinstance(total := totals.get(folder), int))

    def pull(self, cursor: str) -> Page:
        """What changed, and in first rounds what there is. Raises CursorExpired with a ``restart`` when one folder's link is
        no good any more."""
        at, ends = Position.load(cursor), self._graph.clock.monotonic() + TIME
        self._remember(at.folders)
        resumed = not at.cycle_over
        suspect = False if resumed else self._look_at_tree(at)
        found: dict[str, Item] = {}
        backlog = moved = False
        for _ in range(LOOKS):
            if at.cycle_over or found or suspect or self._graph.clock.monotonic() > ends:
                break
            folder = at.todo[0]
            backlog = backlog or at.places[folder].walking
            moved = moved or at.places[folder].walking
            try:
                rows = self._look_at(at, folder)
            except NotFound:
                at.folders.parents.pop(folder, None)
                suspect = at.settle_folders() or suspect
                continue
            since = at.places[folder].since
            for item in self._items(rows, at.folders, moment(since) - OVERLAP if since else None):
                found.pop(item.item_id, None)
                found[item.item_id] = item
        self._remember(at.folders)
        suspect = at.becomes_whole() or suspect
        if not (found or moved or suspect or resumed or not at.cycle_over or at.is_old(self._now())):
            return Page((), cursor, more=False)
        at.at = self._now().isoformat()
        return Page(tuple(found.values()), at.dump(), more=not at.cycle_over, backlog=backlog, suspect=suspect)

    # -- what there is

    def headers(self, ids: Sequence[str]) -> list[Item]:
        """By batches of 20."""
        wanted = list(dict.fromkeys(ids))
        answers = batch.read(self._graph, {key: self._url(key, f"$select={HEADS}") for key in wanted})
        folders = self._known_folders() if wanted else Folders()
        return [self._item(key, answers[key], folders) for key in wanted]

    def open(self, hits: Sequence[Listed]) -> list[Item]:
        """The same with text and the names of files; delivery reports and meeting mails also in the raw."""
        wanted = list(dict.fromkeys(hit.item_id for hit in hits))
        query = f"$select={WHOLE}&$expand={FILES}"
        answers = batch.read(self._graph, {key: self._url(key, query) for key in wanted})
        folders = self._known_folders() if wanted else Folders()
        items = {key: self._item(key, answers[key], folders, with_body=True) for key in wanted}
        raw = [key for key, item in items.items() if _needs_raw(item, answers[key])]
        if raw:
            found = batch.read(self._graph, {key: self._url(key, "", "/$value") for key in raw})
            items |= {key: self._with_raw(key, answers[key], found[key], folders) for key in raw}
        return [items[key] for key in wanted]

    # -- looks

    def _look_at_tree(self, at: Position) -> bool:
        """Learn of new, moved and lost folders, and begin a cycle. True: a folder that was read is gone or thrown away, and
        with it what was in it."""
        try:
            rows, link = self._tree(at.tree)
        except CursorExpired:
            at.tree = ""
            rows, link = self._tree("")
        if not at.tree:
            at.folders.forget_but(str(row.get("id")) for row in rows)
        at.folders.learn(rows)
        at.tree = link
        suspect = at.settle_folders()
        at.begin_cycle()
        self._remember(at.folders)
        return suspect

    def _tree(self, link: str) -> tuple[list[dict[str, Any]], str]:
        """A whole round of the tree's delta: its rows, and the link to go on with."""
        prefer, rows = (f"odata.maxpagesize={TREE_PAGE}",), list[dict[str, Any]]()
        for _ in range(MOST_PAGES):
            if link:
                answer = self._delta(link, prefer)
            else:
                path = f"{self._graph.home}/mailFolders/delta"
                answer = self._graph.get(path, {"$select": SELECT}, prefer=prefer, urgent=True)
            rows += rows_of(answer)
            if answer.get("@odata.deltaLink"):
                return rows, str(answer["@odata.deltaLink"])
            link = _next(answer)
        raise TryLater("endless_list", "Microsoft's list of folders does not come to an end; we try again.")

    def _look_at(self, at: Position, folder: str) -> list[dict[str, Any]]:
        """One page of a folder; its place moves on. Raises NotFound, CursorExpired with the position to go on from."""
        place = at.places[folder]
        try:
            answer = self._page(place.link, folder)
        except CursorExpired as error:
            at.start_over(folder)
            raise CursorExpired(error.code, error.sentence, restart=at.dump(), part=folder) from None
        if answer.get("@odata.deltaLink"):
            place.link, place.walking = str(answer["@odata.deltaLink"]), False
            at.todo.pop(0)
        else:
            place.link = _next(answer)
        return rows_of(answer)

    def _page(self, link: str, folder: str) -> dict[str, Any]:
        """One page of a delta, a shorter one where Microsoft could not make it in time."""
        while True:
            prefer = (f"odata.maxpagesize={self._size}",)
            try:
                if link:
                    return self._delta(link, prefer)
                path = f"{self._folder_path(folder)}/messages/delta"
                return self._graph.get(path, {"$select": HEADS}, prefer=prefer, urgent=True)
            except TryLater as error:
                if error.code != "gateway_timeout" or self._size <= LEAST_PAGE:
                    raise
                self._size = max(LEAST_PAGE, self._size // 2)

    def _delta(self, link: str, prefer: tuple[str, ...]) -> dict[str, Any]:
        """What is behind a delta's link. One that is not understood is as good as expired."""
        try:
            return self._graph.follow(link, prefer=prefer, urgent=True)
        except TryLater as error:
            if error.code != "bad_request":
                raise
            raise CursorExpired(
                "cursor_refused", "Microsoft does not understand its own link; that part is read again."
            ) from None

    def _items(self, rows: Iterable[Mapping[str, Any]], folders: Folders, bound: datetime | None) -> list[Item]:
        """What the rows of a page mean; ``bound``: what did not change since is only named."""
        items: list[Item] = []
        lost: list[str] = []
        for row in rows:
            key = str(row.get("id") or "")
            if not key:
                continue
            if "@removed" in row:
                lost.append(key)
            elif not is_whole(row) or (bound is not None and _changed(row) < bound):
                items.append(Listed(key))
            elif not row.get("isDraft"):
                items.append(self._item(key, dict(row), folders))
        return [*items, *self._fates(lost)]

    def _fates(self, lost: list[str]) -> list[Item]:
        """What became of messages that left their folder: moved, thrown away, or gone."""
        if not lost:
            return []
        return [one for one in (_fate(item) for item in self.headers(lost)) if one is not None]

    # -- reading

    def _item(self, key: str, answer: batch.Answer, folders: Folders, *, with_body: bool = False) -> Item:
        if isinstance(answer, Unreadable):
            return answer
        if not isinstance(answer, dict) or answer.get("id") != key or not is_whole(answer):
            return Unreadable(key, "malformed")
        return self._read(key, answer, folders, with_body=with_body)

    def _with_raw(self, key: str, row: batch.Answer, raw: batch.Answer, folders: Folders) -> Item:
        if isinstance(raw, Unreadable):
            return raw
        if not isinstance(row, dict) or not isinstance(raw, bytes):
            return Unreadable(key, "malformed")
        return self._read(key, row, folders, with_body=True, raw=raw)

    def _read(self, key: str, row: dict[str, Any], folders: Folders, **how: Any) -> Item:
        try:
            return read(row, folders, self._own, **how)
        except ConnectorError:
            raise
        except Exception as error:  # noqa: BLE001  (one message that cannot be parsed is that message's matter)
            return Unreadable(key, f"parse_{type(error).__name__.lower()}"[:60])

    def _url(self, key: str, query: str, tail: str = "") -> str:
        path = f"{self._graph.home}/messages/{quote(key, safe='')}{tail}"
        return f"{path}?{query}" if query else path

    def _folder_path(self, folder: str) -> str:
        return f"{self._graph.home}/mailFolders/{quote(folder, safe='')}"

    # -- folders

    def _known_folders(self, fresh: bool = False) -> Folders:
        """The tree as it was some minutes ago at the most; ``fresh``: as it is."""
        if fresh or self._map is None or self._graph.clock.monotonic() - self._map[0] > MAP_FOR:
            at = Position(folders=self._map[1] if self._map else self._well_known(), at=self._now().isoformat())
            self._look_at_tree(at)
        assert self._map is not None
        return self._map[1]

    def _remember(self, folders: Folders) -> None:
        self._map = (self._graph.clock.monotonic(), folders)

    def _well_known(self) -> Folders:
        """What the well-known names stand for in this mailbox; a name that it does not have is left out."""
        home = self._graph.home
        answers = batch.read(
            self._graph, {name: f"{home}/mailFolders/{name}?$select=id" for name in _NAMES}, urgent=True
        )
        known: dict[str, str] = {}
        for name, answer in answers.items():
            if isinstance(answer, dict) and answer.get("id"):
                known[name] = str(answer["id"])
            elif isinstance(answer, Unreadable) and not answer.gone:
                raise TryLater("folders", "Microsoft did not tell all of this mailbox's folders; we try again.")
        if "inbox" not in known:
            raise TryLater("folders", "Microsoft did not tell all of this mailbox's folders; we try again.")
        return Folders(known)

    def _now(self) -> datetime:
        return self._graph.clock.now()


def _next(answer: Mapping[str, Any]) -> str:
    """The nextLink of a round that has no deltaLink yet."""
    link = str(answer.get("@odata.nextLink") or "")
    if not link:
        raise TryLater("not_json", "Microsoft's answer was not what it should be; we try again.")
    return link


def _fate(item: Item) -> Item | None:
    """What a message that left its folder is now. One that cannot be asked for just now is asked for again."""
    if isinstance(item, Unreadable):
        return Removed(item.item_id, "deleted") if item.gone else item
    if isinstance(item, Message) and item.place in ("trash", "spam"):
        return Removed(item.item_id, item.place)  # pyright: ignore[reportArgumentType]
    return None if isinstance(item, Message) and item.place == "draft" else item


def _needs_raw(item: Item, answer: batch.Answer) -> bool:
    """Whether what we want to know of a message is only in its raw form."""
    if not isinstance(item, Message) or not isinstance(answer, dict):
        return False
    return item.machine == "bounce" or is_meeting(answer)


def _changed(row: Mapping[str, Any]) -> datetime:
    try:
        return moment(row.get("lastModifiedDateTime") or row["receivedDateTime"])
    except (ValueError, KeyError):
        return datetime.max.replace(tzinfo=UTC)
