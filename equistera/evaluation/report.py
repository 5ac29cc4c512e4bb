"""The evaluation report: one HTML file that opens without a network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from equistera import drawing, html
from equistera.drawing import cut, view
from equistera.errors import UserError
from equistera.evaluation import report_plots
from equistera.evaluation.bootstrap import METRICS
from equistera.evaluation.comparison import (
    COLUMNS,
    PAIRED,
    how_intervals_were_made,
    keypoint_cells,
    number,
    side_by_side,
    what_was_counted,
    winner,
    with_interval,
)
from equistera.evaluation.files import animal_rows, worst_and_typical
from equistera.evaluation.instances import CORRECT, PCK
from equistera.evaluation.keypoint_metrics import left_right_swaps
from equistera.evaluation.metrics import Scored

#: Pictures shown of the worst, of the typical and of the swapped kind: for one model, and for each of several.
SHOWN, SHOWN_OF_SEVERAL = (6, 3, 6), (3, 3, 3)

#: With more swapped keypoints than this in one picture, a caption gives their number instead of their names.
NAMED_SWAPS = 4

#: PCK@0.1 below which a keypoint's figure is marked as bad, or as a warning.
BAD, POOR = 0.5, 0.8

#: Width and height of one panel, pixels; the part of the picture is widened to this shape, so that panels line up.
PANEL = (440, 330)
GAP = 6

#: From a wrong prediction to where the point is: white; to its mirror image's place: vermillion (Okabe and Ito).
WRONG, SWAPPED = (255, 255, 255), (213, 94, 0)

DEFINITIONS = (
    "A point counts when it is labelled, visible or hidden; the last two columns are PCK@0.1 of visible and of hidden "
    "points alone. PCK@a is the share of points whose error is below a times the animal's size; over all keypoints it "
    "is the mean of the keypoints' values, while pixel errors are taken over all points together. Swapped is the share "
    "of animals in which a point lies on its mirror image. AP and AR are COCO's, with the skeleton's sigmas."
)

LEGEND = (
    "Above the annotation, below the prediction; faint points are hidden (annotation) or uncertain (prediction). A "
    f"white line leads from a point that is off by at least {CORRECT:g} of the animal's size to where it should be, an "
    "orange one from a point that lies on its mirror image."
)


def report(
    models: Mapping[str, Scored],
    load_picture: Callable[[Hashable], np.ndarray],
    title: str = "Evaluation",
    pairs: Sequence[dict] = (),
    about: Mapping[str, object] | None = None,
) -> str:
    """Writes the report of one model, or of several side by side.

    Args:
        models: Scored models by name (:func:`~.comparison.score_models`), all on the same pictures.
        load_picture: Takes an image id, gives RGB uint8 [H, W, 3] in the annotations' coordinates. A
            :class:`UserError` it raises is shown in the picture's place.
        title: Heading of the page.
        pairs: The ``pairs`` of :func:`~.comparison.compare`, to be shown.
        about: What was tested, on what and when: label and text of lines below the heading.

    Returns:
        The HTML file's content.

    Raises:
        UserError: No model.
    """
    if not models:
        raise UserError("a report needs at least one model")
    first, several = next(iter(models.values())), len(models) > 1
    how = first.metrics.get("bootstrap")
    return html.render(
        "evaluation.html",
        title=title,
        about=about or {},
        side_by_side=side_by_side({name: scored.metrics for name, scored in models.items()}),
        paired=PAIRED,
        pairs=[_paired_test(pair) for pair in pairs],
        intervals=how_intervals_were_made(how) if how else "",
        figures={
            "keypoints": html.plot(report_plots.keypoint_figure(models)),
            "pck": html.plot(report_plots.pck_figure(models)),
            "calibration": html.plot(report_plots.calibration_figure(models)),
        },
        columns=["keypoint", *(column for column, _, _ in COLUMNS), "visible", "hidden"],
        definitions=DEFINITIONS,
        legend=LEGEND,
        models={name: _model(scored, load_picture, several) for name, scored in models.items()},
    )


def _paired_test(pair: dict) -> list[str]:
    metric, better = pair["metric"], winner(pair)
    low, high = (number(bound, metric) for bound in pair["interval"])
    return [
        f"{pair['a']} minus {pair['b']}",
        metric,
        f"{number(pair['difference'], metric)} ({low} to {high})",
        f"{pair['p']:.3f}",
        html.badge(f"{better} is better", "good") if better else html.badge("no clear difference", "muted"),
    ]


def _model(scored: Scored, load: Callable, several: bool) -> dict:
    """What the page shows of one model."""
    metrics, rows = scored.metrics, animal_rows(scored)
    guess = metrics.get("constant_guess")
    worst_count, typical_count, swap_count = SHOWN_OF_SEVERAL if several else SHOWN
    worst, typical = worst_and_typical(scored, worst_count, typical_count)
    swaps = left_right_swaps(scored.animals).sum(axis=1)
    swapped = [n for n in np.argsort(-swaps, kind="stable")[:swap_count] if swaps[n]]
    return {
        "headline": {metric: with_interval(metrics, metric) for metric in METRICS},
        "counted": what_was_counted(metrics),
        "guess": guess
        and {
            **dict(zip(("verdict", "reasons"), guess["verdict"].split(" (", 1), strict=True)),
            "kind": {"better": "good", "unclear": "warning", "not better": "error"}[guess["outcome"]],
        },
        "weak_spots": [spot for spot in metrics["weak_spots"] if not guess or spot != guess["verdict"]],
        "keypoints": [_keypoint(name, row, metrics) for name, row in metrics["per_keypoint"].items()]
        + [_keypoint("all", metrics, metrics)],
        "calibration": metrics["calibration"],
        **{
            kind: [_picture(n, rows[n], scored, load) for n in chosen]
            for kind, chosen in (("worst", worst), ("typical", typical), ("swapped", swapped))
        },
    }


def _keypoint(name: str, row: dict, metrics: dict) -> list[str]:
    """The cells of a keypoint, or of all."""
    shown = dict(zip((key for _, key, _ in COLUMNS), keypoint_cells(row), strict=True))
    bounds = metrics.get("intervals", {}).get("per_keypoint", {}).get(name, {}).get(PCK)
    if bounds:
        shown[PCK] += f" ({bounds[0]:.2f} to {bounds[1]:.2f})"
    if row[PCK] is not None and row[PCK] < POOR:
        shown[PCK] = html.badge(shown[PCK], "error" if row[PCK] < BAD else "warning")
    apart = (row[part][PCK] if part in row else None for part in ("visible", "hidden"))
    return [name, *shown.values(), *("-" if value is None else f"{value:.3f}" for value in apart)]


def _picture(n: int, row: dict, scored: Scored, load: Callable) -> tuple[str, str]:
    """The panels of an animal and their caption; what is wrong, without one, where the picture cannot be read."""
    caption = f"{row['file_name']}: OKS {row['OKS']:.2f}"
    if row["median_px"] is None:
        caption += ", no prediction"
    else:
        caption += f", median {row['median_px']:.1f} px, worst {row['worst_keypoint']} {row['worst_px']:.0f} px"
    swapped = row["swapped"].split()
    if swapped:
        caption += f"; swapped: {', '.join(swapped) if len(swapped) <= NAMED_SWAPS else f'{len(swapped)} points'}"
    try:
        panels = animal_panels(load(row["image_id"]), scored, n)
    except UserError as error:
        return html.badge(f"{row['file_name']}: {error.summary}", "error"), ""
    return html.photo(panels, caption, max_side=max(panels.shape)), caption


def animal_panels(picture: np.ndarray, scored: Scored, n: int) -> np.ndarray:
    """The annotation above the prediction of the n-th animal, cut out of a picture: RGB uint8, two panels.

    On the prediction a line leads from every wrong point (error of at least 0.1 of the animal's size) to where it
    should be, in another colour where it lies on its mirror image.
    """
    animals = scored.animals
    origin, factor = view(picture.shape, animals.bbox_xywh[n], animals.keypoints[n][animals.labelled[n]], PANEL)
    truth = cut(picture, origin, factor, PANEL)
    prediction = truth.copy()
    true_points, points = (animals.keypoints[n] - origin) * factor, (animals.predictions[n] - origin) * factor
    # the page shows the panels reduced
    scale = 1.3 * drawing.stroke_scale(max(PANEL))
    drawing.draw_pose(truth, true_points, animals.skeleton, visible=animals.visibility[n], scale=scale)
    if not animals.missed[n]:
        drawing.draw_pose(prediction, points, animals.skeleton, scores=animals.scores[n], scale=scale)
        wrong = animals.sized[n] & ~animals.correct[n]
        _draw_errors(prediction, points, true_points, wrong, left_right_swaps(animals)[n])
    return np.concatenate([truth, np.full((GAP, PANEL[0], 3), 255, np.uint8), prediction])


def _draw_errors(
    image: np.ndarray, points: np.ndarray, true_points: np.ndarray, wrong: np.ndarray, swapped: np.ndarray
) -> None:
    import cv2

    for k in np.flatnonzero(wrong | swapped):
        # far-away predictions would overflow OpenCV's coordinates
        start, end = (tuple(np.clip(np.round(p), -1e4, 1e4).astype(int).tolist()) for p in (points[k], true_points[k]))
        cv2.line(image, start, end, (20, 20, 20), 4, cv2.LINE_AA)
        cv2.line(image, start, end, SWAPPED if swapped[k] else WRONG, 2, cv2.LINE_AA)
