"""Several models on the same pictures: side by side, and whether their differences could be luck."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from equistera.errors import UserError
from equistera.evaluation.bootstrap import SAMPLES, interval, paired_p_value
from equistera.evaluation.metrics import Options, Scored
from equistera.evaluation.picture_scores import METRICS, PCK
from equistera.skeleton import Skeleton

#: Metrics that pairs of models are tested in.
TESTED = ("AP", PCK, "median_px")

#: Metrics in which less is better.
SMALLER_IS_BETTER = frozenset({"median_px"})


def compare(gt_coco: dict, results: Mapping[str, list[dict]], skeleton: Skeleton, **options) -> dict:
    """Scores several models and tests every pair of them.

    All models are scored on the same bootstrap draws, so that what makes a picture hard for every model cancels in
    their differences. The p-values are not corrected for the number of pairs.

    Args:
        gt_coco: Content of a COCO keypoint file.
        results: COCO keypoint results by the model's name.
        skeleton: The K keypoints.
        **options: Fields of :class:`~.metrics.Options`; 1000 draws unless given.

    Returns:
        JSON-ready: ``models``, by name what :func:`~.metrics.evaluate` returns; ``pairs``, a list of
        ``{"a", "b", "metric", "difference", "interval", "p", "clear"}`` with the difference as a minus b and ``clear``
        when its 95 % interval does not hold 0.

    Raises:
        UserError: Fewer than two models, no draws, or a model's predictions cannot be scored (the message names it).
    """
    if len(results) < 2:
        raise UserError(f"a comparison needs at least two models, found {len(results)}")
    settings = Options(**{"draws": SAMPLES, **options})
    if settings.draws < 1:
        raise UserError("a comparison needs bootstrap draws")
    scored = {}
    for name, predictions in results.items():
        try:
            scored[name] = Scored.of(gt_coco, predictions, skeleton, settings)
        except UserError as error:
            raise UserError(f"model {name}: {error.summary}", error.problems, error.hint) from error
    pairs = [
        _test(a, b, metric, scored[a], scored[b])
        for a, b in itertools.combinations(scored, 2)
        for metric in TESTED
        if scored[a].metrics[metric] is not None and scored[b].metrics[metric] is not None
    ]
    return {"models": {name: model.metrics for name, model in scored.items()}, "pairs": pairs}


def in_words(pair: dict) -> str:
    """One pair's result as a sentence."""
    a, b, metric = pair["a"], pair["b"], pair["metric"]
    low, high = pair["interval"]
    figures = (
        f"{metric} differs by {number(pair['difference'], metric)} (95 % interval {number(low, metric)} to "
        f"{number(high, metric)}, p = {pair['p']:.3f})"
    )
    if not pair["clear"]:
        return f"{a} and {b}: no clear difference; {figures}."
    better = a if (pair["difference"] > 0) != (metric in SMALLER_IS_BETTER) else b
    return f"{better} is better than {b if better == a else a}: {figures}."


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
    return f"{value} ({' to '.join(number(bound, metric, signed=False) for bound in bounds)})"


def side_by_side(models: Mapping[str, dict]) -> tuple[list[str], list[list[str]]]:
    """The table of several models: headers, and one row a model with its intervals."""
    headers = ["model", *METRICS]
    return headers, [[name, *(with_interval(model, metric) for metric in METRICS)] for name, model in models.items()]


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
