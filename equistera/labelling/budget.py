"""How many pictures a number of hours is enough for."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

from equistera.errors import UserError
from equistera.files import read_json

#: Minutes that a person takes for 26 points where nothing is measured: three to five.
USUAL_MINUTES = 4.0
#: Seconds from which an annotation was left open, not worked on.
_LEFT_OPEN = 3600.0


def minutes_a_picture(export: str | Path) -> tuple[float, int]:
    """How long labelling took, from the ``lead_time`` of Label Studio's JSON export.

    Returns:
        The median of minutes for a task, and of how many tasks it is. Annotations that were skipped, and those that
        were open for more than an hour, do not count.

    Raises:
        UserError: It is no such export, or holds no time.
    """
    content = read_json(export)
    tasks = content if isinstance(content, list) else [content]
    minutes = []
    for task in tasks:
        found = task.get("annotations") if isinstance(task, dict) else None
        # JSON-MIN has it in the task itself
        versions = found if isinstance(found, list) else [task]
        for version in versions:
            seconds = version.get("lead_time") if isinstance(version, dict) else None
            if type(seconds) in (int, float) and 0 < seconds <= _LEFT_OPEN and not version.get("was_cancelled"):
                minutes.append(seconds / 60)
    if not minutes:
        raise UserError(
            f"{export} tells no labelling times (lead_time)",
            hint="Expected Label Studio's JSON export, or give --minutes-per-picture",
        )
    return statistics.median(minutes), len(minutes)


def pictures_in(hours: float, minutes: float) -> int:
    """How many pictures can be labelled.

    Raises:
        UserError: Not one, or a number is none.
    """
    for option, value in (("--budget-hours", hours), ("--minutes-per-picture", minutes)):
        if not 0 < value < math.inf:
            raise UserError(f"{option} must be above 0, found {value:g}")
    count = int(hours * 60 / minutes + 1e-9)
    if count < 1:
        raise UserError(f"{hours:g} h are less than the {minutes:.2g} minutes of one picture")
    return count
