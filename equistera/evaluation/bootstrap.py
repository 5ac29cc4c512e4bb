"""Intervals and paired tests by resampling pictures.

The pictures of a test set are one draw of those that might have been taken. Drawing as many again from them, with
replacement, and scoring each draw shows how far a figure would wander (Efron and Tibshirani, "An introduction to the
bootstrap", 1993; the intervals are the percentile method of its chapter 13). Pictures of one horse or one video
resemble each other: give groups, and whole groups are drawn.

A draw is a vector of weights, how often each picture was drawn. Every metric is computed from weights without
scoring anything again, AP included (see :mod:`~.picture_scores`).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from equistera.errors import UserError

SAMPLES = 1000
LEVEL = 0.95

#: With fewer pictures (or groups) than this, percentile intervals are known to be too narrow.
FEW = 20


def draw_weights(
    image_ids: Sequence, groups: Mapping[Hashable, Hashable] | None = None, samples: int = SAMPLES, seed: int = 0
) -> np.ndarray:
    """How often every picture occurs in every draw.

    Args:
        image_ids: The I pictures.
        groups: The group of every picture, by id; None draws single pictures.
        samples: Number B of draws.
        seed: The same seed gives the same draws, so that models can be compared on them.

    Returns:
        int64 [B, I].

    Raises:
        UserError: Pictures without a group, or no draws wanted.
    """
    if samples < 1:
        raise UserError(f"the number of bootstrap draws must be at least 1, found {samples}")
    if groups is None:
        member = np.arange(len(image_ids))
    else:
        without = [str(image_id) for image_id in image_ids if image_id not in groups]
        if without:
            raise UserError("pictures without a group:", without)
        order = {group: i for i, group in enumerate(dict.fromkeys(groups[image_id] for image_id in image_ids))}
        member = np.array([order[groups[image_id]] for image_id in image_ids])
    count = int(member.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=samples)
    return drawn[:, member]


def unit_count(image_ids: Sequence, groups: Mapping[Hashable, Hashable] | None = None) -> int:
    """Number of pictures, or of groups, that are drawn from."""
    return len(image_ids) if groups is None else len({groups[image_id] for image_id in image_ids})


def interval(values: np.ndarray, level: float = LEVEL) -> list[float] | None:
    """Percentile interval of a figure's draws.

    Args:
        values: float [B]; draws in which nothing counted are NaN and left out.
        level: Share of the draws inside.

    Returns:
        ``[low, high]``, or None without a finite draw.
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    return [float(v) for v in np.percentile(values, [50 * (1 - level), 50 * (1 + level)])]


def paired_p_value(differences: np.ndarray) -> float | None:
    """Two-sided p-value that two models are equally good, from differences on the same draws.

    Twice the share of draws on the wrong side of zero, a draw of exactly zero on both sides, one draw added so that
    it is never 0 (Efron and Tibshirani 1993, chapters 15 and 16; Koehn, "Statistical significance tests for machine
    translation evaluation", 2004).

    Args:
        differences: float [B], one model's figure minus the other's, both on draw b.

    Returns:
        p in (0, 1], or None without a finite draw.
    """
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return None
    tail = min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0))
    return float(min(1.0, 2 * (tail + 1) / (differences.size + 1)))
