"""Graph's mail: folders, messages, their delta (provider contract 4.1 to 4.3)."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.folders import ROOT, Entry, Folder
from sandbox.microsoft.forms import JSON, bad_query, dumped, moment, no_item, read_time, refuse
from sandbox.microsoft.kql import parse_search
from sandbox.microsoft.message import NAMES, USUAL, WITHOUT_BODY, Shown
from sandbox.microsoft.odata import Test, parse_filter
from sandbox.microsoft.outlook import Item
from sandbox.microsoft.tokens import Walk, opened, sealed
from sandbox.wire import Answer

CONTEXT = "https://graph.microsoft.com/v1.0/$metadata"
_TOO_COMPLEX = "The restriction or sort order is too complex for this operation."
_SINCE = re.compile(r"\s*receivedDateTime\s+(ge|gt)\s+(\S+)\s*\Z")
_DELTA_NO = ("$search", "$count", "$skip", "$expand")


class MailApi:
    """One method for each path; all for the mailbox of the ask."""

    def list_folders(self, ask: Ask) -> Any:
        parent = self._folder(ask, ask.ids.get("folder") or ROOT)
        hidden = ask.request.one("includeHiddenFolders").lower() == "true"
        found = [one for one in ask.mailbox.folders.values() if one.parent == parent.id and (hidden or not one.hidden)]
        start, size = ask.skip(), ask.top(10, 1_000)
        shown = [self._shown_folder(ask, one) for one in found[start : start + size]]
        more = f"{ask.prefix}/mailFolders" + (f"/{ask.ids['folder']}/childFolders" if "folder" in ask.ids else "")
        answer = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/mailFolders", "value": shown}
        return answer | _next(ask, more, start, size, len(found), includeHiddenFolders=hidden)

    def get_folder(self, ask: Ask) -> Any:
        return self._shown_folder(ask, self._folder(ask, ask.ids["folder"]))

    def folders_delta(self, ask: Ask) -> Any:
        """The whole tree in one list, children too; then what was made, renamed, moved or dropped."""
        box = ask.mailbox
        with box.lock:
            walk = self._walk(ask, "folders", box.folder_generation, box.serial)
            size = ask.page_size(10, 1_000, walk.asked.get("size", 0))
            found = [one for one in self._folder_changes(ask, walk) if one[0] > walk.after]
            page = [shown for _, shown in found[:size]]
            return self._round(ask, walk, f"{ask.prefix}/mailFolders/delta", page, found, size, "mailFolders")

    def list_messages(self, ask: Ask) -> Any:
        folder = self._folder(ask, ask.ids["folder"]) if "folder" in ask.ids else None
        path = f"{ask.prefix}/mailFolders/{ask.ids['folder']}/messages" if folder else f"{ask.prefix}/messages"
        if ask.request.one("$search"):
            return self._search(ask, folder, path)
        found = list(self._filtered(ask, folder))
        start, size = ask.skip(), ask.top(10, 1_000)
        answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/messages"}
        if ask.request.one("$count").lower() == "true":
            answer["@odata.count"] = len(found)
        answer["value"] = [self._shown(ask, one).whole(self._names(ask)) for one in found[start : start + size]]
        return answer | _next(ask, path, start, size, len(found))

    def get_message(self, ask: Ask) -> Any:
        item = self._item(ask)
        names = self._names(ask)
        if ask.request.one("$expand").startswith("attachments"):
            names = (*names, "attachments")
        shown = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/messages/$entity"}
        return shown | self._shown(ask, item).whole(names)

    def get_mime(self, ask: Ask) -> Answer:
        if ask.basic:
            raise refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return Answer(200, self._item(ask).bytes(), {"Content-Type": "text/plain"})

    def list_attachments(self, ask: Ask) -> Any:
        found = self._attachments(ask)
        names = ask.select(())
        if names:
            kept = {*names, "id", "@odata.type", "@odata.mediaContentType"}
            found = [{name: value for name, value in one.items() if name in kept} for one in found]
        return {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/messages/attachments", "value": found}

    def get_attachment(self, ask: Ask) -> Any:
        found = [one for one in self._attachments(ask) if one["id"] == ask.ids["attachment"]]
        if not found:
            raise no_item()
        return found[0]

    def all_delta(self, ask: Ask) -> Any:
        raise bad_query("Change tracking is not supported against 'microsoft.graph.message'.")

    def messages_delta(self, ask: Ask) -> Any:
        """What is in a folder, then what came, changed or left. Pages until a deltaLink."""
        box, folder = ask.mailbox, self._folder(ask, ask.ids["folder"])
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
        shown = self._shown(ask, item)
        return {"@odata.type": shown.type} | shown.whole(names)

    def _chosen(self, ask: Ask, walk: Walk) -> tuple[str, ...]:
        names = tuple(one.strip() for one in walk.asked.get("select", "").split(",") if one.strip())
        return self._allowed(ask, names or USUAL)

    def _folder_changes(self, ask: Ask, walk: Walk) -> list[tuple[list[Any], Any]]:
        box = ask.mailbox
        if not walk.since:
            places = [one for one in box.folders.values() if not one.hidden and one.well_known != ROOT]
            places = [one for one in places if one.parent]
            return [([1, one.id], self._shown_folder(ask, one)) for one in sorted(places, key=lambda one: one.id)]
        last = {one.key: one.serial for one in box.folder_log if walk.since < one.serial <= walk.upto}
        found = []
        for key, serial in sorted(last.items(), key=lambda pair: pair[1]):
            folder = box.folders.get(key)
            gone = {"id": key, "@removed": {"reason": "deleted"}}
            found.append(([serial, key], self._shown_folder(ask, folder) if folder else gone))
        return found

    def _filtered(self, ask: Ask, folder: Folder | None) -> Iterator[Item]:
        """The messages of a listing in its order: newest first, or as $orderby says."""
        ask.mailbox.settle()
        test, named = parse_filter(ask.request.one("$filter")) if ask.request.one("$filter") else (None, [])
        order = [one.split() for one in ask.request.one("$orderby").split(",") if one.strip()]
        wanted = [one[0] for one in order]
        if order and test and named[: len(wanted)] != wanted:
            raise bad_query(_TOO_COMPLEX, "InefficientFilter")
        unknown = [name for name in [*named, *wanted] if name.partition("/")[0] not in NAMES]
        if unknown:
            raise bad_query(
                f"Could not find a property named '{unknown[0]}' on type 'Microsoft.OutlookServices.Message'."
            )
        places = [folder] if folder else list(ask.mailbox.folders.values())
        with ask.mailbox.lock:
            pairs = sorted((pair for place in places for pair in place.order), reverse=True)
        items = [ask.mailbox.items[key] for _, key in pairs if key in ask.mailbox.items]
        kept = [one for one in items if test is None or self._passes(ask, one, test)]
        for name, *direction in reversed(order):
            value = self._key(ask, name)
            kept.sort(key=value, reverse=bool(direction) and direction[0].lower() == "desc")
        yield from kept

    def _passes(self, ask: Ask, item: Item, test: Test) -> bool:
        return test(self._shown(ask, item).value)

    def _key(self, ask: Ask, name: str) -> Callable[[Item], Any]:
        def value(item: Item) -> Any:
            if name == "receivedDateTime":
                return item.ms
            found = self._shown(ask, item).value(name)
            return found.lower() if isinstance(found, str) else (found or 0)

        return value

    def _search(self, ask: Ask, folder: Folder | None, path: str) -> Any:
        """$search: newest first, at most knobs.search_most, pages by $skiptoken."""
        for name in ("$filter", "$orderby", "$skip"):
            if ask.request.one(name):
                code = "SearchWithOrderBy" if name == "$orderby" else "SearchWithFilter"
                raise bad_query(f"The query parameter '{name}' is not supported with '$search'.", code)
        box = ask.mailbox
        box.settle()
        term = parse_search(ask.request.one("$search"), box)
        with box.lock:
            keys = term.keys() if term.keys else set(box.items)
            items = [box.items[key] for key in keys if key in box.items]
        found = [one for one in items if (folder is None or one.folder == folder.id) and term.test(one)]
        found.sort(key=lambda one: (one.ms, one.key), reverse=True)
        found = found[: ask.microsoft.knobs.search_most]
        token, size = ask.request.one("$skiptoken"), ask.top(25, 1_000)
        start = int(token) if token.isdigit() else 0
        answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#users('{box.oid}')/messages"}
        answer["value"] = [self._shown(ask, one).whole(self._names(ask)) for one in found[start : start + size]]
        if start + size < len(found):
            kept = {
                n.removeprefix("$"): ask.request.one(n) for n in ("$search", "$select", "$top") if ask.request.one(n)
            }
            answer["@odata.nextLink"] = ask.link(path, **kept, skiptoken=str(start + size))
        return answer

    def _attachments(self, ask: Ask) -> list[dict[str, Any]]:
        if ask.basic:
            raise refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        item = self._item(ask)
        return self._shown(ask, item).letter.attachments(item.key, moment(item.changed))

    def _shown(self, ask: Ask, item: Item) -> Shown:
        return Shown(ask.mailbox, item, ask.immutable, ask.text)

    def _names(self, ask: Ask) -> tuple[str, ...]:
        names = ask.select(USUAL)
        unknown = [one for one in names if one not in NAMES and "/" not in one]
        if unknown and unknown[0] != "*":
            raise bad_query(
                f"Could not find a property named '{unknown[0]}' on type 'Microsoft.OutlookServices.Message'."
            )
        return self._allowed(ask, names)

    def _allowed(self, ask: Ask, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in names if one not in WITHOUT_BODY) if ask.basic else names

    def _item(self, ask: Ask) -> Item:
        found = ask.mailbox.find(ask.ids["message"])
        folder = self._folder(ask, ask.ids["folder"]) if "folder" in ask.ids else None
        if found is None or (folder and found.folder != folder.id):
            raise no_item()
        return found

    def _folder(self, ask: Ask, name: str) -> Folder:
        found = ask.mailbox.known.get(name.lower()) or ask.mailbox.folders.get(name)
        if found is None:
            raise no_item()
        return found

    def _shown_folder(self, ask: Ask, folder: Folder) -> dict[str, Any]:
        ask.mailbox.settle()
        children = sum(one.parent == folder.id and not one.hidden for one in ask.mailbox.folders.values())
        shown = {"id": folder.id, "displayName": folder.name, "parentFolderId": folder.parent or None}
        shown |= {"childFolderCount": children, "unreadItemCount": folder.unread, "totalItemCount": len(folder.order)}
        shown |= {"isHidden": folder.hidden}
        names = ask.select(())
        return {name: value for name, value in shown.items() if not names or name in names or name == "id"}


def _next(ask: Ask, path: str, start: int, size: int, count: int, **more: bool) -> dict[str, str]:
    """The nextLink of a listing that pages by $skip; what was asked stays asked."""
    if start + size >= count:
        return {}
    kept = ("$select", "$filter", "$orderby", "$top", "$count", "$expand")
    asked = {name.removeprefix("$"): ask.request.one(name) for name in kept if ask.request.one(name)}
    link = ask.link(path, **asked, skip=str(start + size))
    return {"@odata.nextLink": link + "".join(f"&{name}=true" for name, value in more.items() if value)}


def as_answer(value: Any, status: int = 200) -> Answer:
    return (
        value
        if isinstance(value, Answer)
        else Answer(status, dumped(value), {"Content-Type": f"{JSON};odata.metadata=minimal"})
    )
