"""Several models on the same pictures, whether their differences could be luck, and metrics as text for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from equistera.errors import UserError
from equistera.evaluation.bootstrap import METRICS, SAMPLES, interval, paired_p_value
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.instances import PCK
from equistera.evaluation.metrics import Options, Scored
from equistera.skeleton import Skeleton
from equistera.words import aligned, counted

#: Metrics that pairs of models are tested in.
TESTED = ("AP", PCK, "median_px")

#: Metrics in which less is better.
SMALLER_IS_BETTER = frozenset({"median_px"})

#: Titles, keys and formats of a table's columns.
COLUMNS = (
    ("points", "points", "d"),
    ("PCK@.05", "PCK@0.05", ".3f"),
    ("PCK@.1", "PCK@0.1", ".3f"),
    ("PCK@.2", "PCK@0.2", ".3f"),
    ("median px", "median_px", ".1f"),
    ("90% px", "p90_px", ".1f"),
    ("error/size", "normalised_error", ".3f"),
    ("OKS", "OKS", ".3f"),
    ("swapped", "swap_rate", ".1%"),
)


#: What the paired tests are, above their results.
PAIRED = (
    "Paired tests (each pair on the same bootstrap draws; p is not corrected for the number of tests, so with many of "
    "them expect one of 20 below 0.05 by luck):"
)


def score_models(
    gt_coco: dict,
    results: Mapping[str, list[dict]],
    skeleton: Skeleton,
    calibrations: Mapping[str, Calibration] | None = None,
    **options,
) -> dict[str, Scored]:
    """Scores one or several models on the same pictures and the same bootstrap draws.

    Args:
        gt_coco, skeleton: As for :func:`~.metrics.evaluate`.
        results: COCO keypoint results by the model's name.
        calibrations: By the model's name, for those that have one.
        **options: Fields of :class:`~.metrics.Options` that hold for all models; 1000 draws unless given.

    Raises:
        UserError: Annotations cannot be scored, or a model's predictions (the message names it).
    """
    settings = Options(**{"draws": SAMPLES, **options})
    scored = {}
    for name, predictions in results.items():
        try:
            own = replace(settings, calibration=(calibrations or {}).get(name, settings.calibration))
            scored[name] = Scored.of(gt_coco, predictions, skeleton, own)
        except UserError as error:
            raise UserError(f"model {name}: {error.summary}", error.problems, error.hint) from error
    return scored


def compare(models: Mapping[str, Scored]) -> dict:
    """Puts scored models side by side and tests every pair of them.

    What makes a picture hard for every model cancels in their differences, for they are scored on the same draws. The
    p-values are not corrected for the number of pairs.

    Returns:
        JSON-ready: ``models``, by name what :func:`~.metrics.evaluate` returns; ``pairs``, a list of
        ``{"a", "b", "metric", "difference", "interval", "p", "clear"}`` with the difference as a minus b and ``clear``
        when its 95 % interval does not hold 0.

    Raises:
        UserError: Fewer than two models, or no draws.
    """
    if len(models) < 2:
        raise UserError(f"a comparison needs at least two models, found {len(models)}")
    if not all(model.resampled for model in models.values()):
        raise UserError("a comparison needs bootstrap draws")
    pairs = [
        _test(a, b, metric, models[a], models[b])
        for a, b in itertools.combinations(models, 2)
        for metric in TESTED
        if models[a].metrics[metric] is not None and models[b].metrics[metric] is not None
    ]
    return {"models": {name: model.metrics for name, model in models.items()}, "pairs": pairs}


def winner(pair: dict) -> str | None:
    """The clearly better model of a pair, or None."""
    if not pair["clear"]:
        return None
    return pair["a"] if (pair["difference"] > 0) != (pair["metric"] in SMALLER_IS_BETTER) else pair["b"]


def in_words(pair: dict) -> str:
    """One pair's result as a sentence, the difference seen from the model named first."""
    a, b, metric = pair["a"], pair["b"], pair["metric"]
    difference, (low, high) = pair["difference"], pair["interval"]
    if winner(pair) == b:
        a, b, difference, low, high = b, a, -difference, -high, -low
    figures = (
        f"{metric} {number(difference, metric)} (95% interval {number(low, metric)} to {number(high, metric)}, "
        f"p = {pair['p']:.3f})"
    )
    if pair["clear"]:
        return f"{a} is better than {b}: {figures}."
    return f"{a} against {b}: no clear difference, {figures}."


def number(value: float | None, metric: str, signed: bool = True) -> str:
    """A metric's value or difference with the digits it deserves."""
    if value is None:
        return "-"
    digits, unit = (1, " px") if metric == "median_px" else (3, "")
    return f"{value:{'+' if signed else ''}.{digits}f}{unit}"


