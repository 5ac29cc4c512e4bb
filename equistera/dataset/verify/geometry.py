"""The size of every labelled animal, and limbs whose length does not fit the others of the data set."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np

from equistera.dataset.verify.annotation_file import AnnotationFile
from equistera.dataset.verify.findings import Item

#: Animals that both ends of a limb must be labelled on before its length can be judged.
MIN_ANIMALS = 30
#: A limb is suspicious when it is this many times as long as on all but 5 % of the animals, or this many times
#: shorter than on all but 5 %. Projection shortens limbs, so short ones count only where even the shortest are long.
TOO_LONG, TOO_SHORT, NEVER_SHORT = 2.0, 6.0, 0.5


def link_lengths(points: np.ndarray, links: np.ndarray) -> np.ndarray:
    """float64 [N, L], pixels, of points [N, K, 2] and links [L, 2]; NaN where an end is NaN."""
    return np.linalg.norm(points[:, links[:, 0]] - points[:, links[:, 1]], axis=2)


def animal_sizes(lengths: np.ndarray) -> np.ndarray:
    """The size of each animal in its picture, from all its limbs.

    Every limb is compared with the same limb of the other animals. As projection only shortens limbs, an animal's size
    is the upper quartile of these ratios, which a few limbs that are foreshortened or wrong do not move.

    Args:
        lengths: [N, L] pixels, NaN where unknown.

    Returns:
        float64 [N], pixels of a typical limb seen from its side; NaN for animals with fewer than 4 known limbs.
    """
    lengths = np.where(lengths > 0, lengths, np.nan)
    known = np.isfinite(lengths).sum(axis=1)
    if not known.any():
        return np.full(len(lengths), np.nan)
    place = np.maximum(np.round(0.75 * (known - 1)).astype(int), 0)
    typical = np.ones(lengths.shape[1])
    with warnings.catch_warnings():
        # a limb without any known length stays NaN
        warnings.filterwarnings("ignore", "All-NaN slice encountered")
        for _ in range(5):
            # sorting puts NaN last
            size = np.take_along_axis(np.sort(lengths / typical, axis=1), place[:, None], axis=1)
            typical = np.nanmedian(lengths / size, axis=0)
            typical /= np.nanmedian(typical)
    return np.where(known >= 4, size[:, 0], np.nan)


def check_limbs(file: AnnotationFile) -> Iterator[Item]:
    """Limbs far longer or shorter than the data set's own: a point clicked in the wrong place."""
    links = file.skeleton.link_indices
    if not len(links) or len(file.annotations) < MIN_ANIMALS:
        return
    lengths = link_lengths(file.labelled_points, links)
    relative = lengths / animal_sizes(lengths)[:, None]
    for (a, b), ratios in zip(links.tolist(), relative.T, strict=True):
        known = np.isfinite(ratios)
        if known.sum() < MIN_ANIMALS:
            continue
        low, middle, high = np.quantile(ratios[known], [0.05, 0.5, 0.95])
        limits = high * TOO_LONG, low / TOO_SHORT if low > NEVER_SHORT * middle else 0.0
        for n in np.flatnonzero(known & ((ratios > limits[0]) | (ratios < limits[1]))).tolist():
            times = ratios[n] / middle
            how = f"{times:.1f} times as long as" if times > 1 else f"{times:.2f} of the length"
            names = f"{file.skeleton.names[a]} to {file.skeleton.names[b]}"
            text = f"{file.label(n)}: {names} is {how} usual for an animal of its size"
            yield Item("limb", text, annotation=n, points=(a, b), badness=abs(float(np.log(max(times, 1e-3)))))
