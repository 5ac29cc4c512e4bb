"""How unsure a model is of the points that it found, and why, in words.

Four signs, each of which is 0 for a point that looks right and 1 for one that does not: a low calibrated confidence;
other views of the same animal (mirrored, larger, smaller, or by another checkpoint) that put the point elsewhere; a
point that is not between its places in the frames before and behind; a limb that is longer than it ever is, for
perspective makes limbs shorter, never longer. A picture's doubt is the mean over the signs of its rank among all
pictures, so that none of them counts more than another, whatever its scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.evaluation.instances import CORRECT
from equistera.skeleton import Keypoint, Skeleton

#: Robust standard deviations (of the logarithm of its length) by which a limb is longer than usual where that begins
#: to count, and where it counts as wrong.
_LONG, _TOO_LONG = 3.0, 6.0
#: A median absolute deviation as a standard deviation.
_MAD = 1.4826
#: Robust standard deviation of a limb's logarithmic length at least: few pictures are alike by chance.
_LEAST_SPREAD = 0.05
#: Animals below which nobody can say how long a limb usually is.
_LEAST_ANIMALS = 10
#: Share of the pictures that count as uncommon: those with the rarest poses.
UNCOMMON = 0.1
#: Names told of a picture's doubtful points.
_TOLD = 3
#: Share of the points that are told as nearly all.
_NEARLY_ALL = 0.75
#: Which pose is rare is asked in so many directions of the poses' space, of so many neighbours.
_DIRECTIONS, _NEIGHBOURS = 12, 10
#: What follows the side's letter in the names of skeletons of quadrupeds.
_ENDS = {"": "", "f": "fore", "h": "hind"}


@dataclass(frozen=True)
class Seen:
    """What the model says of one animal.

    Attributes:
        box: x, y, width, height, pixels.
        points: float [K, 2], pixels: the mean over the checkpoints.
        agreed: float [K, 2], pixels: the mean over the checkpoints and all views, nearer to the truth than each.
        confidence: float [K], calibrated, likewise.
        views: float [K]: how far mirrored, larger and smaller views put each point, in the animal's size.
        models: float [K]: how far the checkpoints do; NaN for a single one.
        jump: float [K]: how far it is from the middle of its places before and behind; NaN where there are none.
        features: float32 [D], the backbone's, pooled.
        score: Confidence that there is an animal in the box.
    """

    box: np.ndarray
    points: np.ndarray
    agreed: np.ndarray
    confidence: np.ndarray
    views: np.ndarray
    models: np.ndarray
    jump: np.ndarray
    features: np.ndarray
    score: float = 1.0


@dataclass(frozen=True)
class Doubts:
    """What is doubtful about N animals.

    Attributes:
        signs: float [N, K] in [0, 1] by name of the sign; NaN where it says nothing.
        doubt: float [N] in (0, 1]: the mean rank.
        rarity: float [N] in (0, 1]: rank of the distance to the most similar poses.
        poses: float [N, 2 * K]: the poses, wherever in the picture and however large.
        long: int [N]: the limb that is most too long, -1 for none.
    """

    signs: dict[str, np.ndarray]
    doubt: np.ndarray
    rarity: np.ndarray
    poses: np.ndarray
    long: np.ndarray


def doubts_of(seen: Sequence[Seen], skeleton: Skeleton) -> Doubts:
    """What is doubtful about animals, each by itself and beside the others."""
    confidence = np.array([one.confidence for one in seen])
    points = np.array([one.points for one in seen])
    limbs = too_long(points, confidence, skeleton)
    signs = {
        "unsure": 1 - np.clip(confidence, 0, 1),
        "views": _wrong(np.array([one.views for one in seen])),
        "models": _wrong(np.array([one.models for one in seen])),
        "jump": _wrong(np.array([one.jump for one in seen])),
        "limb": _at_points(limbs, skeleton),
    }
    known = [_mean_of(sign) for sign in signs.values()]
    ranks = np.array([ranked(values) for values in known])
    poses = pose_vectors(points)
    return Doubts(
        signs,
        _mean_of(ranks.T),
        ranked(_far_from_others(poses)),
        poses,
        np.where(limbs.max(axis=1, initial=0) > 0, limbs.argmax(axis=1) if limbs.shape[1] else -1, -1),
    )


def _wrong(distance: np.ndarray) -> np.ndarray:
    """A distance in the animal's size as a share of the one from which a point counts as wrong, at most 1."""
    return np.minimum(distance / CORRECT, 1.0)


