"""Left and right exchanged: which annotations look more like the others of the data set once a part is mirrored.

For every left-right pair three numbers are taken: how far the left point stands to the right of the right one and how
far below it, in animal sizes, and how much more visible it is. Below and more visible mean nearer to the camera; both
are turned round where the animal looks to the right, so that the left side counts as the near one everywhere.

The numbers of an animal are compared with one multivariate t distribution of the whole data set. It
knows that the eyes go with the ears, a knee with its fetlock, and the near side with what is visible; its heavy tails
keep the wrong labels that it is looking for from shaping it. A part is suspected where the numbers become far more
probable with its points exchanged, and ordinary then. Where legs hide each other nothing can be said, and nothing is.

Horses with the points of ``horse26`` are compared with synthetic ones besides, so that one animal is enough. In sets of
71 of which 6 have a part exchanged it finds, of other synthetic horses and of stick horses that
have nothing to do with the reference: forelegs 67 and 37 %, hind legs 76 and 46 %, knees 76 and 41 %, eyes 69 and 22 %,
a hoof 67 and 39 %, the whole animal 31 and 2 %. None of the 585 others is suspected; in a set of 723, one is. So what
is suspected deserves a look, and what is not may be wrong all the same, whole animals above all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from equistera.dataset.anatomy import reference_for
from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Item, not_checked
from equistera.dataset.verify.geometry import animal_sizes, link_lengths
from equistera.dataset.verify.student_t import StudentT
from equistera.skeleton import Skeleton

#: Names that tell front from rear: the line between them is where the body, and by itself the head, looks to.
_FRONT, _REAR, _HEAD, _NOSE = ("nose", "neck", "throat", "wither"), ("tail", "back"), ("eye", "ear"), ("nose",)
#: Below this cosine of the heading an animal looks towards or away from the camera: no side is the near one.
_FRONTAL = 0.15
#: A pair cannot be further apart than this many animal sizes (typical limbs): one of its points is elsewhere.
_APART = 8.0


@dataclass(frozen=True)
class Views:
    """The numbers of N annotations with P pairs.

    Attributes:
        pairs: float64 [N, P, 3]: left point to the right of the right one; below it and more visible, where the left
            side counts as near. Exchanging a pair's labels changes the sign of its three. NaN where unknown.
        headings: float64 [N, 2], of body and head: about 1 looks to the left of the picture, 0 towards or away from
            the camera, -1 to the right.
    """

    pairs: np.ndarray
    headings: np.ndarray


def pairs_of(skeleton: Skeleton) -> np.ndarray:
    """int64 [P, 2]: left and right point of every pair."""
    return np.array(
        [(i, skeleton.index[k.swap]) for i, k in enumerate(skeleton.keypoints) if k.swap and k.side == "left"],
        dtype=np.int64,
    ).reshape(-1, 2)


def views_of(points: np.ndarray, flags: np.ndarray, skeleton: Skeleton) -> Views:
    """Takes the numbers.

    Args:
        points: float [N, K, 2] pixels, NaN where not labelled.
        flags: [N, K] visibility.
        skeleton: Names, pairs and links.
    """
    pairs = pairs_of(skeleton)
    size = animal_sizes(link_lengths(points, skeleton.link_indices))
    headings = _headings(points, size, skeleton)
    offset = (points[:, pairs[:, 0]] - points[:, pairs[:, 1]]) / size[:, None, None]
    with np.errstate(invalid="ignore"):
        offset[np.abs(offset) > _APART] = np.nan
    more_visible = flags[:, pairs[:, 0]].astype(float) - flags[:, pairs[:, 1]]
    left_is_near = np.where(np.abs(headings) > _FRONTAL, np.sign(headings), np.nan)
    on_head = np.array([_has(skeleton.names[a], _HEAD) for a in pairs[:, 0]], dtype=int)
    near = left_is_near[:, on_head]
    return Views(np.stack([offset[..., 0], offset[..., 1] * near, more_visible * near], axis=2), headings)


def _headings(points: np.ndarray, size: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    middle = [k.name for k in skeleton.keypoints if not k.swap]
    body = [n for n in middle if _has(n, _FRONT)], [n for n in middle if _has(n, _REAR)]
    head = [n for n in middle if _has(n, _NOSE)], [n for n in skeleton.names if _has(n, _HEAD)]
    columns = []
    for front, rear in (body, head):
        front_x, rear_x = (_mean_known(points[:, [skeleton.index[n] for n in names], 0]) for names in (front, rear))
        reach = (rear_x - front_x) / size
        # seen from the side the line has its full length, which is about what one animal in ten shows
        known = np.isfinite(reach)
        full = np.quantile(np.abs(reach[known]), 0.9) if known.any() else 1.0
        columns.append(reach / max(full, 1e-9))
    return np.stack(columns, axis=1)


def _has(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name.casefold() for word in words)


def _mean_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


#: Below this number of annotations nothing can be said where there is no reference.
MIN_ANIMALS = 100
#: Natural logarithm of how many times more probable the exchanged labels must be. Of 663 synthetic horses without a
#: mistake in a set of 723, two lie above 11 and one above 12; of 4,000 simpler ones the largest was 10.
MIN_EVIDENCE = 12.0
#: The same with a reference, which the data set may differ from in breed and in how its people label: on 600 stick
#: horses in sets of 20 to 250 the largest was 12.
MIN_EVIDENCE_WITH_REFERENCE = 13.0
#: The exchanged labels may be this many times as far from the middle of the data set as the average animal, squared.
MAX_ODDITY = 2.0
#: Errors of a careful click, in animal sizes, and of a visibility flag.
_CLICK, _FLAG = 0.05, 0.3

#: Annotations compared at a time, to bound memory.
_CHUNK = 1000

#: For the data set as a whole: side views needed, what counts as one, and the share that must say the same.
_SIDE_VIEWS, _SIDE_ON, _AGREEING = 30, 0.6, 0.85


def parts_of(skeleton: Skeleton) -> dict[tuple[int, ...], str]:
    """What an annotator may have exchanged together, as positions among :func:`pairs_of`, with a name for people.

    Every run of linked pairs (a leg, its lower half, one joint, the eyes) such as ``l_knee/r_knee, lf_hoof/rf_hoof``,
    and all pairs together.
    """
    pairs = pairs_of(skeleton)
    of_left = {int(left): p for p, left in enumerate(pairs[:, 0])}
    neighbours: dict[int, set[int]] = {p: set() for p in range(len(pairs))}
    for a, b in skeleton.link_indices.tolist():
        if a in of_left and b in of_left:
            neighbours[of_left[a]].add(of_left[b])
            neighbours[of_left[b]].add(of_left[a])
    runs = grown = {frozenset({p}) for p in neighbours}
    while grown:
        grown = {run | {q} for run in grown for p in run for q in neighbours[p] - run} - runs
        runs = runs | grown
    everything = frozenset(neighbours)
    names = {run: ", ".join("/".join(skeleton.names[k] for k in pairs[p]) for p in sorted(run)) for run in runs}
    names[everything] = "the whole animal"
    return {tuple(sorted(run)): names[run] for run in sorted(names, key=sorted) if run}


def swap_evidence(views: Views, parts: Collection[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Compares every annotation as it is with every part exchanged.

    Args:
        views: Numbers of N annotations.
        parts: The M exchanges to try, each the positions of its pairs.

    Returns:
        float64 [N, M]: the logarithm of the likelihood ratio in favour of the exchange, and the oddity of the exchanged
        labels: their squared Mahalanobis distance per known number, about 1 for the average animal.
    """
    count, pairs = views.pairs.shape[:2]
    # how much the animal is seen from its side stands beside the numbers that depend on it; no exchange changes it
    rows = np.concatenate([views.pairs.reshape(count, -1), np.abs(views.headings)], axis=1)
    floor = np.array([_CLICK, _CLICK, _FLAG] * pairs + [_CLICK] * 2)
    signs = np.ones((len(parts), len(floor)))
    for row, part in zip(signs, parts, strict=True):
        row[: 3 * pairs].reshape(pairs, 3)[list(part)] = -1
    distribution = StudentT.fit(rows, floor)
    evidence, oddity = np.zeros((2, count, len(parts)))
    for start in range(0, count, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        known = np.maximum(np.isfinite(rows[chunk]).sum(axis=1, keepdims=True), 1)
        as_it_is = distribution.distances(rows[chunk, None])
        exchanged = distribution.distances(rows[chunk, None] * signs)
        evidence[chunk] = distribution.log_ratio(exchanged, as_it_is, known)
        oddity[chunk] = exchanged / known
    return evidence, oddity


def check_swaps(file: AnnotationFile) -> Iterator[Item]:
    """Annotations in which left and right of some part seem exchanged, and a data set where they are throughout."""
    parts = parts_of(file.skeleton)
    animals = int(file.labelled.any(axis=1).sum())
    if not parts or not animals:
        return
    reference = reference_for(file.skeleton)
    views = _views_beside(file, reference)
    own = Views(views.pairs[: len(file.annotations)], views.headings[: len(file.annotations)])
    throughout = list(_exchanged_throughout(own))
    yield from throughout
    if any(item.code == "sides-exchanged" for item in throughout):
        # against the reference each of them would be suspected again; among themselves the odd ones still stand out
        reference = None
    # what is usual in this set, and what is usual with horses: either may show what the other hides
    comparisons = [(own, MIN_EVIDENCE)] if animals >= MIN_ANIMALS else []
    comparisons += [(views, MIN_EVIDENCE_WITH_REFERENCE)] if reference is not None else []
    if not comparisons:
        yield not_checked("left and right of single animals", animals, "labelled animals", MIN_ANIMALS)
        return
    surplus = np.full((len(file.annotations), len(parts)), -np.inf)
    for compared, enough in comparisons:
        evidence, oddity = (values[: len(surplus)] for values in swap_evidence(compared, parts))
        surplus = np.maximum(surplus, np.where(oddity <= MAX_ODDITY, evidence - enough, -np.inf))
    pairs = pairs_of(file.skeleton)
    for n in np.flatnonzero(surplus.max(axis=1) > 0).tolist():
        best, name = list(parts.items())[surplus[n].argmax()]
        points = tuple(pairs[list(best)].ravel().tolist())
        yield Item("swap", f"{file.label(n)}: {name}", annotation=n, points=points, badness=float(surplus[n].max()))


def _views_beside(file: AnnotationFile, reference: np.ndarray | None) -> Views:
    """Of the file's annotations and, behind them, of the reference: what is usual is taken from both."""
    points, flags = file.labelled_points, file.flags
    if reference is not None:
        placed = np.where(reference[..., 2:] > 0, reference[..., :2], np.nan)
        points, flags = np.concatenate([points, placed]), np.concatenate([flags, reference[..., 2]])
    return views_of(points, flags, file.skeleton)


def _exchanged_throughout(views: Views) -> Iterator[Item]:
    """An animal that looks to the left shows its left side; the distribution alone could not tell."""
    side_on = np.abs(views.headings[:, 0]) > _SIDE_ON
    if side_on.sum() < _SIDE_VIEWS:
        yield not_checked("left and right of the whole set", int(side_on.sum()), "side views", _SIDE_VIEWS)
        return
    for column, meaning in ((2, "has the more visible points"), (1, "stands lower in the picture, as the nearer one")):
        values = np.nansum(views.pairs[side_on, :, column], axis=1)
        telling = values[values != 0]
        against = int((telling < 0).sum())
        if len(telling) >= _SIDE_VIEWS and against > _AGREEING * len(telling):
            text = f"in {against} of {len(telling)} side views the side that should be the far one {meaning}"
            yield Item("sides-exchanged", text, badness=against)
