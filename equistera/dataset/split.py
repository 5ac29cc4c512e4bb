"""Deciding which picture goes to training, validation and test.

Three steps, each a pure function: :func:`picture_groups` says which pictures belong together (a horse, a video, a
day), :func:`merge_groups` joins groups that share near-duplicate pictures, :func:`assign` draws whole groups. A picture
that an earlier draw has placed stays where it is. All of them know a picture by its file name in the annotation file;
``split_dataset`` reads and writes the files.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from equistera.dataset.phash import DISTANCE
from equistera.errors import UserError
from equistera.words import counted

#: Names of the splits, in the order of the fractions.
SPLITS = ("train", "val", "test")
#: Name of the annotation file, and of the picture folder, of a data set that is not split.
UNSPLIT = "all"

GROUP_BY_HELP = (
    "which pictures belong together and must not be torn apart: 'folder', 'none', or a regular expression searched in "
    "the file name, whose first (...) or whole match names the group, such as '^(horse\\d+)_'"
)

#: Draws tried for a balanced split; with single pictures the first one is balanced already.
_DRAWS = 200


@dataclass(frozen=True)
class SplitSpec:
    """What the user asked for; checked when it is made.

    Attributes:
        fractions: Two (train, val) or three (train, val, test) shares of the pictures; they add up to 1.
        seed: Another seed gives another draw.
        group_by: See :func:`picture_groups`.
        duplicate_distance: Bits in which the perceptual hashes of near-duplicates may differ.

    Raises:
        UserError: Not two or three positive fractions that add up to 1, no valid regular expression, or a distance
            outside 0-64.
    """

    fractions: tuple[float, ...] = (0.7, 0.15, 0.15)
    seed: int = 0
    group_by: str = "none"
    duplicate_distance: int = DISTANCE

    def __post_init__(self) -> None:
        shown = " ".join(f"{fraction:g}" for fraction in self.fractions)
        if len(self.fractions) not in (2, 3) or not all(0 < fraction < 1 for fraction in self.fractions):
            raise UserError(
                f"--split needs two or three numbers between 0 and 1 (train, val, test), found: {shown}",
                hint="For example: --split 0.7 0.15 0.15, or --split 0.8 0.2 for no test split.",
            )
        # three thirds may be written 0.33 0.33 0.33
        if abs(sum(self.fractions) - 1) > 0.011:
            raise UserError(f"--split must add up to 1, found {shown}, which is {sum(self.fractions):g}")
        if not 0 <= self.duplicate_distance <= 64:
            raise UserError(f"the distance of near-duplicates is 0 to 64 bits, found {self.duplicate_distance}")
        _pattern(self.group_by)

    @property
    def names(self) -> tuple[str, ...]:
        return SPLITS[: len(self.fractions)]


def _pattern(group_by: str) -> re.Pattern:
    try:
        return re.compile(group_by)
    except re.error as error:
        raise UserError(
            f"--group-by {group_by!r} is not a regular expression: {error}", hint="Or one of: folder, none."
        ) from error


def picture_groups(names: Iterable[str], group_by: str) -> dict[str, str]:
    """Names the group of every picture.

    Args:
        names: File names.
        group_by: ``none``: every picture by itself; ``folder``: by the folder that holds it; else a regular expression
            that is searched in the file name: its first group, or the whole match where it has none.

    Returns:
        The group's name, by file name.

    Raises:
        UserError: The expression is not valid or does not match every picture (all are listed).
    """
    posix = {name: name.replace("\\", "/") for name in names}
    if group_by == "none":
        return {name: name for name in posix}
    if group_by == "folder":
        return {name: str(PurePosixPath(path).parent) for name, path in posix.items()}
    pattern = _pattern(group_by)
    found = {name: pattern.search(path) for name, path in posix.items()}
    groups = {name: match[1 if pattern.groups else 0] for name, match in found.items() if match}
    if unmatched := sorted(name for name in posix if not groups.get(name)):
        raise UserError(
            f"--group-by {group_by!r} finds no group in {len(unmatched)} of {len(posix)} file names:",
            unmatched,
            "Widen the expression so that it names a group for every picture; --group-by none keeps none together.",
        )
    return groups


def merge_groups(groups: Mapping[str, str], together: Iterable[Sequence[str]]) -> dict[str, str]:
    """Joins groups that have near-duplicate pictures in common.

    Args:
        groups: From :func:`picture_groups`.
        together: Pictures that must not be torn apart.

    Returns:
        The groups, joined ones under the name that comes first.
    """
    parent = {group: group for group in groups.values()}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for pictures in together:
        first, *others = sorted({root(groups[name]) for name in pictures})
        parent.update(dict.fromkeys(others, first))
    return {name: root(group) for name, group in groups.items()}


def assign(
    groups: Mapping[str, str], fractions: Sequence[float], seed: int, kept: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Draws the split of every picture, whole groups at a time.

    The result depends on the file names, the groups and the seed, not on the order of the pictures. Of many draws the
    one is taken whose picture counts come closest to the fractions.

    Args:
        groups: Group of each picture.
        fractions: Shares of train, val and, if there are three, test.
        seed: Another seed, another draw.
        kept: Split of each picture that was placed before: it stays there, and so do new pictures of its group.

    Returns:
        ``train``, ``val`` or ``test``, by file name, in the order of ``groups``.

    Raises:
        UserError: Too few groups to give each split one, or ``kept`` has a split that is not wanted now.
    """
    splits, kept = SPLITS[: len(fractions)], kept or {}
    if others := sorted(set(kept.values()) - set(splits)):
        raise UserError(
            f"the existing split has {', '.join(others)}, but {', '.join(splits)} are asked for",
            hint="Give a fraction for each split it has, or draw anew with --redraw.",
        )
    members: dict[str, list[str]] = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)

    assignment = _kept_in_place(members, kept, splits)
    # a group goes by the first of its file names, so that renaming groups changes no draw
    free = sorted((min(names), group) for group, names in members.items() if names[0] not in assignment)
    sizes = {group: len(members[group]) for _, group in free}
    counts = Counter(assignment.values())
    targets = {name: len(groups) * part / sum(fractions) for name, part in zip(splits, fractions, strict=True)}
    if len(free) < sum(not counts[name] for name in splits):
        raise UserError(
            f"{counted(len(groups), 'pictures')} in {counted(len(members), 'groups')} cannot fill "
            f"{counted(len(splits), 'splits')}: a group is never torn apart",
            hint="Group more finely (--group-by), ask for fewer splits, or add pictures of other horses or days.",
        )

    generator = random.Random(f"equistera {seed}")
    best: dict[str, str] = {}
    best_miss = float("inf")
    for _ in range(_DRAWS if free else 0):
        order = [group for _, (_, group) in sorted((generator.random(), entry) for entry in free)]
        drawn = _fill(order, sizes, counts, targets)
        reached = counts + Counter(dict.fromkeys(splits, 0))
        for group, name in drawn.items():
            reached[name] += sizes[group]
        miss = max(abs(reached[name] - targets[name]) for name in splits)
        if miss < best_miss:
            best, best_miss = drawn, miss
        if best_miss < 1:
            break
    for group, name in best.items():
        assignment.update(dict.fromkeys(members[group], name))
    return {name: assignment[name] for name in groups}


