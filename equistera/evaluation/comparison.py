"""Several models on the same pictures: side by side, and whether their differences could be luck."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from equistera.errors import UserError
from equistera.evaluation.bootstrap import METRICS, SAMPLES, interval, paired_p_value
from equistera.evaluation.calibration import Calibration
from equistera.evaluation.instances import PCK
from equistera.evaluation.metrics import Options, Scored
from equistera.skeleton import Skeleton

#: Metrics that pairs of models are tested in.
TESTED = ("AP", PCK, "median_px")

#: Metrics in which less is better.
SMALLER_IS_BETTER = frozenset({"median_px"})


def score_models(
    gt_coco: dict,
    results: Mapping[str, list[dict]],
    skeleton: Skeleton,
    calibrations: Mapping[str, Calibration] | None = None,
    **options,
) -> dict[str, Scored]:
    """Scores one or several models on the same pictures and the same bootstrap draws.

    Args:
        gt_coco: Content of a COCO keypoint file.
        results: COCO keypoint results by the model's name.
        skeleton: The K keypoints.
        calibrations: By the model's name, for those that have one.
        **options: Fields of :class:`~.metrics.Options` that hold for all models; 1000 draws unless given.

    Returns:
        By name of the model.

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
    """Puts models side by side and tests every pair of them.

    What makes a picture hard for every model cancels in their differences, for they are scored on the same draws. The
    p-values are not corrected for the number of pairs.

    Args:
        models: What :func:`score_models` returned, by name.

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
