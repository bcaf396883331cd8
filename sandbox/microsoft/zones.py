"""Time zones by the names Windows gives them, as Outlook writes them (Unicode CLDR, windowsZones)."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WINDOWS = {
    "UTC": "UTC",
    "Europe/London": "GMT Standard Time",
    "Europe/Dublin": "GMT Standard Time",
    "Europe/Lisbon": "GMT Standard Time",
    "Europe/Amsterdam": "W. Europe Standard Time",
    "Europe/Berlin": "W. Europe Standard Time",
    "Europe/Rome": "W. Europe Standard Time",
    "Europe/Vienna": "W. Europe Standard Time",
    "Europe/Zurich": "W. Europe Standard Time",
    "Europe/Stockholm": "W. Europe Standard Time",
    "Europe/Paris": "Romance Standard Time",
    "Europe/Brussels": "Romance Standard Time",
    "Europe/Madrid": "Romance Standard Time",
    "Europe/Copenhagen": "Romance Standard Time",
    "Europe/Warsaw": "Central European Standard Time",
    "Europe/Prague": "Central Europe Standard Time",
    "Europe/Budapest": "Central Europe Standard Time",
    "Europe/Athens": "GTB Standard Time",
    "Europe/Helsinki": "FLE Standard Time",
    "Europe/Istanbul": "Turkey Standard Time",
    "Europe/Moscow": "Russian Standard Time",
    "America/New_York": "Eastern Standard Time",
    "America/Toronto": "Eastern Standard Time",
    "America/Chicago": "Central Standard Time",
    "America/Denver": "Mountain Standard Time",
    "America/Phoenix": "US Mountain Standard Time",
    "America/Los_Angeles": "Pacific Standard Time",
    "America/Sao_Paulo": "E. South America Standard Time",
    "Asia/Dubai": "Arabian Standard Time",
    "Asia/Kolkata": "India Standard Time",
    "Asia/Kathmandu": "Nepal Standard Time",
    "Asia/Singapore": "Singapore Standard Time",
    "Asia/Shanghai": "China Standard Time",
    "Asia/Tokyo": "Tokyo Standard Time",
    "Australia/Sydney": "AUS Eastern Standard Time",
    "Pacific/Auckland": "New Zealand Standard Time",
}
_IANA = {windows: iana for iana, windows in reversed(_WINDOWS.items())}


def windows_name(iana: str) -> str:
    """Outlook's name of a zone; a zone without one keeps its own."""
    return _WINDOWS.get(iana, iana)


def zone_of(name: str) -> tzinfo | None:
    """The zone behind a Windows or an IANA name, None for an unknown one."""
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(_IANA.get(name, name))
    except (ZoneInfoNotFoundError, ValueError):
        return None


def written(at: datetime, zone: tzinfo, name: str) -> dict[str, str]:
    """Graph's dateTimeTimeZone: wall-clock time without offset, seven decimals."""
    return {"dateTime": at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S.0000000"), "timeZone": name}
