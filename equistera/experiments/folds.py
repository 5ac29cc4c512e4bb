"""What the trainings of a cross-validation came to: mean and spread over folds and seeds, overall and by keypoint."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from equistera.evaluation.instances import PCK
from equistera.experiments.runs import ScoredRun, tool_command
from equistera.words import aligned

#: What is told overall, and how it is called; of the others in shares of the animal's size less is better.
SCORES = {"AP": "AP", "AP75": "AP75", PCK: PCK, "normalised_error": "mean error / size"}


@dataclass(frozen=True)
class FoldRun(ScoredRun):
    """One training: without the pictures that it is scored on, and those that choose its weights.

    Attributes:
        fold: From 1.
        seed: Of the training.
        pictures: That it trains on, ``chosen_on`` and ``scored_on``: numbers of pictures.
        folder: Its work dir.
        entries: ``--cfg-options`` of its data.
    """

    fold: int
    seed: int
    pictures: int
    chosen_on: int
    scored_on: int
    folder: Path
    entries: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"fold {self.fold}, seed {self.seed}"

    def train_command(self, config: str, options: Sequence[str], overrides: Sequence[str]) -> list[str]:
        """``tools/train.py`` that begins, goes on with or finds finished this training; see the tool."""
        words = ["--work-dir", str(self.folder), "--resume", "--seed", str(self.seed), *options]
        return tool_command("train", config, *words, "--cfg-options", *overrides, *self.entries)


@dataclass(frozen=True)
class Spread:
    """One figure over all folds and seeds.

    Attributes:
        name: For people.
        values: float64 [K, S], of each fold and seed; NaN where a fold has no such point.
        share: Pictures that a training is scored on, over those that it is trained on.
    """

    name: str
    values: np.ndarray
    share: float

    @property
    def folds(self) -> np.ndarray:
        """float64, the mean over seeds of each fold that has one."""
        means = np.array(
            [fold[np.isfinite(fold)].mean() if np.isfinite(fold).any() else np.nan for fold in self.values]
        )
        return means[np.isfinite(means)]

    @property
    def mean(self) -> float:
        return float(self.folds.mean()) if len(self.folds) else math.nan

    @property
    def over_folds(self) -> float:
        """Standard deviation over folds: other pictures to train and to be scored on."""
        return float(self.folds.std(ddof=1)) if len(self.folds) > 1 else math.nan

    @property
    def over_seeds(self) -> float:
        """Standard deviation over seeds within a fold: the same pictures, other draws; NaN of one seed."""
        if self.values.shape[1] < 2 or not len(self.folds):
            return math.nan
        return float(math.sqrt(np.nanmean(np.var(self.values, axis=1, ddof=1))))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean, whose trainings share most of their pictures.

        C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003): the variance of
        the mean of K folds is taken for 1 / K + scored / trained times that over folds, not for 1 / K times.
        """
        count = len(self.folds)
        half = stdtrit(count - 1, 0.975) * self.over_folds * math.sqrt(1 / count + self.share) if count > 1 else 0
        return (self.mean - half, self.mean + half) if count > 1 else (math.nan, math.nan)

    def row(self) -> list[str]:
        """Its cells of a table: mean, interval, spread over folds, lowest and highest fold, spread over seeds."""
        low, high = self.interval
        ends = f"{self.folds.min():.3f} to {self.folds.max():.3f}" if len(self.folds) else ""
        seeds = f"{self.over_seeds:.3f}" if math.isfinite(self.over_seeds) else ""
        return [self.name, f"{self.mean:.3f}", f"{low:.3f} to {high:.3f}", f"{self.over_folds:.3f}", ends, seeds]


COLUMNS = ["", "mean", "95 % interval", "sd of folds", "lowest to highest fold", "sd of seeds"]


def spreads(runs: Sequence[FoldRun], metrics: Sequence[Mapping], keypoints: Sequence[str]) -> tuple[list, list]:
    """The figures overall, and PCK@0.1 of each keypoint, the lowest first.

    Args:
        runs: All trainings.
        metrics: What ``tools/test.py`` wrote of each.
        keypoints: Their names.
    """
    folds, seeds = sorted({run.fold for run in runs}), sorted({run.seed for run in runs})
    share = float(np.mean([run.scored_on / run.pictures for run in runs]))

    def spread(name: str, figure) -> Spread:
        values = np.full((len(folds), len(seeds)), np.nan)
        for run, own in zip(runs, metrics, strict=True):
            value = figure(own)
            if value is not None:
                values[folds.index(run.fold), seeds.index(run.seed)] = value
        return Spread(name, values, share)

    overall = [spread(name, lambda own, key=key: own[key]) for key, name in SCORES.items()]
    points = [spread(name, lambda own, name=name: _of_point(own, name)) for name in keypoints]
    return overall, sorted((one for one in points if len(one.folds)), key=lambda one: one.mean)


def _of_point(metrics: Mapping, name: str) -> float | None:
    row = metrics["per_keypoint"].get(name) or {}
    return row.get(PCK) if row.get("points") else None


def words_of(overall: Sequence[Spread], points: Sequence[Spread], folds: int, seeds: int) -> list[str]:
    """A table for the console, and what the figures say in words."""
    lines = [f"  {line}" for line in aligned([COLUMNS, *(one.row() for one in overall)])]
    ap = overall[0]
    low, high = ap.interval
    lines += [
        "",
        f"AP {ap.mean:.3f}, 95 % interval {low:.3f} to {high:.3f}, over {folds} folds, none of whose pictures its "
        "model was trained or chosen on.",
    ]
    if math.isfinite(ap.over_seeds) and seeds > 1:
        lines.append(f"Folds differ by {ap.over_folds:.3f} (sd), seeds of one fold by {ap.over_seeds:.3f}.")
    if points:
        worst = ", ".join(f"{one.name} {one.mean:.2f} ({one.row()[4]})" for one in points[:3])
        lines.append(f"Lowest {PCK}, with its lowest and highest fold: {worst}.")
    return lines


def as_json(overall: Sequence[Spread], points: Sequence[Spread]) -> dict:
    """The same for programs."""

    def one(spread: Spread) -> dict:
        values = [[None if math.isnan(value) else value for value in fold] for fold in spread.values.tolist()]
        figures = {"mean": spread.mean, "sd_of_folds": spread.over_folds, "sd_of_seeds": spread.over_seeds}
        figures |= dict(zip(("low", "high"), spread.interval, strict=True))
        return {"values": values, **{key: value if math.isfinite(value) else None for key, value in figures.items()}}

    return {
        "scores": {key: one(spread) for key, spread in zip(SCORES, overall, strict=True)},
        "keypoints": {spread.name: one(spread) for spread in points},
    }


def table(runs: Sequence[FoldRun], metrics: Sequence[Mapping]) -> str:
    """A row a training, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["fold", "seed", "pictures", "scored_on", *SCORES, "work_dir"])
    for run, own in zip(runs, metrics, strict=True):
        writer.writerow(
            [run.fold, run.seed, run.pictures, run.scored_on, *(own[key] for key in SCORES), run.folder.name]
        )
    return text.getvalue()
