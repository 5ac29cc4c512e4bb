"""What the shape of horses says about how a file means its numbers, by comparison with the reference horses.

A horse stands on its legs: whichever way it looks, withers and back are above knees and hooves. Points of a picture
that has still to be turned, or whose x and y are exchanged, show horses that lie on their side; points under each
other's names show a head at the hocks. Single horses do lie down, so that only many of them say anything.

Measured on the 960 horses of Animal-Pose (real photos; the 18 to 19 points that correspond), on stick horses and on the
reference: 95 in 100 single horses have an :func:`uprightness` above 0.9, one in 100 below 0.5.

The reference horses are synthetic, of 320x240 pixels. To make them anew after a change of the skeleton or the
renderer::

    python tools/make_demo_data.py --out /tmp/horses --train 400 --val 0 --test 0 --seed 77 --size 320x240
    python -m equistera.dataset.anatomy /tmp/horses/annotations/train.json
"""

from __future__ import annotations

import functools
import json
import sys
import warnings
from pathlib import Path

import numpy as np

from equistera import skeleton as skeletons
from equistera.files import read_json, write_json
from equistera.skeleton import Skeleton

#: Fewer labelled points than this say nothing about how a horse stands.
_MIN_POINTS = 6
#: Above this ratio of singular values the labelled points tell height from length no more (one leg, or only the head).
_MAX_CONDITION = 20.0
#: Animals below which a set's names are not judged. In 200 draws of ten real horses the cost fell by at most 0.7 when
#: names were exchanged; names that are all shifted by one gain 1.7, other orders 3 to 11.
MIN_ANIMALS = 10
_MIN_GAIN = 1.4
#: Horses needed to say how the set stands; mean cosines below which they do not on their legs, and above which they do.
_HORSES, _LYING, _UPRIGHT = 5, 0.3, 0.7
#: How a set may be turned: in words, and which axes with which signs put it on its legs.
_TURNED = {
    "stand upside down: is y measured from the bottom, or are the pictures turned?": ([0, 1], [1, -1]),
    "lie on their side: are x and y exchanged, or the pictures turned?": ([1, 0], [1, 1]),
    "lie on their side: are the pictures turned?": ([1, 0], [1, -1]),
}
#: Names shown of those that seem exchanged.
_SHOWN = 4
#: A click's error as a share of the animal's size.
_CLICK = 0.1


def _reference(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray] | None:
    """Of the reference horses looking to the left: normalised points [M, K, 2], and their mean [K, 2]."""
    return _of_default() if skeleton.names == skeletons.load(skeletons.DEFAULT).names else None


@functools.cache
def _of_default() -> tuple[np.ndarray, np.ndarray]:
    skeleton = skeletons.load(skeletons.DEFAULT)
    horses = reference_for(skeleton)
    points = _normalised(np.where(horses[..., 2:] > 0, horses[..., :2], np.nan))
    rear, front = skeleton.index["tail_base"], skeleton.index["withers"]
    points[..., 0] *= np.sign(points[:, rear, 0] - points[:, front, 0])[:, None]
    return points, np.nanmean(points, axis=0)