def _mean_of(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def ranked(values: np.ndarray) -> np.ndarray:
    """Ranks in (0, 1], equal values alike (their mean); NaN stays."""
    from scipy.stats import rankdata

    result = np.full(len(values), np.nan)
    known = np.isfinite(values)
    if known.any():
        result[known] = rankdata(values[known]) / known.sum()
    return result


def too_long(points: np.ndarray, confidence: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """How much longer each limb is than usual: 0 within the usual, 1 from where it cannot be right.

    Args:
        points: float [N, K, 2], pixels.
        confidence: float [N, K].
        skeleton: Its links are the limbs.

    Returns:
        float [N, L]; all 0 where there are too few animals to say what is usual.
    """
    a, b = skeleton.link_indices.T
    if len(points) < _LEAST_ANIMALS or not len(a):
        return np.zeros((len(points), len(a)))
    length = np.log(np.maximum(np.linalg.norm(points[:, a] - points[:, b], axis=-1), 1e-3))
    # the animal's scale: what its limbs have in common
    relative = length - np.median(length, axis=0)
    length = length - np.median(relative, axis=1, keepdims=True)
    middle = np.median(length, axis=0)
    spread = np.maximum(_MAD * np.median(np.abs(length - middle), axis=0), _LEAST_SPREAD)
    return np.clip(((length - middle) / spread - _LONG) / (_TOO_LONG - _LONG), 0.0, 1.0)


def _at_points(limbs: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Of each point the worst of its limbs, [N, K]."""
    worst = np.zeros((len(limbs), len(skeleton)))
    for limb, ends in enumerate(skeleton.link_indices):
        for end in ends:
            worst[:, end] = np.maximum(worst[:, end], limbs[:, limb])
    return worst


def pose_vectors(points: np.ndarray) -> np.ndarray:
    """Poses [N, K, 2] as vectors [N, 2 * K]: around their middle, in units of their spread."""
    centred = points - points.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))
    return (centred / np.where(spread > 0, spread, 1.0)[:, None, None]).reshape(len(points), -1)


def _far_from_others(poses: np.ndarray) -> np.ndarray:
    """Mean distance of each pose to the most similar ones."""
    from scipy.spatial import cKDTree

    if len(poses) < 2:
        return np.zeros(len(poses))
    centred = poses - poses.mean(axis=0)
    # a tree needs few directions
    directions = np.linalg.svd(centred.T @ centred)[0][:, :_DIRECTIONS]
    few = centred @ directions
    distances, _ = cKDTree(few).query(few, k=min(_NEIGHBOURS + 1, len(few)))
    return distances[:, 1:].mean(axis=1)


def reasons_of(n: int, doubts: Doubts, skeleton: Skeleton, threshold: float) -> list[str]:
    """Why an animal is worth labelling, in words, the weightiest first; empty where nothing is odd about it.

    Args:
        n: Which.
        doubts: Of all.
        skeleton: The keypoints.
        threshold: Confidence from which a point counts as found.
    """
    found = []
    sentences = (
        ("unsure", 1 - threshold, "{} unsure"),
        ("views", 1.0, "{} elsewhere in a mirrored, larger or smaller view"),
        ("models", 1.0, "the models disagree about {}"),
        ("jump", 1.0, "{}: a jump from frame to frame"),
    )
    for name, least, sentence in sentences:
        values = doubts.signs[name][n]
        bad = np.flatnonzero((values > least) if name == "unsure" else (values >= least))
        if len(bad):
            worst = bad[np.argsort(-values[bad], kind="stable")]
            found.append((len(bad), sentence.format(_names(worst, skeleton))))
    found.sort(key=lambda pair: -pair[0])
    reasons = [text for _, text in found]
    if doubts.long[n] >= 0:
        a, b = skeleton.link_indices[doubts.long[n]]
        reasons.append(f"{spoken(skeleton.keypoints[a])} to {spoken(skeleton.keypoints[b])} unusually long")
    if doubts.rarity[n] > 1 - UNCOMMON:
        reasons.append("an uncommon pose or view")
    return reasons


def _names(points: np.ndarray, skeleton: Skeleton) -> str:
    names = [spoken(skeleton.keypoints[k]) for k in points[:_TOLD].tolist()]
    if len(points) >= _NEARLY_ALL * len(skeleton):
        return "nearly all points"
    if left := len(points) - len(names):
        return f"{', '.join(names)} and {left} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def spoken(keypoint: Keypoint) -> str:
    """A keypoint's name as people say it: ``lh_hoof`` of the left side is the left hind hoof."""
    first, *rest = keypoint.name.lower().replace("-", "_").split("_")
    if rest and keypoint.side != "middle" and first[:1] == keypoint.side[0] and first[1:] in _ENDS:
        return " ".join(filter(None, [keypoint.side, _ENDS[first[1:]], *rest]))
    return keypoint.name.replace("_", " ")
