"""Times of the Calendar API, and a series as its occurrences (RFC 5545: RRULE, EXDATE, RDATE, in the series' own time zone)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rruleset, rrulestr

Event = dict[str, Any]
_DAY = timedelta(days=1)


def moment(at: datetime | date, zone: str = "UTC") -> dict[str, str]:
    """A time as the API writes it; a date (not a datetime) makes an all-day event."""
    if not isinstance(at, datetime):
        return {"date": at.isoformat()}
    if zone == "UTC":
        return {"dateTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "timeZone": zone}
    return {"dateTime": at.astimezone(ZoneInfo(zone)).replace(microsecond=0).isoformat(), "timeZone": zone}


def read_moment(value: dict[str, str]) -> tuple[datetime, bool]:
    """(instant, all day); a date is read as midnight UTC."""
    if "date" in value:
        return datetime.fromisoformat(value["date"]).replace(tzinfo=UTC), True
    return datetime.fromisoformat(value["dateTime"].replace("Z", "+00:00")).astimezone(UTC), False


def original_of(event: Event) -> datetime:
    return read_moment(event["originalStartTime"])[0]


def starts(master: Event, low: datetime, high: datetime) -> list[datetime]:
    """The beginnings of a series within [low, high), in UTC, exceptions not looked at. Wall-clock time stays the same when
    the clocks change."""
    first, all_day = read_moment(master["start"])
    zone: tzinfo = UTC if all_day else ZoneInfo(master["start"].get("timeZone", "UTC"))
    rules = _rules(master.get("recurrence", ()), first.astimezone(zone).replace(tzinfo=None), zone)
    near = rules.between(_local(low, zone) - _DAY, _local(high, zone) + _DAY, inc=True)
    found = [at.replace(tzinfo=zone).astimezone(UTC) for at in near]
    return [at for at in found if low <= at < high]


def instance_of(master: Event, at: datetime) -> Event:
    """The occurrence of a series that begins at a moment."""
    start, all_day = read_moment(master["start"])
    length = read_moment(master["end"])[0] - start
    shown = {name: value for name, value in master.items() if name != "recurrence"}
    zone = master["start"].get("timeZone", "UTC")
    begin = moment(at.date() if all_day else at, zone)
    end = moment((at + length).date() if all_day else at + length, zone)
    mark = at.strftime("%Y%m%d" if all_day else "%Y%m%dT%H%M%SZ")
    ids = {"id": f"{master['id']}_{mark}", "recurringEventId": master["id"], "originalStartTime": begin}
    return shown | ids | {"start": begin, "end": end}


def read_mark(mark: str) -> datetime | None:
    """The end of an instance id, `YYYYMMDD` or `YYYYMMDDTHHMMSSZ`; None when it is none."""
    try:
        return datetime.strptime(mark, "%Y%m%dT%H%M%SZ" if "T" in mark else "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def ended_before(master: Event, at: datetime) -> list[str]:
    """The recurrence of a series that is cut off before a moment ("this and following")."""
    last = (at - timedelta(seconds=1)).astimezone(UTC)
    until = last.strftime("%Y%m%d" if "date" in master["start"] else "%Y%m%dT%H%M%SZ")
    return [
        _without_end(line) + f";UNTIL={until}" if line.startswith("RRULE") else line for line in master["recurrence"]
    ]


def _without_end(line: str) -> str:
    head, _, parts = line.partition(":")
    return head + ":" + ";".join(one for one in parts.split(";") if not one.startswith(("UNTIL", "COUNT")))


def _rules(lines: Any, first: datetime, zone: tzinfo) -> rruleset:
    rules = rruleset()
    for line in lines:
        name, _, value = line.partition(":")
        kind = name.partition(";")[0].upper()
        if kind == "RRULE":
            found = rrulestr(_local_until(value, zone), dtstart=first)
            if isinstance(found, rrule):
                rules.rrule(found)
        elif kind in ("EXDATE", "RDATE"):
            for text in value.split(","):
                at = _naive(text, name, first, zone)
                (rules.exdate if kind == "EXDATE" else rules.rdate)(at)
    if not any(line.startswith("RRULE") for line in lines):
        rules.rdate(first)
    return rules


def _local_until(value: str, zone: tzinfo) -> str:
    """UNTIL stands in UTC (or is a date); the rule is counted in wall-clock time."""
    parts = []
    for part in value.split(";"):
        name, _, text = part.partition("=")
        if name.upper() == "UNTIL":
            if "T" not in text:
                text = f"{text}T235959"
            elif text.endswith("Z"):
                at = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
                text = at.astimezone(zone).strftime("%Y%m%dT%H%M%S")
            part = f"UNTIL={text}"
        parts.append(part)
    return ";".join(parts)


def _naive(text: str, name: str, first: datetime, zone: tzinfo) -> datetime:
    text = text.strip()
    if "T" not in text:
        return datetime.combine(date.fromisoformat(text), first.time())
    at = datetime.fromisoformat(text.removesuffix("Z"))
    given = next((part[5:] for part in name.split(";") if part.upper().startswith("TZID=")), "")
    if text.endswith("Z") or given:
        return at.replace(tzinfo=ZoneInfo(given) if given else UTC).astimezone(zone).replace(tzinfo=None)
    return at


def _local(at: datetime, zone: tzinfo) -> datetime:
    try:
        return at.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        return at.replace(tzinfo=None)
