"""What a conversion came to, for the terminal: read, converted, left out and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from equistera.dataset.formats.records import Skip
from equistera.dataset.horses import Selection
from equistera.errors import UserError
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Skipped items of one reason that a refusal names.
_EXAMPLES = 3


def files_read(selections: Sequence[Selection], skeleton: Skeleton) -> list[str]:
    """A line for each file: format, content, and how its points were matched."""
    lines = []
    for selection in selections:
        export, match = selection.export, selection.match
        horses = sum(len(picture.animals) for picture in export.pictures)
        lines.append(
            f"read       {export.path} ({export.title}): "
            f"{counted(len(export.pictures), 'pictures')}, {counted(horses, 'animals')}"
        )
        if match.public:
            count = len(match.target) + len(match.ignored)
            lines.append(
                f"           the points of {match.public}: {len(match.target)} of {count} are exactly points of "
                f"{skeleton.name}; left out: {', '.join(match.ignored)}"
            )
        elif match.ignored:
            lines.append(f"           left out as --keypoint-map says: {', '.join(match.ignored)}")
        if match.missing and match.target:
            lines.append(
                f"           not in it: {counted(len(match.missing), 'points')} of {skeleton.name}: "
                + ", ".join(match.missing)
            )
    return lines


def skipped(skips: Sequence[Skip]) -> list[str]:
    """Every skipped item, grouped by reason; long groups are cut short and counted."""
    if not skips:
        return ["skipped    nothing"]
    lines = [f"skipped    {len(skips)}:"]
    for (what, reason), members in _by_reason(skips):
        lines.append(f"  {len(members)} x {what}: {reason}")
        lines += [
            f"      {skip.where}" + (f" ({skip.detail})" if skip.detail else "") for skip in members[: UserError.SHOWN]
        ]
        if len(members) > UserError.SHOWN:
            lines.append(f"      ... and {len(members) - UserError.SHOWN} more")
    return lines


def examples(skips: Sequence[Skip]) -> list[str]:
    """Some skipped items of every reason, for a refusal: none is hidden behind many of another."""
    lines = []
    for (what, reason), members in _by_reason(skips):
        lines += map(str, members[:_EXAMPLES])
        if len(members) > _EXAMPLES:
            lines.append(f"... and {len(members) - _EXAMPLES} more x {what}: {reason}")
    return lines


def _by_reason(skips: Sequence[Skip]) -> list[tuple[tuple[str, str], list[Skip]]]:
    """Skipped items by what they are and why, the largest group first."""
    groups: dict[tuple[str, str], list[Skip]] = defaultdict(list)
    for skip in skips:
        groups[skip.what, skip.reason].append(skip)
    return sorted(groups.items(), key=lambda group: -len(group[1]))
