"""How exactly people label: sigmas of OKS from animals that were labelled twice, and each labeller's bias.

COCO measured its sigmas so: ``sigma_i**2 = E[d_i**2 / s**2]`` from 5,000 pictures that were labelled several times,
``d`` the distance in the picture and ``s**2`` the animal's area (https://cocodataset.org/#keypoints-eval). ``d`` has
two axes, so sigma is sqrt(2) times the standard deviation along one of them; and it is of one label about where the
point is. The difference of two labels has twice the variance of one, so of M labels of a point::

    sigma**2 = E[ sum_j |x_j - mean(x)|**2 / (M - 1) / s**2 ]

which of two is half of their squared distance. What labellers differ by on purpose (a bias) is part of it: a model
learns from all of them. Mirror images are one anatomical point and share a sigma, as in COCO. A person who labels the
other leg says nothing of how exactly people click: such gross disagreements are left out, counted and named.

The area must be what it is where OKS is computed: here that of the annotation, of the box where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.bootstrap import LEVEL, draw_weights, interval
from equistera.evaluation.instances import share
from equistera.labelling.double_labels import DoubleLabels

#: Points of two labels with normal noise lie beyond so many times the mean squared distance once in 22,000.
GROSS = 10.0
#: With fewer points labelled twice a keypoint keeps the sigma that it has.
FEWEST = 10
DRAWS = 1000


@dataclass(frozen=True)
class Sigmas:
    """What was measured.

    Attributes:
        labels: What it was measured on.
        sigma: float64 [K]; NaN where too few points were labelled twice.
        bounds: float64 [K, 2], 95 % interval.
        with_gross: float64 [K], the same with gross disagreements counted.
        points: int64 [K], points labelled twice, those of the mirror image included, gross ones not.
        gross: Animal and keypoint of each gross disagreement, the worst first, int64 [G, 2].
        apart: float64 [G], greatest distance of two labels there, in shares of sqrt(area).
        bias: float64 [M, K, 2], mean x and y of a labeller's label minus the mean of all, in shares of sqrt(area).
        bias_bounds: float64 [M, K, 2, 2], 95 % intervals of both.
        clear: bool [M, K], biases that are no luck, all that are looked at together.
    """

    labels: DoubleLabels
    sigma: np.ndarray
    bounds: np.ndarray
    with_gross: np.ndarray
    points: np.ndarray
    gross: np.ndarray
    apart: np.ndarray
    bias: np.ndarray
    bias_bounds: np.ndarray
    clear: np.ndarray


def measure(labels: DoubleLabels, seed: int = 0) -> Sigmas:
    """Measures sigmas and biases; intervals by drawing pictures.

    Raises:
        UserError: No keypoint has enough points that were labelled twice.
    """
    skeleton, labelled = labels.skeleton, np.isfinite(labels.points[..., 0])
    times = labelled.sum(axis=1)
    centre = share(np.nansum(labels.points, axis=1), times[..., None].repeat(2, axis=-1))
    offset = (labels.points - centre[:, None]) / np.sqrt(labels.area)[:, None, None, None]
    squares = np.nansum(np.square(offset), axis=(1, 3))
    free = np.maximum(times - 1, 0)
    spread = share(squares, free)
    # a point and its mirror image together
    pair = np.minimum(np.arange(len(skeleton)), skeleton.flip_indices)
    gross = np.zeros(spread.shape, dtype=bool)
    for k in np.unique(pair):
        columns = pair == k
        known = spread[:, columns][free[:, columns] > 0]
        # of normal noise the median of squared distances is ln 2 of their mean
        if known.size:
            gross[:, columns] = spread[:, columns] > GROSS * np.median(known) / np.log(2)
    counts = (free > 0) & ~gross
    points = _pooled(counts.sum(axis=0), pair)
    if (points < FEWEST).all():
        raise UserError(
            f"too little was labelled twice: {counts.sum()} points of {len(labels)} animals",
            hint=f"A sigma needs {FEWEST} points, better 100: have 60 pictures labelled by two people",
        )
    pictures = [*dict.fromkeys(labels.pictures.tolist())]
    row = np.array([pictures.index(name) for name in labels.pictures.tolist()])
    weights = draw_weights(pictures, samples=DRAWS, seed=seed)[:, row]

    def sigma(used: np.ndarray, draws: np.ndarray) -> np.ndarray:
        total = _pooled(draws @ np.where(used, squares, 0), pair)
        return np.sqrt(share(total, _pooled(draws @ np.where(used, free, 0), pair)))

    whole, enough = np.ones((1, len(labels))), points >= FEWEST
    drawn = sigma(counts, weights)
    bounds = np.array([interval(drawn[:, k]) or [np.nan, np.nan] for k in range(len(skeleton))])
    where = np.argwhere(gross)
    apart = np.array([_apart(offset[n, :, k]) for n, k in where])
    order = np.argsort(-apart, kind="stable")
    told = np.where(enough, sigma(counts, whole)[0], np.nan)
    return Sigmas(
        labels,
        # copies of one labelling have no spread, and OKS divides by it
        sigma=np.where(told > 0, told, np.nan),
        bounds=np.where(enough[:, None], bounds, np.nan),
        with_gross=np.where(enough, sigma(free > 0, whole)[0], np.nan),
        points=points,
        gross=where[order],
        apart=apart[order],
        **_biases(offset, counts, weights),
    )


def _pooled(values: np.ndarray, pair: np.ndarray) -> np.ndarray:
    """Values by keypoint, [..., K], summed with those of the mirror image."""
    sums = np.zeros_like(values)
    np.add.at(sums.T, pair, values.T)
    return sums[..., pair]


def _apart(offsets: np.ndarray) -> float:
    known = offsets[np.isfinite(offsets[:, 0])]
    return float(np.linalg.norm(known[:, None] - known[None], axis=-1).max())


def _biases(offset: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    from scipy.stats import norm

    used = np.isfinite(offset[..., 0]) & counts[:, None]
    number = used.sum(axis=0)
    value = np.where(used[..., None], offset, 0)
    mean = share(value.sum(axis=0), number[..., None].repeat(2, axis=-1))
    mean[number < FEWEST] = np.nan
    total = np.einsum("bn,nmkc->bmkc", weights.astype(float), value)
    drawn = share(total, np.einsum("bn,nmk->bmk", weights.astype(float), used.astype(float))[..., None].repeat(2, -1))
    edges = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    with np.errstate(invalid="ignore"):
        bounds = np.moveaxis(np.nanquantile(drawn, edges, axis=0), 0, -1) if len(drawn) else np.nan
        spread = np.nanstd(drawn, axis=0)
    # of so many that are looked at one would be beyond the usual limit by luck
    limit = norm.ppf(1 - (1 - LEVEL) / 2 / max(1, np.isfinite(mean).sum()))
    clear = (np.abs(mean) > limit * spread).any(axis=-1)
    return {"bias": mean, "bias_bounds": np.where(np.isfinite(mean)[..., None], bounds, np.nan), "clear": clear}


def table(found: Sigmas) -> list[list[str]]:
    """Rows for people: keypoint, sigma as it was, measured with its interval, number of points, and gross ones."""
    rows = [["keypoint", "was", "measured", "95 % interval", "points", "gross"]]
    number = np.bincount(found.gross[:, 1], minlength=len(found.sigma)) if len(found.gross) else [0] * len(found.sigma)
    for k, point in enumerate(found.labels.skeleton.keypoints):
        known = np.isfinite(found.sigma[k])
        rows.append(
            [
                point.name,
                f"{point.sigma:.3f}",
                f"{found.sigma[k]:.4f}" if known else "kept",
                "{:.4f} to {:.4f}".format(*found.bounds[k]) if known else "-",
                str(found.points[k]),
                str(number[k]),
            ]
        )
    return rows


def bias_lines(found: Sigmas) -> list[str]:
    """A line for each labeller with biases that are no luck, in percent of sqrt(area)."""
    lines = []
    for m, name in enumerate(found.labels.labellers):
        named = []
        for k in np.flatnonzero(found.clear[m]):
            x, y = 100 * found.bias[m, k]
            named.append(f"{found.labels.skeleton.names[k]} {abs(x):.1f} {'right' if x > 0 else 'left'}, "
                         f"{abs(y):.1f} {'down' if y > 0 else 'up'}")  # fmt: skip
        if named:
            lines.append(f"{name} labels otherwise than the mean of all (% of sqrt(area)): {'; '.join(named)}")
    return lines or ["no labeller has a bias that is more than chance"]


def gross_rows(found: Sigmas) -> list[list[object]]:
    """Picture, animal's box (of the first labeller), keypoint and distance of each gross disagreement."""
    labels, rows = found.labels, []
    for (n, k), apart in zip(found.gross.tolist(), found.apart.tolist(), strict=True):
        box = labels.boxes[n][np.isfinite(labels.boxes[n, :, 0])][0]
        rows.append([labels.pictures[n], *map(float, box), labels.skeleton.names[k], round(apart, 4)])
    return rows


