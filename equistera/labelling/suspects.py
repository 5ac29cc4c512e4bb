"""Labels that are probably wrong, of all kinds in one order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from equistera.labelling.answers import Answers
from equistera.labelling.disagreement import Disagreement, disagreement
from equistera.labelling.odds import odds_of_distances, odds_of_evidence
from equistera.labelling.pool import Pool
from equistera.labelling.sides import Exchanges, exchanges
from equistera.tracks.swaps import limbs_of

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
#: A label is on another animal's point within this share of that one's size, if it is further than the second share
#: of its own size from where it is expected.
_ON_ANOTHER, _OFF_OWN = 0.06, 0.12


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
        sides: What speaks for exchanges; None where the skeleton has no pairs.
        suspects: The most probable first.
    """

    pool: Pool
    answers: Answers
    far: Disagreement
    sides: Exchanges | None
    suspects: tuple[Suspect, ...]


def judge(pool: Pool, answers: Answers) -> Judged:
    """Every label that is rather more probably wrong than usual, the most probable first."""
    asked = np.isfinite(answers.scores[:, 0])
    points = np.where(asked[:, None, None], pool.points, np.nan)
    about = points, pool.labels[..., 2], pool.boxes, pool.owner, _filled(answers, pool), pool.skeleton
    far, sides = disagreement(*about), exchanges(*about)
    found = [*_exchanged(pool, far, sides, asked), *_misplaced(pool, far)]
    return Judged(pool, answers, far, sides, tuple(sorted(found, key=lambda suspect: -suspect.odds)))


def _filled(answers: Answers, pool: Pool) -> Answers:
    """The answers, with numbers where nobody was asked: the labels there count as unknown."""
    middle = pool.boxes[:, None, :2] + pool.boxes[:, None, 2:] / 2
    return Answers(
        np.where(np.isfinite(answers.points), answers.points, middle),
        *(np.nan_to_num(values) for values in (answers.spread, answers.scores)),
        answers.responses,
    )


def _misplaced(pool: Pool, far: Disagreement) -> Iterator[Suspect]:
    """Points that are far from where they were expected."""
    odds = odds_of_distances(far.ratio)
    names = pool.skeleton.names
    for n, k in np.argwhere(np.nan_to_num(odds, nan=-np.inf) > LEAST_ODDS).tolist():
        other = _on_another(pool, far, n, k)
        share = far.distance[n, k]
        says = (
            f"{names[k]} lies {share:.0%} of the animal's size from where it is expected, {far.ratio[n, k]:.1f} times "
        )
        says += "as far as usual there"
        if far.mirrored[n, k]:
            says += "; the model takes it for its mirror image"
        if other is not None:
            says += f"; it lies on {names[other[1]]} of another animal"
        kind = "moved" if other is None else "elsewhere"
        yield Suspect(kind, int(pool.owner[n]), n, (k,), float(odds[n, k]), says)


#: Suspects below these log odds are not told: fewer than one in twenty is wrong.
LEAST_ODDS = float(np.log(0.05 / 0.95))


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


def _exchanged(pool: Pool, far: Disagreement, sides: Exchanges | None, asked: np.ndarray) -> Iterator[Suspect]:
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
    return f"{np.exp(min(evidence, np.log(1000))):.2g} times" if evidence < np.log(1000) else "over 1,000 times"
