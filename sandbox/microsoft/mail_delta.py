"""Graph's deltas of mail: the messages of a folder, the tree of folders (provider contract 4.3).

A round is read off a log: all that changed after what the client knows, up to the moment the round began, collapsed to one line
for each message. The first round is the folder itself, newest first.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.folders import ROOT, Entry, Folder
from sandbox.microsoft.forms import bad_query, read_time, refuse
from sandbox.microsoft.mail_api import CONTEXT, allowed, folder_of, shown_folder, view_of
from sandbox.microsoft.message import USUAL
from sandbox.microsoft.outlook import Item
from sandbox.microsoft.tokens import Walk, opened, sealed

_SINCE = re.compile(r"\s*receivedDateTime\s+(ge|gt)\s+(\S+)\s*\Z")
_DELTA_NO = ("$search", "$count", "$skip", "$expand")


class MailDelta:
    """One method for each path; all for the mailbox of the ask."""

    def folders_delta(self, ask: Ask) -> Any:
        """The whole tree in one list, children too; then what was made, renamed, moved or dropped."""
        box = ask.mailbox
        with box.lock:
            walk = self._walk(ask, "folders", box.tree.generation, box.serial)
            size = ask.page_size(10, 1_000, walk.asked.get("size", 0))
            found = [one for one in self._folder_changes(ask, walk) if one[0] > walk.after]
            page = [shown for _, shown in found[:size]]
            return self._round(ask, walk, f"{ask.prefix}/mailFolders/delta", page, found, size, "mailFolders")

    def messages_delta(self, ask: Ask) -> Any:
        """What is in a folder, then what came, changed or left. Pages until a deltaLink."""
        box, folder = ask.mailbox, folder_of(ask, ask.ids["folder"])
        box.settle()
        if any(name in ask.request.query for name in _DELTA_NO):
            raise bad_query("The query parameters of a message delta are $select, $filter, $orderby and changeType.")
        with box.lock:
            walk = self._walk(ask, f"messages {folder.id}", folder.generation, box.serial)
            size = ask.page_size(10, 1_000, walk.asked.get("size", 0))
            start = self._first(walk)
            rounds = self._changes(ask, folder, walk) if walk.since else self._contents(ask, folder, walk, start)
            found = []
            for one in rounds:
                found.append(one)
                if len(found) > size:
                    break
            most = ask.microsoft.knobs.filtered_most - walk.seen
            if start is not None and not walk.since:
                found = found[: max(most, 0)]
            path = f"{ask.prefix}/mailFolders('{folder.id}')/messages/delta"
            return self._round(ask, walk, path, [shown for _, shown in found[:size]], found, size, "message")

    def all_delta(self, ask: Ask) -> Any:
        raise bad_query("Change tracking is not supported against 'microsoft.graph.message'.")

    def _walk(self, ask: Ask, resource: str, generation: int, serial: int) -> Walk:
        """A new walk, or the one that a token goes on with. Raises Refusal (400, 410)."""
        request = ask.request
        token = request.one("$skiptoken") or request.one("$deltatoken")
        if not token:
            wanted = ask.preferences.get("odata.maxpagesize", "")
            asked = {
                "select": request.one("$select"),
                "filter": request.one("$filter"),
                "kind": request.one("changeType"),
            }
            order = request.one("$orderby")
            if order and order.lower() not in ("receiveddatetime desc", "receiveddatetime+desc"):
                raise refuse(400, "ErrorInvalidUrlQuery", "Only $orderby=receivedDateTime desc is supported.")
            if asked["filter"] and not _SINCE.match(asked["filter"]):
                raise refuse(400, "ErrorInvalidUrlQueryFilter", "Only receivedDateTime ge or gt can be filtered for.")
            return Walk(resource, generation, 0, serial, [], asked | {"size": int(wanted) if wanted.isdigit() else 0})
        walk = opened(token, resource, generation, ask.microsoft)
        if request.one("$deltatoken"):
            walk.since, walk.upto, walk.after, walk.seen = walk.upto, serial, [], 0
        return walk

    def _round(
        self, ask: Ask, walk: Walk, path: str, page: list[Any], found: list[Any], size: int, kind: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#Collection({kind})"}
        walk.seen += len(page)
        if len(found) > size:
            walk.after = list(found[size - 1][0])
            answer["@odata.nextLink"] = ask.link(path, skiptoken=sealed(walk, ask.microsoft))
        else:
            walk.after = []
            answer["@odata.deltaLink"] = ask.link(path, deltatoken=sealed(walk, ask.microsoft))
        return answer | {"value": page}

    def _first(self, walk: Walk) -> float | None:
        found = _SINCE.match(walk.asked.get("filter", ""))
        if not found:
            return None
        return read_time(found[2]) + (0.001 if found[1] == "gt" else 0.0)

    def _contents(self, ask: Ask, folder: Folder, walk: Walk, start: float | None) -> Iterator[tuple[list[Any], Any]]:
        """The first round: the folder's messages, newest first, from the place of the walk on."""
        if walk.asked.get("kind") in ("updated", "deleted"):
            return
        box = ask.mailbox
        end = bisect.bisect_left(folder.order, tuple(walk.after)) if walk.after else len(folder.order)
        names = self._chosen(ask, walk)
        for ms, key in folder.order[end - 1 :: -1] if end else ():
            if start is not None and ms < start * 1000:
                return
            yield [ms, key], self._typed(ask, box.items[key], names)

    def _changes(self, ask: Ask, folder: Folder, walk: Walk) -> Iterator[tuple[list[Any], Any]]:
        """A later round: what the folder's log tells since."""
        start, names, kinds = self._first(walk), self._chosen(ask, walk), walk.asked.get("kind") or ""
        for serial, key, entries in folder.since(walk.since, walk.upto):
            if walk.after and [serial, key] <= walk.after:
                continue
            shown = self._change(ask, folder, key, entries, names, start)
            if shown is not None and kinds in ("", shown[0]):
                yield [serial, key], shown[1]

    def _change(
        self, ask: Ask, folder: Folder, key: str, entries: list[Entry], names: tuple[str, ...], start: float | None
    ) -> tuple[str, dict[str, Any]] | None:
        box, knobs = ask.mailbox, ask.microsoft.knobs
        item = box.items.get(key)
        came_back = item and entries[-1].kind != "removed" and any(one.kind == "removed" for one in entries)
        if item is None or item.folder != folder.id or (came_back and knobs.lose_returned):
            old = item or box.gone.get(key)
            shown = key if ask.immutable or old is None else self._id_then(old, entries)
            return "deleted", {
                "@odata.type": "#microsoft.graph.message",
                "id": shown,
                "@removed": {"reason": "deleted"},
            }
        if start is not None and item.ms < start * 1000:
            return None
        if knobs.sparse_updates and all(one.kind == "updated" for one in entries):
            changed = {name for one in entries for name in one.names}
            return "updated", self._typed(ask, item, tuple(name for name in names if name in changed))
        created = any(one.kind == "created" for one in entries)
        return "created" if created else "updated", self._typed(ask, item, names)

    def _id_then(self, item: Item, entries: list[Entry]) -> str:
        """The default id that a message had in the folder which it left."""
        return entries[-1].names[0] if entries[-1].kind == "removed" and entries[-1].names else item.id

    def _typed(self, ask: Ask, item: Item, names: tuple[str, ...]) -> dict[str, Any]:
        shown = view_of(ask, item)
        return {"@odata.type": shown.type} | shown.whole(names)

    def _chosen(self, ask: Ask, walk: Walk) -> tuple[str, ...]:
        names = tuple(one.strip() for one in walk.asked.get("select", "").split(",") if one.strip())
        return allowed(ask, names or USUAL)

    def _folder_changes(self, ask: Ask, walk: Walk) -> list[tuple[list[Any], Any]]:
        box = ask.mailbox
        if not walk.since:
            places = [one for one in box.folders.values() if not one.hidden and one.well_known != ROOT]
            places = [one for one in places if one.parent]
            return [([1, one.id], shown_folder(ask, one)) for one in sorted(places, key=lambda one: one.id)]
        last = {one.key: one.serial for one in box.tree.log if walk.since < one.serial <= walk.upto}
        found = []
        for key, serial in sorted(last.items(), key=lambda pair: pair[1]):
            folder = box.folders.get(key)
            gone = {"id": key, "@removed": {"reason": "deleted"}}
            found.append(([serial, key], shown_folder(ask, folder) if folder else gone))
        return found
