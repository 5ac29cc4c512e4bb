"""The page of a learning curve: figures with their intervals, what more pictures would give, keypoint by keypoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from equistera import html
from equistera.drawing import PALETTE, plain
from equistera.evaluation.instances import PCK
from equistera.labelling.curve_results import SCORES, Measure, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 3
MEANING = (
    "Dots are trainings; the line and its band are what one more training with so many pictures is expected "
    "to give, with its 95 % interval. Hollow dots were trained after the curve was laid."
)


def page(results: Results, predict: Sequence[int], words: Sequence[str], about: Mapping[str, str]) -> str:
    """The HTML of a curve; the other arguments as for :func:`~.curve_results.words_of`, and what it says."""
    return html.render(
        "learning_curve.html",
        title="How many pictures?",
        about=about,
        words=words,
        notes=results.notes,
        meaning=MEANING,
        scores=html.plot(_figure(results, results.scores, "score", predict)),
        groups=html.plot(_figure(results, results.groups, "group", predict)) if results.groups else "",
        columns=[f"{PCK} of", f"{results.largest:,} pictures", *(f"{size:,} would give" for size in predict), "more"],
        keypoints=_rows(results, predict),
        checks=[_check(row) for row in results.checks if row["kind"] != "keypoint"],
    )


def _rows(results: Results, predict: Sequence[int]) -> list[list[str]]:
    """A row a keypoint, the most to be gained first."""
    rows = []
    for name, measure in results.keypoints.items():
        now = measure.now.mean()
        told = ["{:.3f} ({:.3f} to {:.3f})".format(*row) for row in measure.at(predict)]
        gain = measure.gain(predict[-1])[0]
        rows.append((gain, [name, f"{now:.3f}", *told, f"{gain:+.3f}"]))
    return [row for _, row in sorted(rows, key=lambda item: -item[0])]


def _check(row: dict) -> list[str]:
    low, high = row["interval"]
    return [
        SCORES.get(row["measure"], row["measure"]),
        f"{row['pictures']:,}",
        f"{row['predicted']:.3f} ({low:.3f} to {high:.3f})",
        f"{row['came']:.3f}",
        html.badge("inside", "good") if row["inside"] else html.badge("outside", "error"),
    ]


def _figure(results: Results, measures: Mapping[str, Measure], kind: str, predict: Sequence[int]) -> Figure:
    from matplotlib.figure import Figure

    down = -(-len(measures) // _ACROSS)
    figure = Figure(figsize=(3.8 * _ACROSS, 3.0 * down), layout="constrained")
    later = [row for row in results.checks if row["kind"] == kind]
    for i, (key, measure) in enumerate(measures.items()):
        axes = figure.add_subplot(down, _ACROSS, i + 1)
        _draw(axes, measure, predict)
        for row in later:
            if row["measure"] == key:
                axes.plot(row["pictures"], row["came"], "o", color=PALETTE[1], markerfacecolor="white")
        axes.set_title(plain(measure.name), fontsize=10)
    return figure


def _draw(axes: Axes, measure: Measure, predict: Sequence[int]) -> None:
    first = measure.curve.sizes[0]
    grid = np.geomspace(first, max(*predict, measure.curve.sizes[-1]), 40)
    middle, low, high = measure.at(grid).T
    axes.fill_between(grid, low, high, color=PALETTE[0], alpha=0.18, linewidth=0)
    axes.plot(grid, middle, color=PALETTE[0], linewidth=1.5)
    axes.plot(measure.pictures, measure.values, "o", color=PALETTE[1], markersize=4)
    axes.set_xscale("log")
    ticks = sorted({int(first), *map(int, measure.curve.sizes), *predict})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=45, fontsize=8)
    axes.minorticks_off()
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_xlabel("pictures", fontsize=8)
    if not measure.rising:
        axes.set_ylim(bottom=0)
