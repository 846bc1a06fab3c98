"""The clock, and the zones of the world: what an action asks when something depends on the time."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, tzinfo

from model_gitops.errors import InputError


def now() -> datetime:
    """Return the moment, in UTC."""
    return datetime.now(UTC)


def zone(name: str, source: str) -> tzinfo:
    """Return the zone `name` of the tz database. Raises InputError, naming `source`, and a near name."""
    import zoneinfo  # it reads the system's database, else the package tzdata

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = sorted(zoneinfo.available_timezones())
        near = [one for one in known if one.rpartition("/")[2].lower() == name.lower()]
        near += difflib.get_close_matches(name, known, n=1)
        raise InputError.of(
            source, name, "there is no such zone", fix=f"{near[0] if near else 'Europe/Berlin'}"
        ) from error
