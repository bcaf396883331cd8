"""An Outlook calendar as a source of meetings (Graph calendarView/delta; provider-contract 5, F57).

A delta looks through a window that is fixed when it begins, so once a day, after its changes were taken, a new window is listed and
compared with what was told before. Occurrences come as stubs and are completed from their series.

Invariants: what leaves the window is not over. An ``@removed`` is believed only of a meeting that was told of, and only after it was
asked for: a change to anything outside the window is reported as a removal too. An occurrence that cannot be completed is
named and owed; a delta does not tell of it again. A deletion that Graph keeps silent about is found by the audit. A look at what is
idle leaves the position as it was, links of an hour ago excepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from connectors.base import SourceInfo
from connectors.errors import ConnectorError, CursorExpired, Gone, TryLater
from connectors.items import Item, Meeting, Page, Unreadable
from connectors.meeting_identity import SINGLE
from connectors.microsoft import batch
from connectors.microsoft.agenda import Agenda, digest
from connectors.microsoft.event import is_meeting, is_stub, read_event, starts_at, with_master
from connectors.microsoft.faults import NotFound
from connectors.microsoft.graph import Graph
from connectors.microsoft.position import RENEWED_AFTER

BACK, AHEAD = timedelta(days=30), timedelta(days=60)
FIRST_BACK = timedelta(days=365)
SLIDE = timedelta(days=1)
PAGE = 50
MOST_PAGES = 1_000
Row = dict[str, Any]


class OutlookCalendar:
    """``connectors.base.Calendar`` on Graph. One for each run."""

    def __init__(self, graph: Graph, calendar_id: str) -> None:
        self._graph = graph
        self._base = f"{graph.home}/calendars/{quote(calendar_id, safe='')}"
        self._masters: dict[str, Row] = {}
        self._pages = 0

    def window(self, *, now: datetime) -> tuple[datetime, datetime]:
        return now - BACK, now + AHEAD

    def listed_until(self, *, now: datetime) -> datetime | None:
        return now + AHEAD

    def pull(self, cursor: str, *, now: datetime) -> Page:
        """One page of changes. An empty cursor lists a year back. Raises CursorExpired, Gone when the calendar is not there or
        not shared any more."""
        at = Agenda.load(cursor) if cursor else Agenda(_whole(now - FIRST_BACK), _whole(now + AHEAD))
        if not at.walking:
            self._masters.clear()
            self._pages = 0
        rested = at.at_rest and now - at.kept < RENEWED_AFTER
        answer = self._asked(at)
        waiting, rows = list(at.owed), _rows(answer)
        items = self._read(at, rows, now)
        at.link, at.walking = self._onward(answer)
        slid = not at.walking and _whole(now + AHEAD) - at.high >= SLIDE
        if rested and not (rows or at.walking or slid):
            return Page((), cursor, more=False)
        at.kept = _whole(now)
        if at.walking:
            self._count()
            return Page(tuple(items), at.dump(), more=True)
        items = _last_words(items + self._pay(at, waiting, now))
        at.settle()
        if slid:
            at.slide(_whole(now - BACK), _whole(now + AHEAD))
        return Page(tuple(items), at.dump(), more=slid)

    # -- asking

    def _asked(self, at: Agenda) -> Row:
        prefer = (f"odata.maxpagesize={PAGE}", 'outlook.timezone="UTC"')
        try:
            if at.link:
                return self._graph.follow(at.link, prefer=prefer)
            span = {"startDateTime": _written(at.low), "endDateTime": _written(at.high)}
            return self._graph.get(f"{self._base}/calendarView/delta", span, prefer=prefer)
        except ConnectorError as error:
            raise _of_listing(error, resumed=bool(at.link)) from None

    def _fetched(self, ids: Iterable[str]) -> dict[str, batch.Answer]:
        """Events by their ids, in batches."""
        return batch.read(self._graph, {one: f"{self._base}/events/{quote(one, safe='')}" for one in ids})

    def _count(self) -> None:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise TryLater("endless", "Microsoft's list of this calendar has no end; we try again.", after=3_600.0)

    def _onward(self, answer: Row) -> tuple[str, bool]:
        """(the next link, whether the round goes on). An answer that does not say how to go on, or leads elsewhere, is none."""
        following, done = answer.get("@odata.nextLink"), answer.get("@odata.deltaLink")
        link = following or done
        if not isinstance(link, str) or not self._graph.config.is_ours(link):
            raise TryLater("not_json", "Microsoft's answer was not what it should be; we try again.", after=60.0)
        return link, bool(following)

    # -- reading

    def _read(self, at: Agenda, rows: Sequence[Row], now: datetime) -> list[Item]:
        """What the rows of a page stand for. The last word about an id counts."""
        last = {str(row["id"]): row for row in rows}
        self._masters |= {key: row for key, row in last.items() if row.get("type") == "seriesMaster"}
        removed = [key for key, row in last.items() if "@removed" in row]
        self._learn_masters(row for row in last.values() if is_stub(row))
        series = set() if at.fresh is not None and not at.seen else at.series()
        items: list[Item] = []
        for key, row in last.items():
            if key not in removed and is_meeting(row):
                items += self._event(at, row, now, series)
        return items + self._removed(at, removed, now)

    def _event(self, at: Agenda, row: Row, now: datetime, series: set[str]) -> list[Item]:
        key = str(row["id"])
        try:
            start = starts_at(row)
            if row.get("type") == "occurrence" and _rewritten(at, row, start, now, series):
                return []
            if at.fresh is not None and at.unchanged(row, start):
                at.keep(row, start)
                return []
            whole = self._whole(row)
            if whole is None:
                at.owe(key)
                return [Unreadable(key, "no_series")]
            meeting = read_event(whole)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return [_senseless(key, error)]
        at.keep(row, start)
        return [meeting]

    def _whole(self, row: Row) -> Row | None:
        """A stub with what its series says; None while that cannot be read."""
        if not is_stub(row):
            return row
        master = self._masters.get(str(row.get("seriesMasterId")))
        return None if master is None else with_master(row, master)

    def _learn_masters(self, stubs: Iterable[Row]) -> None:
        wanted = {str(one["seriesMasterId"]) for one in stubs if one.get("seriesMasterId")} - set(self._masters)
        if wanted:
            found = self._fetched(sorted(wanted))
            self._masters |= {key: row for key, row in found.items() if isinstance(row, dict) and row.get("id")}

    def _removed(self, at: Agenda, ids: Sequence[str], now: datetime) -> list[Item]:
        """What is said to be gone, and was told of: cancelled when there is none, told anew when it only left the window. What
        has passed stays: a series that was changed as a whole did not happen elsewhere."""
        known = [key for key in ids if at.holds(key) is not None]
        return self._looked_up(at, known, now) if known else []

    def _pay(self, at: Agenda, waiting: Sequence[str], now: datetime) -> list[Item]:
        """What an earlier round owes and this one did not bring."""
        left = [key for key in waiting if key in at.owed]
        return self._looked_up(at, left, now) if left else []

    def _looked_up(self, at: Agenda, ids: Sequence[str], now: datetime) -> list[Item]:
        items: list[Item] = []
        for key, found in self._fetched(ids).items():
            if isinstance(found, dict):
                items += self._event_now(at, found)
            elif isinstance(found, Unreadable) and found.gone and at.holds(key) is not None:
                items += _ended(at, key, now)
            else:
                at.owe(key)
                items.append(found if isinstance(found, Unreadable) else Unreadable(key, "not_json"))
        return items

    def _event_now(self, at: Agenda, row: Row) -> list[Item]:
        """An event that was asked for by its id."""
        try:
            if not is_meeting(row):
                at.drop(str(row["id"]))
                return []
            meeting, start = read_event(row), starts_at(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            at.owed.pop(str(row.get("id")), None)
            return [_senseless(str(row.get("id")), error)]
        at.keep(row, start)
        return [meeting]


def list_calendars(graph: Graph) -> list[SourceInfo]:
    """The calendars of a mailbox; the person's own one is selected. Raises ConnectorError."""
    asked = {"$top": "100", "$select": "id,name,isDefaultCalendar"}
    answer = graph.get(f"{graph.home}/calendars", asked)
    found: list[SourceInfo] = []
    for _ in range(MOST_PAGES):
        for row in _rows(answer):
            name, own = str(row.get("name") or row["id"]), bool(row.get("isDefaultCalendar"))
            found.append(SourceInfo("calendar", str(row["id"]), name, selected=own))
        if not answer.get("@odata.nextLink"):
            break
        answer = graph.follow(str(answer["@odata.nextLink"]))
    return found


