"""One Graph event as a meeting (provider-contract 5): times in any zone, whole days as dates, private ones as busy time only.

Occurrences come as stubs that say when and of which series; the rest is the series'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from connectors.addresses import valid
from connectors.html_text import plain
from connectors.items import Meeting, Party, Response
from connectors.meeting_identity import SINGLE, canonical_uid
from connectors.microsoft.zones import instant, wall_clock, zone_of

ANSWERS: dict[str, Response] = {
    "organizer": "accepted",
    "accepted": "accepted",
    "tentativelyaccepted": "tentative",
    "declined": "declined",
}
FREE = {"free", "oof", "workingelsewhere"}
MOST_PARTIES = 500
_CALLED_OFF = re.compile(r"^(cancell?ed|abgesagt|annulé|geannuleerd|cancelado|cancelada|已取消)\s*[:：]\s*", re.I)
_NOON = timedelta(hours=12)


def is_stub(event: Mapping[str, Any]) -> bool:
    """Whether it says no more than when an occurrence is."""
    return event.get("type") == "occurrence" and "subject" not in event and "organizer" not in event


def is_meeting(event: Mapping[str, Any]) -> bool:
    """Whether it takes place: neither a series' master, which stands at its first occurrence, nor an invitation unsent."""
    return event.get("type") != "seriesMaster" and not event.get("isDraft")


def with_master(stub: Mapping[str, Any], master: Mapping[str, Any]) -> dict[str, Any]:
    """A stub with what its series says."""
    own = {name: value for name, value in stub.items() if value is not None}
    return {**master, "recurrence": None, "originalStart": None, **own}


def read_event(event: Mapping[str, Any]) -> Meeting:
    """One whole event. Raises KeyError, TypeError, ValueError or AttributeError for one that makes no sense."""
    private = _word(event.get("sensitivity")) not in ("", "normal")
    cancelled, all_day = bool(event.get("isCancelled")), bool(event.get("isAllDay"))
    zone = str(event.get("originalStartTimeZone") or "")
    start = _day(event["start"], zone) if all_day else instant(event["start"])
    parties, complete = _parties(event)
    return Meeting(
        item_id=str(event["id"]),
        uid=canonical_uid(str(event.get("iCalUId") or "")),
        original_start=_original(event, start, zone),
        start=start,
        end=_day(event["end"], zone) if all_day else instant(event["end"]),
        status="cancelled" if cancelled else "confirmed",
        all_day=all_day,
        subject="" if private else _subject(event, cancelled),
        description="" if private else plain(str((event.get("body") or {}).get("content") or "")),
        location="" if private else str((event.get("location") or {}).get("displayName") or "")[:500],
        join_url="" if private else _join_url(event),
        parties=() if private else parties,
        parties_complete=complete,
        private=private,
        busy=_word(event.get("showAs")) not in FREE,
        my_response=_answer(event.get("responseStatus")),
        updated_at=_moment(event.get("lastModifiedDateTime")),
        series=str(event.get("seriesMasterId") or ""),
    )


def starts_at(event: Mapping[str, Any]) -> datetime:
    """When an event or a stub begins, as far as windows are concerned."""
    return instant(event["start"])


def _day(value: dict[str, str], zone: str) -> datetime:
    """Midnight UTC standing for the date. Whole days are told as midnight of the zone that was asked for, or, shifted, as
    midnight of their own zone (provider-contract 5): what is no midnight is looked at from there."""
    written = wall_clock(value)
    if written.time() != time():
        written = instant(value).astimezone(zone_of(zone) or UTC) + _NOON
    return datetime.combine(written.date(), time(), UTC)


def _original(event: Mapping[str, Any], start: datetime, zone: str) -> datetime:
    """When an occurrence would have been; a plain one is there still."""
    if not event.get("seriesMasterId"):
        return SINGLE
    found = _moment(event.get("originalStart"))
    if found is None:
        return start
    if event.get("isAllDay") and found.time() != time():
        local = found.astimezone(zone_of(zone) or UTC)
        return datetime.combine(local.date(), time(), UTC) if local.time() == time() else found
    return found


def _parties(event: Mapping[str, Any]) -> tuple[tuple[Party, ...], bool]:
    """(who is invited, whether that is everybody): not when the list is hidden from guests, cut, or names one by no address."""
    rows = [row for row in event.get("attendees") or [] if isinstance(row, dict)]
    whole = len(rows) <= MOST_PARTIES and not (event.get("hideAttendees") and not event.get("isOrganizer"))
    found: list[Party] = []
    host = _person(event.get("organizer"))
    if host[0]:
        found.append(Party("organizer", *host))
    for row in rows[:MOST_PARTIES]:
        address, name = _person(row)
        if not address:
            whole = False
            continue
        resource = _word(row.get("type")) == "resource"
        found.append(Party("attendee", address, name, _answer(row.get("status")), resource))
    return tuple(found), whole


def _person(row: Any) -> tuple[str, str]:
    """(address, name); Exchange may know somebody by a directory path only, which is no address."""
    told = (row or {}).get("emailAddress") or {}
    address, name = valid(str(told.get("address") or "")), str(told.get("name") or "")
    return address, "" if name.lower() == address.lower() else name


def _subject(event: Mapping[str, Any], cancelled: bool) -> str:
    subject = str(event.get("subject") or "")
    return _CALLED_OFF.sub("", subject) if cancelled else subject


def _answer(status: Any) -> Response:
    return ANSWERS.get(_word((status or {}).get("response")), "none")


def _join_url(event: Mapping[str, Any]) -> str:
    told = str((event.get("onlineMeeting") or {}).get("joinUrl") or event.get("onlineMeetingUrl") or "")
    return told if told.startswith("https://") else ""


def _word(value: Any) -> str:
    return str(value or "").lower()


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