def with_interval(metrics: dict, metric: str) -> str:
    """``0.812 (0.774 to 0.845)``: a metric with its 95 % interval, where it has one."""
    value = number(metrics[metric], metric, signed=False)
    bounds = metrics.get("intervals", {}).get(metric)
    if bounds is None:
        return value
    low, high = (number(bound, metric, signed=False).removesuffix(" px") for bound in bounds)
    return f"{value} ({low} to {high})"


def side_by_side(models: Mapping[str, dict]) -> tuple[list[str], list[list[str]]]:
    """The table of several models: headers, and one row a metric with its interval in every model."""
    rows = [[metric, *(with_interval(model, metric) for model in models.values())] for metric in METRICS]
    return ["metric", *models], rows


def format_table(metrics: dict) -> str:
    """What :func:`~.metrics.evaluate` returned, for the eye.

    AP and AR with their intervals, a row per keypoint, the figures over all of them, what was counted, and the weak
    spots.
    """
    lines = [f"{name:<10} {with_interval(metrics, name)}" for name in METRICS]
    rows = [[name, *keypoint_cells(row)] for name, row in metrics["per_keypoint"].items()]
    summary = [["all", *keypoint_cells(metrics)]]
    summary += [[part, *keypoint_cells(metrics[part])] for part in ("visible", "hidden")]
    lines += [
        "",
        *with_rules(["keypoint", *(title for title, _, _ in COLUMNS)], rows, summary),
        "",
        what_was_counted(metrics),
    ]
    if "bootstrap" in metrics:
        lines.append(how_intervals_were_made(metrics["bootstrap"]))
    guess = metrics.get("constant_guess")
    if guess and guess["outcome"] == "better":
        lines.append(guess["verdict"])
    if metrics["weak_spots"]:
        lines += ["", "Weak spots:", *(f"  - {sentence}" for sentence in metrics["weak_spots"])]
    return "\n".join(lines)


def format_comparison(models: Mapping[str, dict], pairs: Sequence[dict] = ()) -> str:
    """Several models side by side with intervals, keypoint by keypoint, and the paired tests in words.

    Args:
        models: What :func:`~.metrics.evaluate` returned with draws, by name.
        pairs: The ``pairs`` of :func:`compare`.
    """
    first = next(iter(models.values()))
    rows = [
        [name, *(number(model["per_keypoint"][name][PCK], PCK, signed=False) for model in models.values())]
        for name in first["per_keypoint"]
    ]
    lines = [
        *with_rules(*side_by_side(models), []),
        "",
        *with_rules([PCK, *models], rows, []),
        "",
        what_was_counted(first, every_model=True),
        how_intervals_were_made(first["bootstrap"]),
    ]
    if pairs:
        lines += ["", PAIRED, *(f"  - {in_words(pair)}" for pair in pairs)]
    for name, model in models.items():
        if model["weak_spots"]:
            lines += ["", f"Weak spots of {name}:", *(f"  - {sentence}" for sentence in model["weak_spots"])]
    return "\n".join(lines)


def what_was_counted(metrics: dict, every_model: bool = False) -> str:
    """One line on what figures were computed from; without what differs from model to model for ``every_model``."""
    animals, pictures = counted(metrics["animals"], "animals"), counted(metrics["pictures"], "pictures")
    line = f"{animals} in {pictures}; PCK in shares of the animal's size: {metrics['size']}"
    if every_model:
        return line
    missed, extra = counted(metrics["missed_animals"], "animals"), counted(metrics["extra_predictions"], "predictions")
    return f"{line}; {missed} without a prediction, {extra} without an animal"


def how_intervals_were_made(bootstrap: dict) -> str:
    """One line on the intervals."""
    note = f"; {bootstrap['note']}" if "note" in bootstrap else ""
    return (
        f"{bootstrap['level']:.0%} intervals by {bootstrap['draws']} bootstrap draws of {bootstrap['count']} "
        f"{bootstrap['drawn']}{note}"
    )


def keypoint_cells(row: dict) -> list[str]:
    """The figures of :data:`COLUMNS` as text, ``-`` where there is none."""
    return ["-" if row.get(key) is None else format(row[key], form) for _, key, form in COLUMNS]


def with_rules(header: list[str], rows: list[list[str]], summary: list[list[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right, the summary under a rule."""
    head, *lines = aligned([header, *rows, *summary], right=True)
    rule = "-" * len(head)
    return [head, rule, *lines[: len(rows)], *([rule, *lines[len(rows) :]] if summary else [])]


def _test(a: str, b: str, metric: str, first: Scored, second: Scored) -> dict:
    differences = first.resampled[metric] - second.resampled[metric]
    bounds = interval(differences)
    return {
        "a": a,
        "b": b,
        "metric": metric,
        "difference": first.metrics[metric] - second.metrics[metric],
        "interval": bounds,
        "p": paired_p_value(differences),
        "clear": not bounds[0] <= 0 <= bounds[1],
    }
