"""The page of a cross-validation: each figure's mean and spread, fold by fold and keypoint by keypoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equistera import html
from equistera.drawing import PALETTE, plain
from equistera.evaluation.instances import PCK
from equistera.experiments.folds import COLUMNS, Spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOTES = [
    "Each fold's model is trained without the fold's pictures and without those of the next fold, which choose its "
    "weights: so the pictures that are scored have had no say. A model that is trained on all pictures has seen more "
    "and is likely to be a little better.",
    "The interval is Nadeau and Bengio's (2003): folds share most of their training pictures, and what differs between "
    "them says less than as many independent trainings would. It is an approximation.",
]


def page(overall: Sequence[Spread], points: Sequence[Spread], words: Sequence[str], about: Mapping[str, str]) -> str:
    """The HTML, which begins with what it is about and what it says in words."""
    return html.render(
        "cross_validation.html",
        title="Cross-validation",
        about=about,
        words=words,
        notes=NOTES,
        columns=COLUMNS,
        scores=[one.row() for one in overall],
        folds=html.plot(_by_fold(overall)),
        keypoint_figure=html.plot(_by_point(points)) if points else "",
        keypoints=[one.row() for one in points],
    )


def _by_fold(overall: Sequence[Spread]) -> Figure:
    """Each training of each fold, and the mean with its interval."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9 * len(overall), 2.8), layout="constrained")
    for i, spread in enumerate(overall):
        axes = figure.add_subplot(1, len(overall), i + 1)
        low, high = spread.interval
        axes.axhspan(low, high, color=PALETTE[0], alpha=0.18, linewidth=0)
        axes.axhline(spread.mean, color=PALETTE[0], linewidth=1.5)
        for fold, values in enumerate(spread.values, start=1):
            axes.plot(np.full(len(values), fold), values, "o", color=PALETTE[1], markersize=4)
        axes.set_xticks(range(1, len(spread.values) + 1))
        axes.set_xlabel("fold", fontsize=8)
        axes.set_title(plain(spread.name), fontsize=10)
        axes.grid(color="#dddddd", linewidth=0.6)
    return figure


def _by_point(points: Sequence[Spread]) -> Figure:
    """Mean of each keypoint, and its folds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.4, 0.7 + 0.24 * len(points)), layout="constrained")
    axes = figure.add_subplot()
    for i, spread in enumerate(reversed(points)):
        axes.plot(spread.folds, np.full(len(spread.folds), i), "o", color=PALETTE[1], markersize=3)
        axes.plot(spread.mean, i, "|", color=PALETTE[0], markersize=12, markeredgewidth=2)
    axes.set_yticks(range(len(points)), [plain(spread.name) for spread in reversed(points)], fontsize=8)
    axes.set_xlabel(PCK, fontsize=8)
    axes.grid(color="#dddddd", linewidth=0.6)
    return figure
