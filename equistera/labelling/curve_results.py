"""What the trainings of a learning curve came to, what more pictures would give, and what that costs."""

from __future__ import annotations

import csv
import functools
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.instances import PCK
from equistera.labelling.curve_runs import Run
from equistera.labelling.power_law import MOST, Curve, fit
from equistera.skeleton import Skeleton
from equistera.tracks.swaps import limbs_of
from equistera.words import aligned, counted

#: In short: what a percentile of an interval of 95 % is.
_PERCENTILES = (50.0, 2.5, 97.5)
#: Pictures that the next ones are counted in.
STEP = 100
#: Beyond so many times the largest size that was trained, what is said rests on the law alone.
FAR = 4
#: Below this a network has learnt hardly more than a mean pose, and pictures are not what it lacks.
LEARNT = 0.1
#: Beside the scores the mean distance over all points, in shares of the animal's size.
ERROR = "normalised_error"
SCORES = {"AP": "AP", PCK: PCK, ERROR: "mean error / size"}


@dataclass(frozen=True)
class Measure:
    """One figure over all trainings, and the curve through it.

    Attributes:
        name: For people.
        pictures: float64 [R], of every training that the curve was laid through, and ``values`` what it came to.
        rising: Whether more is better, up to 1; otherwise it is a distance.
        curve: Of the errors: 1 minus a score, or the distance.
    """

    name: str
    pictures: np.ndarray
    values: np.ndarray
    rising: bool
    curve: Curve

    @property
    def now(self) -> np.ndarray:
        """float64, what the trainings with the most pictures came to."""
        return self.values[self.pictures == self.pictures.max()]

    def at(self, sizes: Sequence[float]) -> np.ndarray:
        """Median, 2.5th and 97.5th percentile of what one new training gives, float64 [M, 3], at [M] pictures."""
        errors = self.curve.runs(sizes)
        return np.percentile(np.clip(1 - errors, 0, 1) if self.rising else errors, _PERCENTILES, axis=0).T

    def gain(self, size: float, since: float | None = None) -> np.ndarray:
        """The same of what so many pictures make better than ``since`` (the most that were trained), float64 [3]."""
        law = self.curve.law([self.curve.sizes[-1] if since is None else since, size])
        return np.percentile(law[:, 0] - law[:, 1], _PERCENTILES)

    def flat(self, gain: float) -> np.ndarray:
        """The same of the pictures from which on the next :data:`STEP` make it better by less than ``gain``."""
        return np.percentile(self.curve.flat_from(gain, STEP), _PERCENTILES)


@dataclass(frozen=True)
class Results:
    """A learning curve.

    Attributes:
        runs: All trainings, and ``metrics`` what :mod:`tools/test.py <equistera.evaluation.files>` wrote of each.
        fit_up_to: The largest size that the curves were laid through.
        scores: :data:`SCORES`, and ``groups`` and ``keypoints`` PCK@0.1, by name.
        notes: What limits all that.
        split: What was scored.
        skeleton: Whose points they are.
    """

    runs: Sequence[Run]
    metrics: Sequence[dict]
    fit_up_to: int
    scores: Mapping[str, Measure]
    groups: Mapping[str, Measure]
    keypoints: Mapping[str, Measure]
    split: str
    skeleton: Skeleton
    notes: list[str] = field(default_factory=list)

    @property
    def everything(self) -> dict[str, Measure]:
        return {**self.scores, **self.groups, **self.keypoints}

    @property
    def largest(self) -> int:
        """Pictures of the largest size that the curves were laid through."""
        return max(run.pictures for run in self.runs if run.size <= self.fit_up_to)

    @functools.cached_property
    def checks(self) -> list[dict]:
        """What came with more pictures than the curves were laid through, beside what these had said of it.

        JSON-ready: measure, pictures, what was predicted and its interval, what came (a mean), whether it is inside.
        """
        rows = []
        for size in sorted({run.size for run in self.runs if run.size > self.fit_up_to}):
            of_size = [i for i, run in enumerate(self.runs) if run.size == size]
            pictures = float(np.mean([self.runs[i].pictures for i in of_size]))
            for kind, measures in (("score", self.scores), ("group", self.groups), ("keypoint", self.keypoints)):
                for key, measure in measures.items():
                    came = float(np.mean([_value(self, kind, key, i) for i in of_size]))
                    value, low, high = measure.at([pictures])[0].tolist()
                    rows.append(
                        {
                            "kind": kind,
                            "measure": key,
                            "pictures": size,
                            "trainings": len(of_size),
                            "predicted": value,
                            "interval": [low, high],
                            "came": came,
                            "inside": low <= came <= high,
                        }
                    )
        return rows


