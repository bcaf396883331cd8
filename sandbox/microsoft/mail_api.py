"""Graph's mail: folders, messages, attachments, filters and searches (provider contract 4.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.microsoft.ask import Ask
from sandbox.microsoft.folders import ROOT, Folder
from sandbox.microsoft.forms import JSON, bad_query, dumped, moment, no_item, refuse
from sandbox.microsoft.kql import parse_search
from sandbox.microsoft.message import NAMES, USUAL, WITHOUT_BODY, Shown
from sandbox.microsoft.odata import Test, parse_filter
from sandbox.microsoft.outlook import Item
from sandbox.wire import Answer

CONTEXT = "https://graph.microsoft.com/v1.0/$metadata"
_TOO_COMPLEX = "The restriction or sort order is too complex for this operation."


class MailApi:
    """One method for each path; all for the mailbox of the ask."""

    def list_folders(self, ask: Ask) -> Any:
        parent = folder_of(ask, ask.ids.get("folder") or ROOT)
        hidden = ask.request.one("includeHiddenFolders").lower() == "true"
        found = [one for one in ask.mailbox.folders.values() if one.parent == parent.id and (hidden or not one.hidden)]
        if text := ask.request.one("$filter"):
            test, named = parse_filter(text)
            if set(named) - {"displayName", "id", "isHidden", "totalItemCount", "unreadItemCount"}:
                raise bad_query(
                    f"Could not find a property named '{named[0]}' on type 'Microsoft.OutlookServices.MailFolder'."
                )
            found = [one for one in found if test(whole_folder(ask, one).__getitem__)]
        start, size = ask.skip(), ask.top(10, 1_000)
        shown = [shown_folder(ask, one) for one in found[start : start + size]]
        more = f"{ask.prefix}/mailFolders" + (f"/{ask.ids['folder']}/childFolders" if "folder" in ask.ids else "")
        answer = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/mailFolders", "value": shown}
        return answer | _next(ask, more, start, size, len(found), includeHiddenFolders=hidden)

    def get_folder(self, ask: Ask) -> Any:
        return shown_folder(ask, folder_of(ask, ask.ids["folder"]))

    def list_messages(self, ask: Ask) -> Any:
        folder = folder_of(ask, ask.ids["folder"]) if "folder" in ask.ids else None
        path = f"{ask.prefix}/mailFolders/{ask.ids['folder']}/messages" if folder else f"{ask.prefix}/messages"
        if ask.request.one("$search"):
            return self._search(ask, folder, path)
        found = list(self._filtered(ask, folder))
        start, size = ask.skip(), ask.top(10, 1_000)
        answer: dict[str, Any] = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/messages"}
        if ask.request.one("$count").lower() == "true":
            answer["@odata.count"] = len(found)
        answer["value"] = [view_of(ask, one).whole(self._names(ask)) for one in found[start : start + size]]
        return answer | _next(ask, path, start, size, len(found))

    def get_message(self, ask: Ask) -> Any:
        item = self._item(ask)
        names = self._names(ask)
        if ask.request.one("$expand").startswith("attachments"):
            names = (*names, "attachments")
        shown = {"@odata.context": f"{CONTEXT}#users('{ask.mailbox.oid}')/messages/$entity"}
        return shown | view_of(ask, item).whole(names)

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
        return test(view_of(ask, item).value)

    def _key(self, ask: Ask, name: str) -> Callable[[Item], Any]:
        def value(item: Item) -> Any:
            if name == "receivedDateTime":
                return item.ms
            found = view_of(ask, item).value(name)
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
        answer["value"] = [view_of(ask, one).whole(self._names(ask)) for one in found[start : start + size]]
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
        return view_of(ask, item).letter.attachments(item.key, moment(item.changed))

    def _names(self, ask: Ask) -> tuple[str, ...]:
        names = ask.select(USUAL)
        unknown = [one for one in names if one not in NAMES and "/" not in one]
        if unknown and unknown[0] != "*":
            raise bad_query(
                f"Could not find a property named '{unknown[0]}' on type 'Microsoft.OutlookServices.Message'."
            )
        return allowed(ask, names)

    def _item(self, ask: Ask) -> Item:
        found = ask.mailbox.find(ask.ids["message"])
        folder = folder_of(ask, ask.ids["folder"]) if "folder" in ask.ids else None
        if found is None or (folder and found.folder != folder.id):
            raise no_item()
        return found


def view_of(ask: Ask, item: Item) -> Shown:
    """A message in the form that the request wants."""
    return Shown(ask.mailbox, item, ask.immutable, ask.text)


def allowed(ask: Ask, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of these properties those that the permission shows."""
    return tuple(one for one in names if one not in WITHOUT_BODY) if ask.basic else names


def folder_of(ask: Ask, name: str) -> Folder:
    """By id or well-known name. Raises Refusal (404)."""
    found = ask.mailbox.known.get(name.lower()) or ask.mailbox.folders.get(name)
    if found is None:
        raise no_item()
    return found


def shown_folder(ask: Ask, folder: Folder) -> dict[str, Any]:
    """microsoft.graph.mailFolder, of it what was selected."""
    names = ask.select(())
    return {
        name: value for name, value in whole_folder(ask, folder).items() if not names or name in names or name == "id"
    }


def whole_folder(ask: Ask, folder: Folder) -> dict[str, Any]:
    ask.mailbox.settle()
    children = sum(one.parent == folder.id and not one.hidden for one in ask.mailbox.folders.values())
    shown = {"id": folder.id, "displayName": folder.name, "parentFolderId": folder.parent or None}
    shown |= {"childFolderCount": children, "unreadItemCount": folder.unread, "totalItemCount": len(folder.order)}
    return shown | {"isHidden": folder.hidden}


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
