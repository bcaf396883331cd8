"""Recurrence against python-dateutil, on generated rules; wall-clock time when the clocks change."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from sandbox.series import instance_of, moment, starts

FREQUENCIES = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY, "YEARLY": YEARLY}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
ZONES = ("UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


def generated(chance: random.Random) -> tuple[dict, list[datetime]]:
    """A master as the API would hold it, and its beginnings as dateutil counts them in wall-clock time."""
    zone = chance.choice(ZONES)
    first = datetime(2026, chance.randint(1, 12), chance.randint(1, 28), chance.randint(5, 22), 30)
    name = chance.choice(list(FREQUENCIES))
    given: dict = {"interval": chance.randint(1, 3)}
    text = [f"FREQ={name}", f"INTERVAL={given['interval']}"]
    if name == "WEEKLY":
        days = sorted(chance.sample(range(7), chance.randint(1, 3)))
        given["byweekday"] = [weekday(day) for day in days]
        text.append("BYDAY=" + ",".join(DAYS[day] for day in days))
    elif name == "MONTHLY" and chance.random() < 0.5:
        nth, day = chance.choice((1, 2, 3, -1)), chance.randrange(7)
        given["byweekday"] = [weekday(day, nth)]
        text.append(f"BYDAY={nth}{DAYS[day]}")
    if chance.random() < 0.5:
        given["count"] = chance.randint(1, 15)
        text.append(f"COUNT={given['count']}")
    else:
        until = first + timedelta(days=chance.randint(10, 300))
        given["until"] = until
        text.append(f"UNTIL={until.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC):%Y%m%dT%H%M%SZ}")
    local = list(rrule(FREQUENCIES[name], dtstart=first, **given))
    dropped = [at for at in local if chance.random() < 0.1]
    lines = [f"RRULE:{';'.join(text)}"]
    lines += [f"EXDATE;TZID={zone}:{at:%Y%m%dT%H%M%S}" for at in dropped]
    begin = first.replace(tzinfo=ZoneInfo(zone))
    master = {
        "id": "m",
        "start": moment(begin, zone),
        "end": moment(begin + timedelta(hours=1), zone),
        "recurrence": lines,
    }
    return master, [at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for at in local if at not in dropped]


@pytest.mark.parametrize("seed", range(150))
def test_a_series_begins_when_dateutil_says_so(seed: int) -> None:
    chance = random.Random(seed)
    master, wanted = generated(chance)
    assert starts(master, datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)) == wanted
    low = datetime(2026, 6, 1, tzinfo=UTC)
    high = low + timedelta(days=chance.randint(1, 200))
    assert starts(master, low, high) == [at for at in wanted if low <= at < high]


def test_ten_in_the_morning_stays_ten_in_the_morning_when_the_clocks_change() -> None:
    zone = ZoneInfo("Europe/Amsterdam")
    begin = datetime(2026, 10, 19, 10, tzinfo=zone)
    master = {"id": "m", "start": moment(begin, zone.key), "end": moment(begin + timedelta(hours=1), zone.key)}
    master["recurrence"] = ["RRULE:FREQ=WEEKLY;COUNT=2"]
    found = starts(master, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert [at.hour for at in found] == [8, 9]
    assert instance_of(master, found[1])["start"]["dateTime"] == "2026-10-26T10:00:00+01:00"
    assert instance_of(master, found[1])["id"] == "m_20261026T090000Z"


def test_an_all_day_series_has_dates_extra_ones_and_left_out_ones() -> None:
    master = {"id": "m", "start": moment(date(2026, 11, 2)), "end": moment(date(2026, 11, 3))}
    master["recurrence"] = [
        "RRULE:FREQ=DAILY;UNTIL=20261105",
        "EXDATE;VALUE=DATE:20261103",
        "RDATE;VALUE=DATE:20261110",
    ]
    found = starts(master, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert [at.day for at in found] == [2, 4, 5, 10]
    shown = instance_of(master, found[1])
    assert (shown["start"], shown["id"]) == ({"date": "2026-11-04"}, "m_20261104")
    assert shown["originalStartTime"] == {"date": "2026-11-04"}