def keypoint_groups(skeleton: Skeleton) -> dict[str, list[int]]:
    """Positions of the points of every limb, both sides together, and of the middle line, by a name for people."""
    groups = {}
    for limb in limbs_of(skeleton):
        first, last = skeleton.names[limb.left[0]], skeleton.names[limb.left[-1]]
        name = first if first == last else f"{first} to {last}"
        groups[f"{name}, both sides"] = [*limb.left, *limb.right]
    in_limbs = {k for points in groups.values() for k in points}
    middle = [k for k in range(len(skeleton)) if k not in in_limbs]
    return groups | ({"middle line": middle} if middle else {})


def results_of(runs: Sequence[Run], split: str, skeleton: Skeleton, fit_up_to: int | None = None) -> Results:
    """Reads the scores of all trainings and lays curves through those of up to ``fit_up_to`` pictures.

    Raises:
        UserError: A training has no scores.
    """
    metrics = [run.metrics(split) for run in runs]
    if missing := [run.name for run, found in zip(runs, metrics, strict=True) if found is None]:
        raise UserError(f"{len(missing)} of {counted(len(runs), 'trainings')} have no scores yet:", missing)
    largest = max(run.size for run in runs) if fit_up_to is None else fit_up_to
    used = [i for i, run in enumerate(runs) if run.size <= largest]
    sizes = np.array([runs[i].pictures for i in used])
    table = {name: [found["per_keypoint"][name] for found in metrics] for name in skeleton.names}

    def measure(name: str, values: Sequence[float | None], rising: bool, points: int) -> Measure | None:
        chosen = np.array([values[i] for i in used], dtype=float)
        if not np.isfinite(chosen).all():
            return None
        # of so many points none wrong may as well be half a wrong one
        errors = np.maximum(1 - chosen if rising else chosen, 0.5 / max(points, 1) if rising else 1e-6)
        return Measure(name, sizes, chosen, rising, fit(sizes, errors))

    scores = {
        key: measure(title, [found[key] for found in metrics], key != ERROR, metrics[0]["animals"])
        for key, title in SCORES.items()
    }
    groups = {}
    for name, members in keypoint_groups(skeleton).items():
        rows = [[table[skeleton.names[k]][i][PCK] for k in members] for i in range(len(runs))]
        points = sum(table[skeleton.names[k]][0]["points"] for k in members)
        means = [np.mean(known) if (known := [v for v in row if v is not None]) else None for row in rows]
        groups[name] = measure(name, means, True, points)
    keypoints = {
        name: measure(name, [row[PCK] for row in rows], True, rows[0]["points"]) for name, rows in table.items()
    }
    scored, grouped, single = ({k: m for k, m in part.items() if m is not None} for part in (scores, groups, keypoints))
    results = Results(runs, metrics, largest, scored, grouped, single, split, skeleton)
    results.notes.extend(_notes(results, [name for name, m in keypoints.items() if m is None]))
    return results


