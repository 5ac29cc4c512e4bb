"""Figures of the evaluation report. Pure matplotlib figures, no global state, no display needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from equistera.drawing import PALETTE, plain
from equistera.evaluation.instances import PCK
from equistera.evaluation.keypoint_metrics import PCK_THRESHOLDS
from equistera.evaluation.metrics import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GUESS_COLOR = "#888888"
CURVE_UP_TO = 0.3

#: The share of right points among fewer than this is not drawn.
FEWEST_IN_BIN = 5


def model_color(i: int) -> str:
    """Colour of the i-th model."""
    return PALETTE[i % len(PALETTE)]


def keypoint_figure(models: Mapping[str, Scored]) -> Figure:
    """Two panels, a line a keypoint: PCK@0.1 with its interval, and the median error up to the 90th percentile."""
    names = next(iter(models.values())).animals.skeleton.names
    figure = _figure(10, 1.2 + 0.24 * len(names) * max(1.0, 0.5 + 0.3 * len(models)))
    accuracy, error = figure.subplots(1, 2, sharey=True)
    for i, (model, scored) in enumerate(models.items()):
        y = np.arange(len(names)) + (i - (len(models) - 1) / 2) * 0.6 / len(models)
        rows = [scored.metrics["per_keypoint"][name] for name in names]
        pck, median, high = (
            np.array([np.nan if row[key] is None else row[key] for row in rows]) for key in (PCK, "median_px", "p90_px")
        )
        intervals = scored.metrics.get("intervals", {}).get("per_keypoint", {})
        bounds = np.array([intervals.get(name, {}).get(PCK) or (np.nan, np.nan) for name in names])
        accuracy.hlines(y, bounds[:, 0], bounds[:, 1], color=model_color(i), alpha=0.5, linewidth=3)
        accuracy.plot(pck, y, "o", color=model_color(i), markersize=5, label=plain(model))
        error.hlines(y, median, high, color=model_color(i), alpha=0.5, linewidth=3)
        error.plot(median, y, "o", color=model_color(i), markersize=5, label=plain(model))
    accuracy.set_yticks(np.arange(len(names)), [plain(name) for name in names])
    accuracy.set_ylim(len(names) - 0.4, -0.6)
    accuracy.set_xlim(-0.02, 1.02)
    accuracy.set_xlabel("PCK@0.1" + (" with 95% interval" if "intervals" in scored.metrics else ""))
    error.set_xlim(left=0)
    error.set_xlabel("error, px: median (dot) to 90th percentile")
    for axes in (accuracy, error):
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
    if len(models) > 1:
        figure.legend(*accuracy.get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def pck_curve(scored: Scored, thresholds: np.ndarray, visibility: int | None = None) -> np.ndarray:
    """Mean over keypoints of the share of points within each threshold, float64 [T]; NaN where no point counts.

    Thresholds are shares of the animal's size; ``visibility`` takes only points with this flag (1 hidden, 2 visible).
    """
    animals = scored.animals
    points = animals.sized if visibility is None else animals.sized & (animals.visibility == visibility)
    relative = animals.error_px / animals.size[:, None]
    columns = [np.sort(relative[points[:, k], k]) for k in range(points.shape[1]) if points[:, k].any()]
    if not columns:
        return np.full(len(thresholds), np.nan)
    return np.mean([np.searchsorted(column, thresholds, side="left") / len(column) for column in columns], axis=0)


def pck_figure(models: Mapping[str, Scored]) -> Figure:
    """PCK over its threshold: every model, and the constant guess; for a single model visible and hidden points too."""
    figure = _figure(6.4, 4)
    axes = figure.subplots()
    thresholds = np.linspace(0, CURVE_UP_TO, 121)
    for i, (model, scored) in enumerate(models.items()):
        label = plain(model) if len(models) > 1 else "all points"
        axes.plot(thresholds, pck_curve(scored, thresholds), color=model_color(i), linewidth=2, label=label)
    if len(models) == 1:
        parts = (("visible", 2, "--"), ("hidden", 1, ":"))
        for part, visibility, style in parts:
            if scored.metrics[part]["points"]:
                curve = pck_curve(scored, thresholds, visibility)
                axes.plot(thresholds, curve, style, color=model_color(0), label=part)
    if scored.guess is not None:
        guess = pck_curve(scored.guess, thresholds)
        axes.plot(thresholds, guess, "-.", color=GUESS_COLOR, label="constant guess")
    for threshold in PCK_THRESHOLDS:
        axes.axvline(threshold, color="#dddddd", linewidth=1, zorder=0)
    axes.set(xlim=(0, CURVE_UP_TO), ylim=(0, 1.01), xlabel=f"threshold, share of {plain(scored.metrics['size'])}")
    axes.set_ylabel("share of points within it")
    axes.grid(axis="y", color="#dddddd")
    axes.legend(loc="lower right")
    return figure


def calibration_figure(models: Mapping[str, Scored]) -> Figure:
    """Reliability curves: share of right points over confidence, and below how many points have that confidence.

    Of one model both kinds of confidence are drawn, of several the calibrated ones where there are any.
    """
    figure = _figure(6.4, 4.6)
    curve_axes, count_axes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    curve_axes.plot([0, 1], [0, 1], color=GUESS_COLOR, linewidth=1, label="as it should be")
    for i, (model, scored) in enumerate(models.items()):
        calibration = scored.metrics["calibration"]
        curves = {"uncalibrated": ("reliability", "o-"), "calibrated": ("reliability_calibrated", "s--")}
        if "reliability_calibrated" not in calibration:
            del curves["calibrated"]
        elif len(models) > 1:
            del curves["uncalibrated"]
        for kind, (key, style) in curves.items():
            label = plain(f"{model}, {kind}") if len(models) > 1 else kind
            filled = [entry for entry in calibration[key] if entry["points"] >= FEWEST_IN_BIN]
            x, y = ([entry[axis] for entry in filled] for axis in ("confidence", "correct"))
            curve_axes.plot(x, y, style, color=model_color(i), markersize=4, label=label)
        bins = calibration["reliability"]
        middles = [(b["low"] + b["high"]) / 2 for b in bins]
        count_axes.step(middles, [b["points"] for b in bins], where="mid", color=model_color(i))
    curve_axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share of right points (PCK@0.1)")
    curve_axes.grid(color="#dddddd")
    curve_axes.legend(loc="best", fontsize=8)
    count_axes.set(xlabel="confidence", ylabel="points")
    count_axes.set_ylim(bottom=0)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
