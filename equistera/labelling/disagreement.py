"""How far a label lies from where it is expected to be, over how far labels usually do there.

Where it is expected follows from the model's answer for the point and from how the other labels of the animal lie to
their answers: a model that puts a whole leg a little too far back errs alike in all its points, and a labeller who has
moved one of them is alone with it. How far is usual follows from the keypoint, the model's confidence, how much its
answers differ between views, and how well the rest of the animal agrees. Both are learned from the labels themselves,
those of other pictures.

A model often exchanges left and right of a leg. So each limb is compared as the answer is, or mirrored, whichever fits:
whether the labels' sides are wrong is asked elsewhere (``sides.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.evaluation.instances import share
from equistera.labelling.answers import Answers
from equistera.labelling.regression import parts_of_rows, standardised, told_by_others
from equistera.skeleton import Skeleton
from equistera.tracks.swaps import limbs_of

#: All distances are in sizes of the animal, the longer side of its box. Of a limb as it is and mirrored, distances
#: count up to the first of these; mirrored must be better by the second.
_COUNTS_TO, _BETTER_BY = 0.15, 0.02
#: What the other points say is as large as this at most, and is taken in these units against the penalty.
_MOST, _UNIT, _PENALTY = 0.4, 0.05, 40.0
#: Rounds in which labels that are far off give way to what is expected of them, and how far (in usual distances) a
#: label is half believed.
_ROUNDS, _HALF_BELIEVED = 4, 2.5
#: Smallest distances that logarithms tell apart.
_SMALL, _SURE = 0.005, 0.02
#: Share of the OKS sigma that no label is expected to be nearer than: people differ by about a sigma.
LABELLERS = 0.1


@dataclass(frozen=True)
class Disagreement:
    """N animals' labels against what was expected; distances are in sizes of the animal.

    Attributes:
        answers: float64 [N, K, 2], the model's answers, limbs mirrored where that fits, pixels.
        expected: float64 [N, K, 2], where the labels were expected, pixels.
        distance: float64 [N, K], from there to the label; NaN where there is none.
        usual: float64 [N, K], the usual distance.
        mirrored: bool [N, K], points whose answer was taken from their mirror image.
        animal: float64 [N], median distance of its answers to its labels.
    """

    answers: np.ndarray
    expected: np.ndarray
    distance: np.ndarray
    usual: np.ndarray
    mirrored: np.ndarray
    animal: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """float64 [N, K]: the distance over the usual one."""
        return self.distance / self.usual


def disagreement(
    points: np.ndarray, visible: np.ndarray, boxes: np.ndarray, owner: np.ndarray, answers: Answers, skeleton: Skeleton
) -> Disagreement:
    """Compares labels with answers.

    Args:
        points: float [N, K, 2] pixels, NaN where not labelled, or where nobody could be asked.
        visible: [N, K] COCO's flags.
        boxes: [N, 4] x, y, width, height.
        owner: int [N], the animals' pictures.
        answers: Of models that were not trained on them.
        skeleton: The K keypoints.
    """
    size = boxes[:, 2:].max(axis=1)[:, None]
    labelled = np.isfinite(points[..., 0])
    parts = parts_of_rows(owner)
    fitted, mirrored = _fitting(points, answers, size, skeleton)
    residual = np.where(labelled[..., None], (points - fitted.points) / size[..., None], 0)
    floor = LABELLERS * skeleton.sigmas * np.sqrt(boxes[:, 2:].prod(axis=1))[:, None] / size
    trusted = residual
    for _ in range(_ROUNDS):
        told = _told_by_other_points(residual, trusted, labelled, parts, skeleton.flip_indices)
        distance = np.linalg.norm(residual - told, axis=-1)
        kept = np.linalg.norm(trusted, axis=-1), np.linalg.norm(trusted - told, axis=-1)
        columns = _columns(fitted, size, visible, labelled, *kept, skeleton)
        usual = np.hypot(_usual(distance, columns, labelled, parts), floor)
        belief = 1 / (1 + (distance / usual / _HALF_BELIEVED) ** 4)
        trusted = np.where(labelled[..., None], told + (residual - told) * belief[..., None], 0)
    apart = np.where(labelled, np.linalg.norm(residual, axis=-1), np.nan)
    return Disagreement(
        answers=fitted.points,
        expected=fitted.points + told * size[..., None],
        distance=np.where(labelled, distance, np.nan),
        usual=usual,
        mirrored=mirrored,
        animal=np.array([np.nan if np.isnan(row).all() else np.nanmedian(row) for row in apart]),
    )


def _fitting(points: np.ndarray, answers: Answers, size: np.ndarray, skeleton: Skeleton) -> tuple[Answers, np.ndarray]:
    """The answers with limbs mirrored where that fits the labels better, and bool [N, K] where that is."""
    mirror, count = skeleton.flip_indices, len(skeleton)
    use = np.tile(np.arange(count), (len(points), 1))
    for limb in limbs_of(skeleton):
        own = np.array([*limb.left, *limb.right])
        as_it_is, turned = (
            np.nansum(np.minimum(np.linalg.norm(answers.points[:, k] - points[:, own], axis=-1) / size, _COUNTS_TO), 1)
            for k in (own, mirror[own])
        )
        use[np.ix_(turned < as_it_is - _BETTER_BY, own)] = mirror[own]
    rows = np.arange(len(points))[:, None]
    taken = (values[rows, use] for values in (answers.points, answers.spread, answers.scores, answers.responses))
    return Answers(*taken), use != np.arange(count)


def _told_by_other_points(
    residual: np.ndarray, trusted: np.ndarray, labelled: np.ndarray, parts: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """float64 [N, K, 2]: what the other points' residuals let expect of each point's.

    A mirrored animal is as good an example, so each teaches twice.
    """
    length = np.linalg.norm(trusted, axis=-1, keepdims=True)
    given = trusted * np.minimum(1, _MOST / np.maximum(length, 1e-9)) / _UNIT
    turn = np.array([-1.0, 1.0])
    given, residual = (np.concatenate([values, values[:, mirror] * turn]) for values in (given, residual))
    labelled, parts = np.concatenate([labelled, labelled[:, mirror]]), np.tile(parts, 2)
    told, count = np.zeros_like(residual), residual.shape[1]
    for k in range(count):
        columns = np.column_stack([np.delete(given, k, axis=1).reshape(len(given), -1), np.ones(len(given))])
        told[:, k] = told_by_others(columns, residual[:, k], labelled[:, k], parts, _PENALTY, robust=3)
    return told[: len(trusted)]


def _columns(
    answers: Answers,
    size: np.ndarray,
    visible: np.ndarray,
    labelled: np.ndarray,
    apart: np.ndarray,
    unexplained: np.ndarray,
    skeleton: Skeleton,
) -> np.ndarray:
    """float64 [N * K, F]: what the usual distance of a label follows from."""
    count, mirror = len(skeleton), skeleton.flip_indices
    spread = np.log(answers.spread / size + _SMALL)
    sure = np.log(np.maximum(answers.scores, 0) + _SURE)
    sides = np.linalg.norm(answers.points - answers.points[:, mirror], axis=-1) / size
    sides = np.log(np.where(mirror == np.arange(count), 0.5, sides) + 2 * _SMALL)
    seen = (visible > 1).astype(float)
    rest, rest_unexplained = (_median_of_others(np.where(labelled, v, np.nan)) for v in (apart, unexplained))
    near = np.log(_mean_of_neighbours(unexplained, labelled, skeleton) + 2 * _SMALL)
    rest, rest_unexplained = np.log(rest + _SMALL), np.log(rest_unexplained + _SMALL)
    whole = [np.log(size), share(labelled.sum(axis=1), np.full(len(labelled), count))[:, None]]
    columns = [spread, sure, sides, seen, rest, rest_unexplained, near]
    columns += [np.repeat(values, count, axis=1) for values in whole]
    columns += [seen * sure, spread * rest, sure * rest, rest**2, spread**2, sure**2, near**2]
    stacked = np.stack(columns, axis=-1).reshape(-1, len(columns))
    return np.column_stack([stacked, np.tile(np.eye(count), (len(labelled), 1))])


def _usual(distance: np.ndarray, columns: np.ndarray, labelled: np.ndarray, parts: np.ndarray) -> np.ndarray:
    rows = labelled.ravel()
    values = np.log(np.where(rows, distance.ravel(), 0) + _SMALL)[:, None]
    told = told_by_others(standardised(columns, rows), values, rows, np.repeat(parts, labelled.shape[1]), penalty=1.0)
    return np.exp(told[:, 0].reshape(labelled.shape))


def _median_of_others(values: np.ndarray) -> np.ndarray:
    """float64 [N, K]: of each point the median over the known others of its row; that of all where there is none."""
    count = values.shape[1]
    others = np.stack([np.delete(values, k, axis=1) for k in range(count)], axis=1)
    known = np.isfinite(others).any(axis=-1)
    filled = np.where(known[..., None], others, 0)
    return np.where(known, np.nanmedian(filled, axis=-1), np.nanmedian(values))


def _mean_of_neighbours(values: np.ndarray, labelled: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """float64 [N, K]: of each point the mean over those that one or two links lead to, 0 where there are none."""
    count = len(skeleton)
    linked = np.zeros((count, count))
    for a, b in skeleton.link_indices:
        linked[a, b] = linked[b, a] = 1
    near = ((linked + linked @ linked) > 0).astype(float)
    np.fill_diagonal(near, 0)
    capped = np.where(labelled, np.minimum(values, 2 * _MOST), 0)
    return (capped @ near) / np.maximum(labelled.astype(float) @ near, 1)