def _notes(results: Results, unlabelled: Sequence[str]) -> list[str]:
    used = [run for run in results.runs if run.size <= results.fit_up_to]
    first = results.metrics[0]
    notes = [
        f"Scored on the {first['pictures']} pictures ({counted(first['animals'], 'animals')}) of {results.split}: "
        "another set would shift all figures together, which no interval here holds.",
    ]
    if results.split == "val":
        notes.append("The best weights were chosen by the same pictures: expect a little less of new ones.")
    if len({run.size for run in used}) < 3:
        notes.append("Two sizes say how fast it rises, not whether that slows down: the intervals are wide for it.")
    if len({run.seed for run in used}) < 2:
        notes.append("With one training a size nothing says how far another one would be off: use --seeds 3.")
    low = min(run.size for run in used)
    learnt = float(np.mean([m["AP"] for m, r in zip(results.metrics, results.runs, strict=True) if r.size == low]))
    if learnt < LEARNT:
        notes.append(
            f"With {counted(low, 'pictures')} hardly anything was learnt (AP {learnt:.3f}): more steps, or other "
            "weights to start from, may give more than pictures."
        )
    if unlabelled:
        notes.append(f"Not labelled in {results.split}, so without a curve: {', '.join(unlabelled)}.")
    return notes


def words_of(results: Results, predict: Sequence[int], labelled: int, minutes: float, flat_gain: float) -> list[str]:
    """The curve in sentences.

    Args:
        results: The curve.
        predict: Numbers of pictures that are asked about.
        labelled: Pictures that are labelled already.
        minutes: That a person labels a picture in.
        flat_gain: What the next hundred pictures must give of AP (of PCK@0.1) to be worth it.
    """
    lines = []
    for key, measure in results.scores.items():
        now = measure.now
        line = f"{measure.name}: {_figure(now.mean(), key)} with {results.largest:,} pictures"
        line += f" (mean of {counted(len(now), 'trainings')})"
        for size, row in zip(predict, measure.at(predict), strict=True):
            line += f"; {size:,} would give {_with_interval(row, key)}"
        lines.append(line + ".")
    for size in predict:
        more = size - labelled
        if more > 0:
            gain, low, high = results.scores["AP"].gain(size, since=labelled)
            lines.append(
                f"From the {labelled:,} that are labelled to {size:,} it is {more:,} pictures, "
                f"{more * minutes / 60:,.0f} hours at {minutes:g} minutes each, for AP {gain:+.3f} "
                f"({low:+.3f} to {high:+.3f})."
            )
        else:
            lines.append(f"{size:,} pictures are labelled already ({labelled:,}).")
        if size > FAR * results.largest:
            lines.append(
                f"{size:,} is {size / results.largest:.0f} times the most that was trained: what is said of it "
                "rests on the law more than on measurements."
            )
    lines += [_flat_line(results.scores[key], key, flat_gain) for key in ("AP", PCK)]
    best = _by_gain(results.keypoints, predict[0])
    if best:
        named = [f"{name} {gain:+.2f}" for name, gain in best[:3]]
        lines.append(f"Of the keypoints {predict[0]:,} pictures would help most: {', '.join(named)} ({PCK}).")
    return lines


def _flat_line(measure: Measure, key: str, flat_gain: float) -> str:
    middle, low, high = measure.flat(flat_gain)
    less = f"the next {STEP} pictures give less than {flat_gain:g} {key}"
    if middle <= measure.curve.sizes[-1]:
        return (
            f"{key} is flat: from about {_rounded(middle)} pictures on {less} (95 % interval up to {_rounded(high)})."
        )
    beyond = "never, as far as this can be told," if middle >= MOST else f"from about {_rounded(middle)} pictures on"
    return f"{key} is not flat yet: {beyond} {less} (95 % interval {_rounded(low)} to {_rounded(high)})."


def _by_gain(measures: Mapping[str, Measure], size: int) -> list[tuple[str, float]]:
    gains = {name: float(measure.gain(size)[0]) for name, measure in measures.items()}
    return sorted(gains.items(), key=lambda item: -item[1])


