"""A Google calendar as a source of meetings (Calendar API v3; provider-contract 2).

Masters and exceptions are listed (``singleEvents=false``) with a sync token; the occurrences of a changed series are asked
for in a sliding window. The cursor carries what is needed to go on: sync token or page token, the window's end, and the
series that are alive with their occurrences in the window: so the window can slide, and an occurrence that a changed series
no longer has (moved as a whole, cut short, split in two, deleted) ends by name, since Google does not report it.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.addresses import valid
from connectors.errors import ConnectorError, CursorExpired, Gone, TryLater
from connectors.google.client import Client
from connectors.google.faults import NotFound
from connectors.html_text import plain
from connectors.items import Item, Meeting, Page, Party, Response, Unreadable
from connectors.meeting_identity import SINGLE, canonical_uid

BACK, AHEAD = timedelta(days=30), timedelta(days=60)
FIRST_BACK = timedelta(days=365)
PAGE = 250
MOST_PAGES = 40
SLIDE = timedelta(days=1)
ANSWERS: dict[str, Response] = {"accepted": "accepted", "declined": "declined", "tentative": "tentative"}


Series = dict[str, dict[str, float]]
"""Of each living series, what its occurrences' ids add to its own, and when they start (seconds since 1970)."""


class GoogleCalendar:
    """``connectors.base.Calendar`` on Google Calendar."""

    def __init__(self, client: Client, calendar_id: str) -> None:
        self._client, self._id = client, calendar_id

    def window(self, *, now: datetime) -> tuple[datetime, datetime]:
        return now - BACK, now + AHEAD

    def listed_until(self, *, now: datetime) -> datetime | None:
        return None

    def pull(self, cursor: str, *, now: datetime) -> Page:
        """One page of changes; occurrences of changed series come with it. An empty cursor lists a year back. Raises
        CursorExpired on 410 of any shape, Gone when the calendar is not shared any more."""
        state = _state(cursor)
        state.setdefault("end", (now + AHEAD).isoformat())
        answer = self._list(state, now)
        series: Series = {key: dict(known) for key, known in (state.get("series") or {}).items()}
        events = [event for event in answer.get("items") or [] if isinstance(event, dict) and event.get("id")]
        items = _without_ended([item for event in events for item in self._of_event(event, series, now)], events)
        token = answer.get("nextPageToken")
        if token:
            return Page(tuple(items), json.dumps(state | {"page": token, "series": series}), more=True)
        done = {
            "sync": str(answer.get("nextSyncToken") or state.get("sync", "")),
            "series": series,
            "end": state["end"],
        }
        if now + AHEAD - datetime.fromisoformat(state["end"]) >= SLIDE:
            items += self._slide(series, datetime.fromisoformat(state["end"]), now)
            done["end"] = (now + AHEAD).isoformat()
        return Page(tuple(items), json.dumps(done), more=False)

    # -- listing

    def _list(self, state: dict[str, Any], now: datetime) -> dict[str, Any]:
        options: dict[str, Any] = {"maxResults": PAGE, "singleEvents": False, "eventTypes": ["default"]}
        if state.get("sync"):
            options["syncToken"] = state["sync"]
        else:
            state.setdefault("min", (now - FIRST_BACK).replace(microsecond=0).isoformat())
            options["timeMin"] = state["min"]
        if state.get("page"):
            options["pageToken"] = state["page"]
        request = self._events().list(calendarId=self._id, quotaUser=self._client.quota_user or None, **options)
        try:
            return _listed(self._client.call(request))
        except ConnectorError as error:
            raise _of_listing(error, resumed=bool(state.get("sync") or state.get("page"))) from None

    def _of_event(self, event: dict[str, Any], series: Series, now: datetime) -> list[Item]:
        """The meetings that an event stands for: itself, or a series' occurrences in the window."""
        if event.get("eventType", "default") != "default":
            return []
        cancelled = event.get("status") == "cancelled"
        if event.get("recurrence") and not cancelled:
            return self._series(event["id"], series, now)
        if cancelled and event["id"] in series and not event.get("recurringEventId"):
            return [
                _sparse(event["id"], key) for key, start in series.pop(event["id"]).items() if start >= now.timestamp()
            ]
        item = self._item(event)
        if isinstance(item, Meeting) and item.series in series and not cancelled:
            series[item.series][_suffix(item.series, item.item_id)] = item.start.timestamp()
        return [item]

    def _series(self, master: str, series: Series, now: datetime) -> list[Item]:
        """A new or a changed series: its occurrences in the window, and an end to those to come that it no longer has.
        Of what has passed the calendar's history stands: a series that was moved as a whole did not happen elsewhere."""
        known = series.get(master)
        found = self._occurrences(master, now - BACK, now + AHEAD)
        starts = {_suffix(master, one.item_id): one.start.timestamp() for one in found if isinstance(one, Meeting)}
        series[master] = starts
        if known is None:
            return found
        over, low, high = (at.timestamp() for at in (now, now - BACK, now + AHEAD))
        vanished = {key: start for key, start in known.items() if key not in starts and low <= start < high}
        ended: list[Item] = [_sparse(master, key) for key, start in vanished.items() if start >= over]
        if any(start < over for start in vanished.values()):
            found = [one for one in found if not _passed(one, over) or _suffix(master, one.item_id) in known]
        return found + ended

    def _slide(self, series: Series, end: datetime, now: datetime) -> list[Item]:
        """Once a day the window has moved: the occurrences that have come into it."""
        found: list[Item] = []
        for master in list(series):
            fresh = self._occurrences(master, end - SLIDE, now + AHEAD)
            kept = {key: start for key, start in series[master].items() if start >= (now - BACK).timestamp()}
            starts = {_suffix(master, one.item_id): one.start.timestamp() for one in fresh if isinstance(one, Meeting)}
            series[master] = kept | starts
            found += fresh
        return found

    def _occurrences(self, master: str, start: datetime, end: datetime) -> list[Item]:
        """events.instances of one series between two moments; a series that vanished meanwhile has none."""
        found: list[Item] = []
        page: str | None = None
        for _ in range(MOST_PAGES):
            request = self._events().instances(
                calendarId=self._id,
                eventId=master,
                timeMin=start.replace(microsecond=0).isoformat(),
                timeMax=end.replace(microsecond=0).isoformat(),
                showDeleted=True,
                maxResults=PAGE,
                pageToken=page,
                quotaUser=self._client.quota_user or None,
            )
            try:
                answer = self._client.call(request)
            except NotFound:
                return []
            found += [self._item(one) for one in answer.get("items") or [] if isinstance(one, dict) and one.get("id")]
            page = answer.get("nextPageToken")
            if not page:
                break
        return found

    def _events(self) -> Any:
        return self._client.hold("events", lambda: self._client.calendar().events())

    # -- reading

    def _item(self, event: dict[str, Any]) -> Item:
        try:
            return read_event(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Unreadable(str(event["id"]), f"parse_{type(error).__name__.lower()}"[:60])


def read_event(event: dict[str, Any]) -> Meeting:
    """One event resource as a meeting. Raises KeyError, TypeError or ValueError for one that makes no sense."""
    cancelled = event.get("status") == "cancelled"
    original = event.get("originalStartTime")
    start, all_day = (
        moment(event["start"]) if event.get("start") else (moment(original)[0] if original else SINGLE, False)
    )
    end = moment(event["end"])[0] if event.get("end") else start
    private = event.get("visibility") in ("private", "confidential")
    organizer = event.get("organizer") or {}
    return Meeting(
        item_id=str(event["id"]),
        uid=canonical_uid(str(event.get("iCalUID") or "")),
        original_start=moment(original)[0] if original else SINGLE,
        start=start,
        end=end,
        status="cancelled" if cancelled else ("tentative" if event.get("status") == "tentative" else "confirmed"),
        all_day=all_day,
        subject="" if private else str(event.get("summary") or ""),
        description="" if private else plain(str(event.get("description") or "")),
        location="" if private else str(event.get("location") or "")[:500],
        join_url="" if private else _join_url(event),
        parties=() if private else _parties(event, organizer),
        parties_complete=_sees_everybody(event, organizer),
        private=private,
        busy=event.get("transparency") != "transparent",
        my_response=_mine(event),
        sequence=int(event.get("sequence") or 0),
        updated_at=_updated(event.get("updated")),
        series=str(event.get("recurringEventId") or ""),
        sparse=cancelled and not event.get("start"),
    )


def moment(value: dict[str, Any]) -> tuple[datetime, bool]:
    """(instant, all day). A date stays a date: midnight UTC stands for it."""
    if value.get("date"):
        return datetime.combine(date.fromisoformat(value["date"]), time(), UTC), True
    found = datetime.fromisoformat(str(value["dateTime"]).replace("Z", "+00:00"))
    if found.tzinfo is None:
        try:
            found = found.replace(tzinfo=ZoneInfo(value.get("timeZone") or "UTC"))
        except (ZoneInfoNotFoundError, ValueError):
            found = found.replace(tzinfo=UTC)
    return found.astimezone(UTC), False


def _parties(event: dict[str, Any], organizer: dict[str, Any]) -> tuple[Party, ...]:
    found: list[Party] = []
    address = _person(organizer)
    if address:
        found.append(Party("organizer", address, str(organizer.get("displayName") or "")))
    for attendee in (event.get("attendees") or [])[:500]:
        address = _person(attendee)
        if address:
            answer = ANSWERS.get(str(attendee.get("responseStatus")), "none")
            name = str(attendee.get("displayName") or "")
            found.append(Party("attendee", address, name, answer, bool(attendee.get("resource"))))
    return tuple(found)


def _sees_everybody(event: dict[str, Any], organizer: dict[str, Any]) -> bool:
    """Whether the list of attendees is whole: not cut, and not hidden from all but the organizer."""
    hidden = event.get("guestsCanSeeOtherGuests") is False and not organizer.get("self")
    return not event.get("attendeesOmitted") and not hidden


def _person(row: dict[str, Any]) -> str:
    """A person's address; secondary calendars and rooms are none."""
    address = valid(str(row.get("email") or ""))
    domain = address.rpartition("@")[2]
    return "" if domain.endswith("calendar.google.com") else address


def _mine(event: dict[str, Any]) -> Response:
    for attendee in event.get("attendees") or []:
        if attendee.get("self"):
            return ANSWERS.get(str(attendee.get("responseStatus")), "none")
    return "accepted" if (event.get("organizer") or {}).get("self") else "none"


def _join_url(event: dict[str, Any]) -> str:
    for entry in (event.get("conferenceData") or {}).get("entryPoints") or []:
        if entry.get("entryPointType") == "video" and str(entry.get("uri", "")).startswith("https://"):
            return str(entry["uri"])
    return str(event.get("hangoutLink") or "")


def _updated(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None


def _state(cursor: str) -> dict[str, Any]:
    if not cursor:
        return {}
    try:
        state = json.loads(cursor)
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise CursorExpired(
            "cursor_unreadable", "The stored position in this calendar is unusable; it is listed again."
        )
    return state


def _listed(answer: dict[str, Any]) -> dict[str, Any]:
    """A page of events; one that neither lists nor says how to go on is no answer."""
    if "items" in answer or "nextPageToken" in answer or "nextSyncToken" in answer:
        return answer
    raise TryLater("not_json", "Google's answer was not what it should be; we try again.")


def _of_listing(error: ConnectorError, *, resumed: bool) -> ConnectorError:
    """What an error means when it answers a listing. ``resumed``: a token was sent, so the token may be what is refused."""
    if isinstance(error, NotFound) and error.code != "deleted":
        return Gone(
            "calendar_gone",
            "This calendar is no longer shared with you, or was deleted. Its meetings stay; its owner can share it again.",
        )
    refused = isinstance(error, TryLater) and error.code == "bad_request"
    if resumed and (refused or isinstance(error, CursorExpired | NotFound)):
        return CursorExpired("sync_token_expired", "Google asks for a fresh start of this calendar.")
    if isinstance(error, CursorExpired | NotFound):
        return TryLater("server_error", "Google does not list this calendar at the moment; we try again.", after=60.0)
    return error


def _sparse(master: str, suffix: str) -> Meeting:
    """An occurrence that is no more; ids are all that is known."""
    item_id = master + suffix if suffix.startswith("_") else suffix
    return Meeting(item_id, "", SINGLE, SINGLE, SINGLE, "cancelled", series=master, sparse=True)


def _suffix(master: str, item_id: str) -> str:
    """What an occurrence's id adds to its series' (the whole id where it does not begin with it)."""
    return item_id.removeprefix(master)


def _without_ended(items: list[Item], events: list[dict[str, Any]]) -> list[Item]:
    """An occurrence that was moved out of the window is listed itself, so it has not ended."""
    alive = {event["id"] for event in events if event.get("status") != "cancelled"}
    return [one for one in items if not (isinstance(one, Meeting) and one.sparse and one.item_id in alive)]


def _passed(item: Item, moment: float) -> bool:
    return isinstance(item, Meeting) and item.start.timestamp() < moment
