"""Labels that are probably wrong, of all kinds in one order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from equistera.dataset.boxes import overlaps, shared_areas
from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration, fit
from equistera.evaluation.instances import CORRECT
from equistera.labelling.answers import Answers
from equistera.labelling.disagreement import Disagreement, disagreement
from equistera.labelling.odds import odds_of_distances, odds_of_distances_beside, odds_of_evidence
from equistera.labelling.pool import Pool
from equistera.labelling.regression import parts_of_rows, probabilities_by_others
from equistera.labelling.sides import Exchanges, exchanges
from equistera.tracks.swaps import limbs_of
from equistera.words import counted

#: Kinds, with what they are called.
KINDS = {
    "moved": "point in the wrong place",
    "elsewhere": "point on another animal",
    "exchanged": "left and right exchanged",
    "mirrored": "whole animal mirrored",
    "missing": "animal without labels",
    "cut": "box cuts the animal",
    "visibility": "hidden or visible",
}
#: Fewer labelled animals do not teach how far labels usually are.
FEWEST_ANIMALS = 20
#: Suspects below these log odds are not told: fewer than one in twenty is wrong.
LEAST_ODDS = float(np.log(0.05 / 0.95))
#: A label is on another animal's point within this share of that one's size, if it is further than the second share
#: of its own size from where it is expected.
_ON_ANOTHER, _OFF_OWN = 0.06, 0.12
#: A box is cut where at least so many points are seen beyond it that are surer than this.
_POINTS_BEYOND, _SURE = 2, 0.6
#: Points labelled this share of the size beyond the box, and the log odds that it is the box that is wrong then.
_BEYOND, _BEYOND_ODDS = 0.03, float(np.log(9))
#: A found animal is none of the labelled ones below this overlap and this share of the smaller box.
_SAME_BOX, _SAME_AREA = 0.3, 0.6
#: Share of wrong flags that is believed before, and the least log odds to tell of one: they do less harm than places.
_WRONG_FLAGS, _LEAST_FLAG_ODDS = 0.02, float(np.log(0.3 / 0.7))


@dataclass(frozen=True)
class Suspect:
    """Something that is probably wrong.

    Attributes:
        kind: A key of :data:`KINDS`.
        picture: Position in the pool.
        animal: Position in the pool; None for one that is not labelled.
        points: The keypoints concerned.
        odds: Natural logarithm of the odds that it is wrong; what all kinds are ordered by.
        says: What speaks for it, for people.
        box: x, y, width, height of an animal that is not labelled.
    """

    kind: str
    picture: int
    animal: int | None
    points: tuple[int, ...]
    odds: float
    says: str
    box: tuple[float, float, float, float] | None = None

    @property
    def probability(self) -> float:
        """That it is wrong, as far as the labels themselves tell."""
        return float(expit(self.odds))


@dataclass(frozen=True)
class Judged:
    """What suspects follow from.

    Attributes:
        pool: The labels.
        answers: What models said.
        far: How far labels are from what was expected.
        confidence: float64 [N, K], that the answers are right, calibrated on all labels.
        suspects: The most probable first.
    """

    pool: Pool
    answers: Answers
    far: Disagreement
    confidence: np.ndarray
    suspects: tuple[Suspect, ...]


def judge(pool: Pool, answers: Answers, found: Mapping[int, np.ndarray] | None = None) -> Judged:
    """Every label that is rather more probably wrong than usual, the most probable first.

    Args:
        pool: The labels.
        answers: Of models that were not trained on them.
        found: By picture the boxes of animals that were found in it, float64 [M, 5], x, y, width, height, confidence.

    Raises:
        UserError: There are too few animals to tell what is usual.
    """
    asked = np.isfinite(answers.scores[:, 0])
    if asked.sum() < FEWEST_ANIMALS:
        raise UserError(
            f"{counted(int(asked.sum()), 'labelled animals')} that a model can be asked about: what is usual is learnt "
            f"from {FEWEST_ANIMALS} at least"
        )
    points = np.where(asked[:, None, None], pool.points, np.nan)
    about = points, pool.labels[..., 2], pool.boxes, pool.owner, _filled(answers, pool), pool.skeleton
    far, sides = disagreement(*about), exchanges(*about)
    confidence = _calibrated(points, pool, answers, far)
    distances = odds_of_distances(far.ratio)
    suspects = [
        *_exchanged(pool, sides, asked),
        *_misplaced(pool, far, distances),
        *_cut(pool, far, confidence, distances, asked),
        *_flags(pool, far, confidence, asked),
        *_missing(pool, found or {}),
    ]
    return Judged(pool, answers, far, confidence, tuple(sorted(suspects, key=lambda suspect: -suspect.odds)))


def _calibrated(points: np.ndarray, pool: Pool, answers: Answers, far: Disagreement) -> np.ndarray:
    """float64 [N, K]: probabilities that answers are right, sides included."""
    apart = np.linalg.norm(answers.points - points, axis=-1) / pool.boxes[:, 2:].max(axis=1)[:, None]
    known = np.isfinite(apart)
    calibration = fit(answers.scores[known], apart[known] < CORRECT) or Calibration()
    return np.where(np.isfinite(answers.scores), calibration.apply(np.nan_to_num(answers.scores)), np.nan)


def _filled(answers: Answers, pool: Pool) -> Answers:
    """The answers, with numbers where nobody was asked: the labels there count as unknown."""
    middle = pool.boxes[:, None, :2] + pool.boxes[:, None, 2:] / 2
    return Answers(
        points=np.where(np.isfinite(answers.points), answers.points, middle),
        spread=np.nan_to_num(answers.spread),
        scores=np.nan_to_num(answers.scores),
        responses=answers.responses,
    )


def _misplaced(pool: Pool, far: Disagreement, odds: np.ndarray) -> Iterator[Suspect]:
    """Points that are far from where they were expected."""
    names = pool.skeleton.names
    for n, k in np.argwhere(np.nan_to_num(odds, nan=-np.inf) > LEAST_ODDS).tolist():
        other = _on_another(pool, far, n, k)
        says = (
            f"{names[k]} lies {far.distance[n, k]:.0%} of the animal's size from where it is expected, "
            f"{min(far.ratio[n, k], 99):.2g} times as far as usual there"
        )
        if far.mirrored[n, k]:
            says += "; the model takes it for its mirror image"
        if other is not None:
            says += f"; it lies on {names[other[1]]} of another animal"
        kind = "moved" if other is None else "elsewhere"
        yield Suspect(kind, int(pool.owner[n]), n, (k,), float(odds[n, k]), says)


def _on_another(pool: Pool, far: Disagreement, n: int, k: int) -> tuple[int, int] | None:
    """The animal and its point that a label lies on, of the others in the picture; None where it is on none."""
    if far.distance[n, k] < _OFF_OWN:
        return None
    found = []
    for m in pool.animals_of[pool.owner[n]].tolist():
        if m != n:
            for places in (pool.points[m], far.answers[m]):
                apart = np.linalg.norm(places - pool.points[n, k], axis=-1) / pool.boxes[m, 2:].max()
                # its own name first
                apart = np.where(np.arange(len(apart)) == k, apart - _ON_ANOTHER / 2, apart)
                if np.isfinite(apart).any() and np.nanmin(apart) < _ON_ANOTHER:
                    found.append((float(np.nanmin(apart)), m, int(np.nanargmin(apart))))
    return min(found)[1:] if found else None


def _exchanged(pool: Pool, sides: Exchanges | None, asked: np.ndarray) -> Iterator[Suspect]:
    """Limbs, parts of them or whole animals whose left and right are exchanged, at most one of an animal."""
    if sides is None or not asked.any():
        return
    odds = np.full(sides.evidence.shape, -np.inf)
    for m in range(odds.shape[1]):
        odds[asked, m] = odds_of_evidence(sides.evidence[asked, m])
    whole = [m for m, name in enumerate(sides.names) if name == "the whole animal"]
    limbs = _limbs(pool, sides)
    rest = [m for m in range(odds.shape[1]) if m not in whole and m not in limbs]
    # there are many parts of limbs and any may be exchanged: each is less probable
    odds[:, rest] -= np.log(max(len(rest), 1))
    for n in np.flatnonzero(asked).tolist():
        m = _most_probable(odds[n], [*whole, *limbs], rest)
        if odds[n, m] <= LEAST_ODDS:
            continue
        kind = "mirrored" if m in whole else "exchanged"
        says = f"left and right of {sides.names[m]}: labels the other way round are {_times(sides.evidence[n, m])} as "
        says += f"probable by the model and the labels, {_times(sides.from_labels[n, m])} by the labels alone"
        yield Suspect(kind, int(pool.owner[n]), n, sides.points[m], float(odds[n, m]), says)


def _limbs(pool: Pool, sides: Exchanges) -> list[int]:
    wanted = [frozenset([*limb.left, *limb.right]) for limb in limbs_of(pool.skeleton)]
    return [m for m, points in enumerate(sides.points) if frozenset(points) in wanted]


def _most_probable(odds: np.ndarray, main: Sequence[int], rest: Sequence[int]) -> int:
    """Which exchange an animal shows, if any: of all of it or of a limb; of a part of one where no whole one is."""
    best = max(main, key=lambda m: odds[m])
    part = max(rest, key=lambda m: odds[m], default=best)
    return part if odds[best] <= LEAST_ODDS < odds[part] else best


def _times(evidence: float) -> str:
    return f"{np.exp(evidence):.3g} times" if evidence < np.log(1000) else "over 1,000 times"


def _cut(
    pool: Pool, far: Disagreement, confidence: np.ndarray, distances: np.ndarray, asked: np.ndarray
) -> Iterator[Suspect]:
    """Boxes that leave out labelled points, or points that a model is sure to see where none is labelled."""
    size = pool.boxes[:, 2:].max(axis=1)[:, None]
    labelled = np.isfinite(pool.points[..., 0])
    by_label = _beyond(pool.points, pool.boxes) / size
    # a label that is itself in doubt, or expected inside, says nothing of the box
    in_place = (np.nan_to_num(distances) < 0) & (_beyond(far.expected, pool.boxes) / size > _BEYOND / 2)
    by_label = np.where(labelled & in_place, by_label, 0)
    by_model = np.where(labelled | (confidence < _SURE), 0, _beyond(far.answers, pool.boxes) / size)
    odds = odds_of_distances_beside(far.ratio, by_model / far.usual)
    names = pool.skeleton.names
    for n in np.flatnonzero(asked).tolist():
        left_out = np.flatnonzero(by_label[n] > _BEYOND).tolist()
        seen = np.argsort(-by_model[n])[:_POINTS_BEYOND].tolist()
        if left_out:
            says = f"{', '.join(names[k] for k in left_out)} labelled up to {by_label[n].max():.0%} of its longer side "
            yield Suspect("cut", int(pool.owner[n]), n, tuple(left_out), _BEYOND_ODDS, says + "beyond the box")
        elif (by_model[n, seen] > _BEYOND).all() and odds[n, seen].min() > LEAST_ODDS:
            says = f"the model sees {' and '.join(names[k] for k in seen)} beyond the box, where nothing is labelled"
            yield Suspect("cut", int(pool.owner[n]), n, tuple(seen), float(odds[n, seen].min()), says)


def _beyond(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """float64 [N, K]: pixels by which points [N, K, 2] lie outside of their boxes [N, 4]; 0 inside or unknown."""
    low, high = boxes[:, None, :2], boxes[:, None, :2] + boxes[:, None, 2:]
    return np.linalg.norm(np.nan_to_num(np.maximum(np.maximum(low - points, points - high), 0)), axis=-1)


def _flags(pool: Pool, far: Disagreement, confidence: np.ndarray, asked: np.ndarray) -> Iterator[Suspect]:
    """Points whose flag, hidden or visible, is not what points of such confidence usually have."""
    flags, names = pool.labels[..., 2], pool.skeleton.names
    rows = (flags > 0) & asked[:, None]
    visible = (flags > 1).astype(float)
    if not 0 < visible[rows].mean() < 1:
        # all alike: nobody has told hidden from visible
        return
    mirror = pool.skeleton.flip_indices
    sure = np.log(np.clip(np.nan_to_num(confidence), 0.01, 0.99) / (1 - np.clip(np.nan_to_num(confidence), 0.01, 0.99)))
    columns = [sure, sure[:, mirror], np.log(far.usual), np.log(far.usual[:, mirror])]
    told = probabilities_by_others(columns, visible, rows, parts_of_rows(pool.owner))
    right = np.where(visible > 0, told, 1 - told)
    odds = np.log((1 - right) / right) + np.log(_WRONG_FLAGS / (1 - _WRONG_FLAGS))
    for n, k in np.argwhere(rows & (odds > _LEAST_FLAG_ODDS)).tolist():
        flag = "visible" if visible[n, k] else "hidden"
        says = f"{names[k]} is labelled {flag}; of points that the model is as sure of {right[n, k]:.1%} are"
        yield Suspect("visibility", int(pool.owner[n]), n, (k,), float(odds[n, k]), says)


def _missing(pool: Pool, found: Mapping[int, np.ndarray]) -> Iterator[Suspect]:
    """Animals that were found where none is labelled."""
    for p, boxes in found.items():
        known = np.concatenate([pool.boxes[pool.animals_of[p]], pool.other_boxes.get(p, np.zeros((0, 4)))])
        # the surest first: of several boxes around one animal the others say nothing new
        for box in boxes[np.argsort(-boxes[:, 4])]:
            place, sure = box[None, :4], float(np.clip(box[4], 0.01, 0.99))
            least = np.minimum(place[:, 2:].prod(), known[:, 2:].prod(axis=1))
            same = (overlaps(place, known)[0] > _SAME_BOX) | (shared_areas(place, known)[0] > _SAME_AREA * least)
            odds = float(np.log(sure / (1 - sure)))
            if same.any() or odds <= LEAST_ODDS:
                continue
            known = np.concatenate([known, place])
            says = f"an animal was found with confidence {sure:.2f} where none is labelled"
            yield Suspect("missing", p, None, (), odds, says, box=tuple(place[0].tolist()))
