"""What confidence a model has where there is no animal: boxes beside animals, and how well both are told apart."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from equistera.crops.geometry import BOX_PADDING
from equistera.dataset.boxes import shared_areas

#: Boxes that are enough to say how sure a model is of backgrounds, and below which nothing is said.
MOST_BOXES, FEWEST_BOXES = 500, 20
#: Places that are tried for a box, and its sides beside the animal's, the first that finds room.
_TRIES, _SIDES = 20, (1.0, 0.7, 0.5)


def boxes_beside(coco: Mapping, seed: int = 0) -> dict[object, list[list[float]]]:
    """Boxes about as large as a picture's animals that show none of them, not even in the margin that a model sees.

    Args:
        coco: Annotations, as :func:`equistera.dataset.box_labels.load_boxes` gives them. An animal that is not
            labelled is taken for background.
        seed: Of the places.

    Returns:
        By the picture's id x, y, width, height of at most one box for each animal, at most :data:`MOST_BOXES` in all;
        nothing where there is no room.
    """
    rng = np.random.default_rng(seed)
    sizes = {image["id"]: (image.get("width") or 0, image.get("height") or 0) for image in coco["images"]}
    animals: dict[object, list] = defaultdict(list)
    for annotation in coco["annotations"]:
        animals[annotation["image_id"]].append(annotation["bbox"])
    found: dict[object, list[list[float]]] = {}
    pictures = list(animals)
    for i in rng.permutation(len(pictures)):
        if sum(map(len, found.values())) >= MOST_BOXES:
            break
        image = pictures[i]
        boxes = np.array(animals[image], dtype=float)
        for size, side in itertools.product(boxes[:, 2:], _SIDES):
            size = side * size
            places = rng.random((_TRIES, 2)) * (np.array(sizes[image]) - size)
            seen = np.column_stack([places - (BOX_PADDING - 1) / 2 * size, np.tile(BOX_PADDING * size, (_TRIES, 1))])
            free = (places >= 0).all(axis=1) & (shared_areas(seen, boxes) == 0).all(axis=1)
            own = found.setdefault(image, [])
            if free.any() and len(own) < len(boxes):
                own.append([*places[free][0].tolist(), *size.tolist()])
    return {image: own for image, own in found.items() if own}


def told_apart(animals: np.ndarray, backgrounds: np.ndarray) -> dict[str, float]:
    """How well a confidence tells animals from backgrounds.

    Args:
        animals: [N], mean confidence of each animal's points.
        backgrounds: [M], likewise of boxes without an animal.

    Returns:
        ``boxes`` (M), ``confidence`` (the backgrounds' mean), ``AUC`` (probability that an animal has the higher one of
        an animal and a background), ``threshold`` (where the shares of animals above and of backgrounds below have the
        largest sum), and these shares: ``animals_above``, ``backgrounds_below``.
    """
    values = np.unique(np.concatenate([animals, backgrounds]))
    thresholds = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    above = (animals[:, None] > thresholds).mean(axis=0)
    below = (backgrounds[:, None] <= thresholds).mean(axis=0)
    best = int((above + below).argmax())
    higher = (animals[:, None] > backgrounds).mean() + 0.5 * (animals[:, None] == backgrounds).mean()
    return {
        "boxes": len(backgrounds),
        "confidence": float(backgrounds.mean()),
        "AUC": float(higher),
        "threshold": float(thresholds[best]),
        "animals_above": float(above[best]),
        "backgrounds_below": float(below[best]),
    }


def in_words(found: Mapping[str, float]) -> str:
    """What :func:`told_apart` says, in a line."""
    return (
        f"of {found['boxes']} boxes that show no animal, mean confidence {found['confidence']:.2f}; an animal is told "
        f"from background at AUC {found['AUC']:.3f}, best at {found['threshold']:.2f} "
        f"({found['animals_above']:.0%} of animals above, {found['backgrounds_below']:.0%} of backgrounds below)"
    )