def _rewritten(at: Agenda, row: Row, start: datetime, now: datetime, series: set[str]) -> bool:
    """Whether an occurrence is of no interest: a first list goes back further than occurrences are told of; and one that
    appears in the past of a series which is known did not happen, the series was moved."""
    if start < now - BACK:
        return True
    return start < now and at.holds(str(row["id"])) is None and digest(str(row.get("seriesMasterId"))) in series


def _ended(at: Agenda, key: str, now: datetime) -> list[Item]:
    known = at.holds(key)
    at.drop(key)
    if known is None or (known.series and known.start * 60 < now.timestamp()):
        return []
    return [Meeting(key, "", SINGLE, SINGLE, SINGLE, "cancelled", sparse=True)]


def _senseless(key: str, error: Exception) -> Unreadable:
    return Unreadable(key, f"parse_{type(error).__name__.lower()}"[:60])


def _last_words(items: list[Item]) -> list[Item]:
    """Each id once."""
    return list({item.item_id: item for item in items}.values())


def _rows(answer: Row) -> list[Row]:
    value = answer.get("value")
    return [row for row in value if isinstance(row, dict) and row.get("id")] if isinstance(value, list) else []


def _of_listing(error: ConnectorError, *, resumed: bool) -> ConnectorError:
    """What an error means when it answers a listing. ``resumed``: a link was followed, so the link may be what is refused."""
    if isinstance(error, NotFound):
        return Gone(
            "calendar_gone",
            "This calendar is no longer shared with you, or was deleted. Its meetings stay; its owner can share it again.",
        )
    if resumed and isinstance(error, TryLater) and error.code in ("bad_request", "foreign_link"):
        return CursorExpired("cursor_expired", "Microsoft asks for a fresh start of this calendar.")
    if isinstance(error, CursorExpired) and not resumed:
        return TryLater(
            "server_error", "Microsoft does not list this calendar at the moment; we try again.", after=60.0
        )
    return error


def _whole(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