def _kept_in_place(members: Mapping[str, list[str]], kept: Mapping[str, str], splits: Sequence[str]) -> dict[str, str]:
    """Earlier placed pictures and the new ones of their groups; a group torn before goes on in its larger part."""
    assignment = {}
    for names in members.values():
        if counts := Counter(kept[name] for name in names if name in kept):
            home = max(splits, key=counts.__getitem__)
            assignment.update({name: kept.get(name, home) for name in names})
    return assignment


def _fill(
    order: Sequence[str], sizes: Mapping[str, int], counts: Mapping[str, int], targets: Mapping[str, float]
) -> dict[str, str]:
    """Gives each group in turn to the split that lacks most pictures; then every empty split the smallest spare one."""
    lacking = {name: target - counts.get(name, 0) for name, target in targets.items()}
    drawn = {}
    for group in order:
        name = max(lacking, key=lacking.__getitem__)
        drawn[group] = name
        lacking[name] -= sizes[group]
    for name in targets:
        if counts.get(name, 0) or name in drawn.values():
            continue
        holding = Counter(drawn.values())
        spare = [group for group in order if holding[drawn[group]] > 1 or counts.get(drawn[group], 0)]
        drawn[min(spare, key=sizes.__getitem__)] = name
    return drawn


def parts_of(coco: Mapping, assignment: Mapping[str, str]) -> dict[str, dict]:
    """The COCO content of each split; everything but ``images`` and ``annotations`` is the same in all of them."""
    home = {image["id"]: assignment[image["file_name"]] for image in coco["images"]}
    used = set(home.values())
    return {
        name: {
            **coco,
            "images": [image for image in coco["images"] if home[image["id"]] == name],
            "annotations": [a for a in coco["annotations"] if home[a["image_id"]] == name],
        }
        for name in SPLITS
        if name in used
    }
