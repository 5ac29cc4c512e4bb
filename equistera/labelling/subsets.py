"""Smaller training sets out of a larger one, each within the next; groups of pictures are never torn apart."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from equistera.errors import UserError
from equistera.words import counted


def labelled_pictures(coco: Mapping) -> list[str]:
    """File names of the pictures of a COCO file that have an animal to learn from, sorted."""
    labelled = {annotation["image_id"] for annotation in coco["annotations"]}
    return sorted(image["file_name"] for image in coco["images"] if image["id"] in labelled)


def nested_subsets(groups: Mapping[str, str], sizes: Sequence[int], seed: int) -> dict[int, frozenset[str]]:
    """Draws training sets of growing size, the smaller ones within the larger ones.

    Whole groups enter together, in an order that is drawn, up to the number of pictures that is nearest to the size.

    Args:
        groups: The group of every picture, by file name.
        sizes: Numbers of pictures, ascending.
        seed: Another seed gives another order.

    Returns:
        File names by size.

    Raises:
        UserError: There are not so many pictures, or the groups are too large to tell two sizes apart.
    """
    if sizes[-1] > len(groups):
        raise UserError(
            f"--sizes {sizes[-1]}: the training set has {counted(len(groups), 'pictures')} with a labelled animal",
            hint=f"The largest size is {len(groups)}, or the word all",
        )
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        members[groups[name]].append(name)
    order = list(members.values())
    random.Random(f"equistera {seed}").shuffle(order)
    totals = np.cumsum([len(group) for group in order])
    taken = {size: int(np.abs(totals - size).argmin()) + 1 for size in sizes}
    if same := [size for size, count in taken.items() if Counter(taken.values())[count] > 1]:
        raise UserError(
            f"--sizes {' '.join(map(str, same))} come to the same pictures: whole groups enter together, and the "
            f"largest of the {len(order)} groups has {counted(max(map(len, order)), 'pictures')}",
            hint="Choose sizes that are further apart; or a finer --group-by, if pictures of a group are not alike",
        )
    return {size: frozenset(name for group in order[:count] for name in group) for size, count in taken.items()}


def part_of(coco: Mapping, names: frozenset[str]) -> dict:
    """The COCO content of some pictures, by file name; everything else stays as it is."""
    images = [image for image in coco["images"] if image["file_name"] in names]
    kept = {image["id"] for image in images}
    return {**coco, "images": images, "annotations": [a for a in coco["annotations"] if a["image_id"] in kept]}
