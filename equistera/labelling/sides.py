"""Left and right exchanged in labels, of a limb, a part of one or the whole animal, seen by a model and by the labels.

A model's own sides are its weakest answer: it often exchanges those of a leg. So no single point decides. For each
part that may be exchanged what speaks for it is added up over its pairs, three kinds of it: whether the answers lie
nearer to the labels once these are exchanged, how much the model responds for each point where its mirror image is
labelled, and how the labels lie to each other among those of all animals (``dataset/verify/swaps.py``: the near side is
more visible and lower). How much each kind is worth is learned from the labels: most are right, and an exchange turns
all of these round, so a logistic regression can tell labels as they are from exchanged ones, animals told by others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equistera.dataset.anatomy import reference_for
from equistera.dataset.verify.swaps import Views, pairs_of, parts_of, swap_evidence, views_of
from equistera.labelling.answers import Answers
from equistera.labelling.regression import PARTS, logistic, parts_of_rows
from equistera.skeleton import Skeleton
from equistera.tracks.swaps import limbs_of

#: Distances count up to so many sizes of the animal.
_COUNTS_TO = 0.15
#: A response is not trusted to be below this.
_RESPONSE = 0.05
#: Evidence of one kind beyond this says no more.
_MOST = 15.0
#: What the regression's coefficients are pulled to 0 by.
_PENALTY = 3.0


@dataclass(frozen=True)
class Exchanges:
    """What speaks for each of M exchanges in N animals.

    Attributes:
        names: [M], for people; ``the whole animal`` among them.
        points: [M], the keypoints of each.
        evidence: float64 [N, M]: natural logarithm of how many times more probable the exchanged labels are.
        from_labels: float64 [N, M]: what the labels alone say, likewise, of the same.
    """

    names: tuple[str, ...]
    points: tuple[tuple[int, ...], ...]
    evidence: np.ndarray
    from_labels: np.ndarray


def exchanges(
    points: np.ndarray, visible: np.ndarray, boxes: np.ndarray, owner: np.ndarray, answers: Answers, skeleton: Skeleton
) -> Exchanges | None:
    """Looks for exchanged sides; the arguments are those of :func:`~.disagreement.disagreement`. None without pairs."""
    parts = parts_of(skeleton)
    if not parts:
        return None
    pairs = pairs_of(skeleton)
    own, reference = _from_labels(points, visible, skeleton, list(parts))
    nearer, responds = _from_answers(points, boxes, answers, pairs)
    features = []
    for m, part in enumerate(parts):
        known = np.maximum(np.isfinite(nearer[:, part]).sum(axis=1), 1)
        columns = []
        for values in (nearer, responds):
            total = np.nansum(values[:, part], axis=1)
            columns += [total / np.sqrt(known), np.tanh(total / 4)]
        for values in (own[:, m], reference[:, m]):
            columns += [values, np.tanh(values / 5)]
        features.append(np.column_stack(columns))
    limbs = {frozenset(limb.left) for limb in limbs_of(skeleton)}
    lefts = [frozenset(pairs[list(part), 0].tolist()) for part in parts]
    # of these alone it is learned: parts of limbs say the same again
    taught = [m for m, left in enumerate(lefts) if left in limbs or len(left) == len(pairs)]
    evidence = _learned(np.stack(features, axis=1), taught, parts_of_rows(owner))
    named = tuple(tuple(pairs[list(part)].ravel().tolist()) for part in parts)
    return Exchanges(tuple(parts.values()), named, evidence, np.maximum(own, reference))


def _from_labels(
    points: np.ndarray, visible: np.ndarray, skeleton: Skeleton, parts: list[tuple[int, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """float64 [N, M] each: what the labels say among themselves, and beside the reference where there is one."""
    own, _ = swap_evidence(views_of(points, visible, skeleton), parts)
    reference, beside = reference_for(skeleton), own
    if reference is not None:
        placed = np.where(reference[..., 2:] > 0, reference[..., :2], np.nan)
        both = views_of(np.concatenate([points, placed]), np.concatenate([visible, reference[..., 2]]), skeleton)
        beside = swap_evidence(Views(both.pairs, both.headings), parts)[0][: len(points)]
    return np.clip(own, -_MOST, _MOST), np.clip(beside, -_MOST, _MOST)


def _from_answers(
    points: np.ndarray, boxes: np.ndarray, answers: Answers, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """float64 [N, P] each: how much nearer answers are to exchanged labels, and how much more the model responds there.

    NaN for pairs of which not both are labelled.
    """
    left, right = pairs.T
    size = boxes[:, 2:].max(axis=1)[:, None]
    both = np.isfinite(points[:, left, 0]) & np.isfinite(points[:, right, 0])

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.minimum(np.linalg.norm(answers.points[:, a] - points[:, b], axis=-1) / size, _COUNTS_TO)

    def response(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.log(answers.responses[:, a, b] + _RESPONSE)

    nearer = (apart(left, left) + apart(right, right) - apart(left, right) - apart(right, left)) / 0.1
    responds = response(left, right) + response(right, left) - response(left, left) - response(right, right)
    return np.where(both, nearer, np.nan), np.where(both, responds, np.nan)


def _learned(features: np.ndarray, taught: list[int], rows: np.ndarray) -> np.ndarray:
    """float64 [N, M]: the features' [N, M, F] worth in favour of an exchange, animals told by those of other parts."""
    evidence = np.zeros(features.shape[:2])
    for part in range(PARTS):
        others = features[rows != part][:, taught].reshape(-1, features.shape[-1])
        if not len(others):
            continue
        unit = np.sqrt(np.square(others).mean(axis=0)) + 1e-9
        # labels as they are against exchanged ones, whose features are the negative: right is what most are
        found = logistic(-others / unit, np.ones(len(others)), _PENALTY)
        evidence[rows == part] = features[rows == part] / unit @ found
    return evidence