def uprightness(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """How animals stand.

    Args:
        points: float [N, K, 2] pixels, NaN where not labelled.
        skeleton: The K points.

    Returns:
        float64 [N]: cosine of the angle by which each is turned: 1 on its legs, 0 on its side, -1 upside down; NaN for
        too few points, or where the skeleton has no reference horses.
    """
    result = np.full(len(points), np.nan)
    reference = _reference(skeleton)
    if reference is None:
        return result
    length, height = reference[1].T
    for n, animal in enumerate(points):
        known = np.isfinite(animal).all(axis=1)
        if known.sum() < _MIN_POINTS:
            continue
        # what goes with the reference's height, once what goes with its length (the heading) is taken out
        terms = np.stack([height, length, np.ones_like(height)], axis=1)[known]
        slopes, _, _, singular = np.linalg.lstsq(terms, animal[known], rcond=None)
        across, down = slopes[0]
        if singular[0] <= _MAX_CONDITION * singular[-1] and np.hypot(across, down) > 0:
            result[n] = down / np.hypot(across, down)
    return result


def misnamed(points: np.ndarray, skeleton: Skeleton) -> list[tuple[str, str]]:
    """Points of a whole set that lie where the reference horses have other ones.

    Left and right are not told apart, nor are points close to each other.

    Args:
        points: As in :func:`uprightness`.
        skeleton: The K points.

    Returns:
        Pairs: a name in the file, and the name that fits the place; empty where the names fit, or the animals are too
        few to say.
    """
    reference = _reference(skeleton)
    labelled = np.isfinite(points).all(axis=2)
    animals = labelled.sum(axis=1) >= _MIN_POINTS
    if reference is None or animals.sum() < MIN_ANIMALS:
        return []
    # SciPy's import is not paid for by sets without animals
    from scipy.optimize import linear_sum_assignment

    places, known = _places(_normalised(points[animals])), labelled[animals].sum(axis=0) >= MIN_ANIMALS // 2
    usual = _places(reference[0])
    spread = np.nanstd(usual, axis=0) ** 2 + _CLICK**2
    off = np.nanmean(places[:, known], axis=0)[:, None] - np.nanmean(usual, axis=0)[known]
    cost = (off**2 / spread[known]).sum(axis=2)
    own, fitting = linear_sum_assignment(cost)
    gain = np.diag(cost) - cost[own, fitting]
    if not len(gain) or gain.mean() < _MIN_GAIN:
        return []
    names = np.array(skeleton.names)[known]
    return [(str(names[i]), str(names[j])) for i, j in zip(own, fitting, strict=True) if gain[i] > _MIN_GAIN]


def oddity_of(points: np.ndarray, skeleton: Skeleton) -> tuple[str, str]:
    """What is odd about the shape of a whole set.

    Args:
        points: As in :func:`uprightness`.
        skeleton: The K points.

    Returns:
        ``set-turned`` for horses that do not stand on their legs, ``names-exchanged`` for points under each other's
        names, and a sentence; both "" where nothing is odd, or nobody can say.
    """
    if _standing(points, skeleton) < _LYING:
        for title, (axes, signs) in _TURNED.items():
            turned = points[..., axes] * signs
            if _standing(turned, skeleton) > _UPRIGHT and not misnamed(turned, skeleton):
                return "set-turned", f"most horses {title}"
    if wrong := misnamed(points, skeleton):
        pairs = ", ".join(f"{name} lies where {other} should be" for name, other in wrong[:_SHOWN])
        more = " ..." * (len(wrong) > _SHOWN)
        text = f"{len(wrong)} points seem to have each other's names, throughout the file: {pairs}{more}"
        return "names-exchanged", text
    return "", ""


def _standing(points: np.ndarray, skeleton: Skeleton) -> float:
    """Mean uprightness; NaN where there are too few to say."""
    cosines = uprightness(points, skeleton)
    cosines = cosines[np.isfinite(cosines)]
    return float(cosines.mean()) if len(cosines) >= _HORSES else np.nan


def _normalised(points: np.ndarray) -> np.ndarray:
    """Points around their middle, in units of their spread: sizes and places in the picture are gone, names stay."""
    with warnings.catch_warnings():
        # an animal without a point stays NaN
        warnings.filterwarnings("ignore", "Mean of empty slice")
        centred = points - np.nanmean(points, axis=1, keepdims=True)
        spread = np.sqrt(np.nanmean((centred**2).sum(axis=2), axis=1))
    return centred / np.where(spread > 0, spread, np.nan)[:, None, None]


def _places(normalised: np.ndarray) -> np.ndarray:
    """[N, K, 2]: height, and distance from the middle to either side: the same whatever the other points' names."""
    return np.stack([normalised[..., 1], np.abs(normalised[..., 0])], axis=2)


_FILE = Path(__file__).with_name("reference_horses.json")
#: Horses that are kept; more change little and cost every verification time.
_COUNT = 400


def reference_for(skeleton: Skeleton) -> np.ndarray | None:
    """float64 [400, K, 3]: x, y, visibility flag, (0, 0, 0) where not labelled; None for other points than ours."""
    if skeleton.names != skeletons.load(skeletons.DEFAULT).names:
        return None
    return np.array(json.loads(_FILE.read_text(encoding="utf-8")), dtype=float).reshape(-1, len(skeleton), 3)


def write_reference(ann_file: str) -> None:
    """Takes the first horses of an annotation file as the new reference, rounded to pixels."""
    annotations = read_json(ann_file)["annotations"][:_COUNT]
    write_json(_FILE, [[round(value) for value in entry["keypoints"]] for entry in annotations])


if __name__ == "__main__":
    write_reference(sys.argv[1])
