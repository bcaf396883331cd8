"""Time zones by the names that Outlook gives them: Windows' own, IANA's, or Exchange's ``tzone://`` (provider-contract 5).

Windows' names come from Unicode CLDR (windowsZones) as tzlocal keeps them.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_UTC = {"", "utc", "tzone://microsoft/utc", "etc/utc", "etc/gmt", "coordinated universal time"}


def zone_of(name: str) -> tzinfo | None:
    """The zone behind a name; None for one that nobody knows (``Customized Time Zone``, ``tzone://Microsoft/Custom``)."""
    if name.strip().lower() in _UTC:
        return UTC
    from tzlocal.windows_tz import win_tz

    try:
        return ZoneInfo(win_tz.get(name.strip(), name.strip()))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def wall_clock(value: dict[str, str]) -> datetime:
    """A dateTimeTimeZone as it is written: without an offset, unless it has one. Raises KeyError, ValueError."""
    return datetime.fromisoformat(str(value["dateTime"]).replace("Z", "+00:00"))


def instant(value: dict[str, str]) -> datetime:
    """The moment that a dateTimeTimeZone means, in UTC. Raises KeyError, and ValueError for a zone that nobody knows: a wrong
    hour is worse than none."""
    found = wall_clock(value)
    if found.tzinfo is None:
        zone = zone_of(str(value.get("timeZone") or ""))
        if zone is None:
            raise ValueError("unknown time zone")
        found = found.replace(tzinfo=zone)
    return found.astimezone(UTC)
