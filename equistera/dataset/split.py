"""Deciding which picture goes to training, validation and test.

Three steps, each a pure function: :func:`picture_groups` says which pictures belong together (a horse, a video, a
day), :func:`merge_groups` joins groups that share near-duplicate pictures, :func:`assign` draws whole groups. A picture
that an earlier draw has placed stays where it is. ``split_files`` reads and writes the files.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from equistera.dataset.phash import DISTANCE
from equistera.errors import UserError
from equistera.words import counted

#: Names of the splits, in the order of the fractions.
SPLITS = ("train", "val", "test")

GROUP_BY_HELP = (
    "which pictures belong together and must not be torn apart: 'folder', 'none', or a regular expression searched in "
    "the file name, whose first (...) or whole match names the group, such as '^(horse\\d+)_'"
)

#: Draws tried for a balanced split; with single pictures the first one is balanced already.
_DRAWS = 200

ImageId: TypeAlias = Any


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


def picture_groups(names: Mapping[ImageId, str], group_by: str) -> dict[ImageId, str]:
    """Names the group of every picture.

    Args:
        names: File name of each picture, by image id.
        group_by: ``none``: every picture by itself; ``folder``: by the folder that holds it; else a regular expression
            that is searched in the file name: its first group, or the whole match where it has none.

    Returns:
        The group's name, by image id.

    Raises:
        UserError: The expression is not valid or does not match every picture (all are listed).
    """
    if group_by == "none":
        return dict(names)
    posix = {image_id: name.replace("\\", "/") for image_id, name in names.items()}
    if group_by == "folder":
        return {image_id: str(PurePosixPath(name).parent) for image_id, name in posix.items()}
    pattern = _pattern(group_by)
    found = {image_id: pattern.search(name) for image_id, name in posix.items()}
    groups = {image_id: match[1 if pattern.groups else 0] for image_id, match in found.items() if match}
    unmatched = [names[image_id] for image_id in names if not groups.get(image_id)]
    if unmatched:
        raise UserError(
            f"--group-by {group_by!r} finds no group in {len(unmatched)} of {len(names)} file names:",
            sorted(unmatched),
            "Widen the expression so that it names a group for every picture; --group-by none keeps none together.",
        )
    return groups


def merge_groups(groups: Mapping[ImageId, str], together: Iterable[Sequence[ImageId]]) -> dict[ImageId, str]:
    """Joins groups that have near-duplicate pictures in common.

    Args:
        groups: Group of each picture.
        together: Image ids that must not be torn apart.

    Returns:
        The groups, joined ones under the name that comes first.
    """
    parent = {group: group for group in groups.values()}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for image_ids in together:
        roots = sorted({root(groups[image_id]) for image_id in image_ids})
        for other in roots[1:]:
            parent[other] = roots[0]
    return {image_id: root(group) for image_id, group in groups.items()}


def assign(
    coco: Mapping,
    groups: Mapping[ImageId, str],
    fractions: Sequence[float],
    seed: int,
    kept: Mapping[str, str] | None = None,
) -> dict[ImageId, str]:
    """Draws the split of every picture, whole groups at a time.

    The result depends on the file names, the groups and the seed, not on the order or the ids of the pictures. Of many
    draws the one is taken whose picture counts come closest to the fractions.

    Args:
        coco: COCO content; only ``images`` with ``id`` and ``file_name`` are used.
        groups: Group of each image id.
        fractions: Shares of train, val and, if there are three, test.
        seed: Seed of the draw.
        kept: Split of each picture that was placed before, by file name: it stays there, and so do new pictures of
            its group.

    Returns:
        ``train``, ``val`` or ``test``, by image id, in the order of ``images``.

    Raises:
        UserError: Too few groups to give each split one, or ``kept`` has a split that is not wanted now.
    """
    splits = SPLITS[: len(fractions)]
    if others := sorted(set((kept or {}).values()) - set(splits)):
        raise UserError(
            f"the existing split has {', '.join(others)}, but {', '.join(splits)} are asked for",
            hint="Give a fraction for each split it has, or draw anew with --redraw.",
        )
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    members: dict[str, list[ImageId]] = defaultdict(list)
    for image_id in names:
        members[groups[image_id]].append(image_id)

    assignment = _kept_in_place(names, members, kept or {}, splits)
    # a group goes by the first of its file names, so that renaming groups changes no draw
    free = sorted(
        (min(names[image_id] for image_id in ids), group) for group, ids in members.items() if ids[0] not in assignment
    )
    sizes = {group: len(members[group]) for _, group in free}
    counts = Counter(assignment.values())
    targets = {name: len(names) * part / sum(fractions) for name, part in zip(splits, fractions, strict=True)}
    if len(free) < sum(not counts[name] for name in splits):
        found = counted(len(members), "groups")
        raise UserError(
            f"{counted(len(names), 'pictures')} in {found} cannot fill {counted(len(splits), 'splits')}: a group is "
            "never torn apart",
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
    return {image_id: assignment[image_id] for image_id in names}


def _kept_in_place(
    names: Mapping[ImageId, str], members: Mapping[str, list[ImageId]], kept: Mapping[str, str], splits: Sequence[str]
) -> dict[ImageId, str]:
    """Earlier placed pictures and the new ones of their groups; a group torn before goes on in its larger part."""
    assignment = {}
    for ids in members.values():
        placed = {image_id: kept[names[image_id]] for image_id in ids if names[image_id] in kept}
        if placed:
            counts = Counter(placed.values())
            home = max(splits, key=lambda name: counts[name])
            assignment.update({image_id: placed.get(image_id, home) for image_id in ids})
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


def parts_of(coco: Mapping, assignment: Mapping[ImageId, str]) -> dict[str, dict]:
    """The COCO content of each split; everything but ``images`` and ``annotations`` is the same in all of them."""
    used = set(assignment.values())
    return {
        name: {
            **coco,
            "images": [image for image in coco["images"] if assignment[image["id"]] == name],
            "annotations": [a for a in coco["annotations"] if assignment[a["image_id"]] == name],
        }
        for name in SPLITS
        if name in used
    }