def _rounded(pictures: float) -> str:
    digits = max(0, math.floor(math.log10(max(pictures, 1))) - 1)
    return f"{round(pictures, -digits):,.0f}" if pictures < MOST else f"over {MOST:,}"


def _figure(value: float, key: str) -> str:
    return f"{value:.3f}"


def _with_interval(row: np.ndarray, key: str) -> str:
    value, low, high = (_figure(v, key) for v in row)
    return f"{value} ({low} to {high})"


def _value(results: Results, kind: str, key: str, i: int) -> float:
    metrics = results.metrics[i]
    if kind == "score":
        return metrics[key]
    names = results.skeleton.names
    members = [names[k] for k in keypoint_groups(results.skeleton)[key]] if kind == "group" else [key]
    return float(np.mean([v for name in members if (v := metrics["per_keypoint"][name][PCK]) is not None]))


def check_lines(checks: Sequence[dict]) -> list[str]:
    """The checks of scores and groups as a table, and how many of the keypoints' came true."""
    if not checks:
        return []
    shown = [row for row in checks if row["kind"] != "keypoint"]
    table = [["", "pictures", "predicted", "95 % interval", "came", ""]]
    table += [
        [
            SCORES.get(row["measure"], row["measure"]),
            f"{row['pictures']:,}",
            f"{row['predicted']:.3f}",
            "{:.3f} to {:.3f}".format(*row["interval"]),
            f"{row['came']:.3f}",
            "inside" if row["inside"] else "outside",
        ]
        for row in shown
    ]
    points = [row for row in checks if row["kind"] == "keypoint"]
    return [
        *aligned(table),
        f"inside: {sum(row['inside'] for row in shown)} of {len(shown)}; of single keypoints "
        f"{sum(row['inside'] for row in points)} of {len(points)}",
    ]


def points_csv(results: Results) -> str:
    """A row a training: what it trained on and all scores."""
    columns = ["size", "seed", "pictures", "groups", "animals", "epochs", "steps_per_epoch"]
    scores = ["AP", "AP50", "AP75", "AR", PCK, ERROR, "median_px"]
    points = [f"{PCK}/{name}" for name in results.skeleton.names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, *scores, *points])
    for run, metrics in zip(results.runs, results.metrics, strict=True):
        values = [metrics["per_keypoint"][name][PCK] for name in results.skeleton.names]
        writer.writerow([getattr(run, c) for c in columns] + [metrics[s] for s in scores] + values)
    return text.getvalue()


def as_json(results: Results, predict: Sequence[int], labelled: int, minutes: float, flat_gain: float) -> dict:
    """The curve for programs: scores, groups and keypoints with what was measured and what is said of more pictures."""

    def one(measure: Measure) -> dict:
        said = {
            str(size): {"value": float(row[0]), "interval": row[1:].tolist(), "gain": measure.gain(size).tolist()}
            for size, row in zip(predict, measure.at(predict), strict=True)
        }
        flat = measure.flat(flat_gain) if measure.rising else None
        return {
            "pictures": measure.pictures.tolist(),
            "values": measure.values.tolist(),
            "predictions": said,
            "flat_from": {"pictures": float(flat[0]), "interval": flat[1:].tolist()} if flat is not None else None,
        }

    return {
        "split": results.split,
        "fit_up_to": results.fit_up_to,
        "level": 0.95,
        "labelled": labelled,
        "minutes_per_picture": minutes,
        "flat_gain": {"pictures": STEP, "gain": flat_gain},
        "hours": {str(size): max(0, size - labelled) * minutes / 60 for size in predict},
        **{
            part: {key: one(measure) for key, measure in getattr(results, part).items()}
            for part in ("scores", "groups", "keypoints")
        },
        "checks": results.checks,
        "notes": list(results.notes),
    }


#: Files of a curve, beside its ``runs``.
FILES = ("curve.json", "points.csv", "curve.html")


def targets_of(folder: Path) -> list[Path]:
    """Where the curve is written."""
    return [folder / name for name in FILES]
