"""The time zones that Dataverse numbers, by their names elsewhere.

Invariant: a code that is not known here is UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

#: ``timezonecode`` of Windows zones to a place in each of them.
_PLACES: Final[Mapping[int, str]] = {
    1: "Pacific/Pago_Pago",
    2: "Pacific/Honolulu",
    3: "America/Anchorage",
    4: "America/Los_Angeles",
    10: "America/Denver",
    15: "America/Phoenix",
    20: "America/Chicago",
    25: "America/Regina",
    30: "America/Mexico_City",
    33: "America/Guatemala",
    35: "America/New_York",
    40: "America/Indiana/Indianapolis",
    45: "America/Bogota",
    50: "America/Halifax",
    55: "America/La_Paz",
    56: "America/Santiago",
    60: "America/St_Johns",
    65: "America/Sao_Paulo",
    70: "America/Cayenne",
    73: "America/Nuuk",
    75: "Atlantic/South_Georgia",
    80: "Atlantic/Azores",
    83: "Atlantic/Cape_Verde",
    85: "Europe/London",
    90: "Atlantic/Reykjavik",
    95: "Europe/Budapest",
    100: "Europe/Warsaw",
    105: "Europe/Paris",
    110: "Europe/Berlin",
    113: "Africa/Lagos",
    115: "Europe/Chisinau",
    120: "Africa/Cairo",
    125: "Europe/Kyiv",
    130: "Europe/Bucharest",
    135: "Asia/Jerusalem",
    140: "Africa/Johannesburg",
    145: "Europe/Moscow",
    150: "Asia/Riyadh",
    155: "Africa/Nairobi",
    158: "Asia/Baghdad",
    160: "Asia/Tehran",
    165: "Asia/Dubai",
    170: "Asia/Yerevan",
    175: "Asia/Kabul",
    180: "Asia/Yekaterinburg",
    185: "Asia/Tashkent",
    190: "Asia/Kolkata",
    193: "Asia/Kathmandu",
    195: "Asia/Almaty",
    200: "Asia/Colombo",
    201: "Asia/Novosibirsk",
    203: "Asia/Yangon",
    205: "Asia/Bangkok",
    207: "Asia/Krasnoyarsk",
    210: "Asia/Shanghai",
    215: "Asia/Singapore",
    220: "Asia/Taipei",
    225: "Australia/Perth",
    227: "Asia/Irkutsk",
    230: "Asia/Seoul",
    235: "Asia/Tokyo",
    240: "Asia/Yakutsk",
    245: "Australia/Darwin",
    250: "Australia/Adelaide",
    255: "Australia/Sydney",
    260: "Australia/Brisbane",
    265: "Australia/Hobart",
    270: "Asia/Vladivostok",
    275: "Pacific/Port_Moresby",
    280: "Pacific/Guadalcanal",
    285: "Pacific/Fiji",
    290: "Pacific/Auckland",
    300: "Pacific/Tongatapu",
}


def zone_of(code: int) -> tzinfo:
    """Return the time zone with a ``timezonecode``."""
    place = _PLACES.get(code)
    return UTC if place is None else ZoneInfo(place)