def skeleton_content(content: dict, found: Sigmas, about: str) -> dict:
    """The content of a skeleton's file with the sigmas that were measured, and where they come from.

    Args:
        content: Of the file that it was read from.
        found: What was measured.
        about: A sentence on it.
    """
    sigma = dict(zip(found.labels.skeleton.names, found.sigma.tolist(), strict=True))
    points = [
        {**entry, "sigma": round(sigma[entry["name"]], 4)} if np.isfinite(sigma[entry["name"]]) else entry
        for entry in content["keypoints"]
    ]
    kept = [name for name, value in sigma.items() if not np.isfinite(value)]
    note = about + (f" Not measured, kept as they were: {', '.join(kept)}." if kept else "")
    return {**content, "note": note, "keypoints": points}


def as_json(found: Sigmas) -> dict:
    """What was measured, for programs; None where it was not."""

    def plain(values: np.ndarray) -> list:
        return np.where(np.isfinite(values), values, None).tolist()

    names: Sequence[str] = found.labels.skeleton.names
    return {
        "keypoints": {
            name: {
                "sigma": plain(found.sigma[k]),
                "interval": plain(found.bounds[k]),
                "with_gross": plain(found.with_gross[k]),
                "points": int(found.points[k]),
            }
            for k, name in enumerate(names)
        },
        "gross_disagreements": len(found.gross),
        "bias": {
            labeller: {
                name: {"xy": plain(found.bias[m, k]), "interval": plain(found.bias_bounds[m, k]),
                       "clear": bool(found.clear[m, k])}
                for k, name in enumerate(names)
            }
            for m, labeller in enumerate(found.labels.labellers)
        },
    }  # fmt: skip
