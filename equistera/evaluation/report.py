"""The evaluation report: one HTML file that opens without a network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from equistera import html
from equistera.errors import UserError
from equistera.evaluation import report_plots
from equistera.evaluation.comparison import number, side_by_side, winner, with_interval
from equistera.evaluation.keypoint_metrics import CORRECT
from equistera.evaluation.metrics import Scored
from equistera.evaluation.per_animal import animal_rows, left_right_swaps, worst_and_typical
from equistera.evaluation.picture_scores import METRICS, PCK
from equistera.evaluation.report_pictures import animal_panels
from equistera.evaluation.table import COLUMNS, PAIRED, counted, how_intervals_were_made, keypoint_cells

#: Pictures shown of the worst, of the typical and of the swapped kind: for one model, and for each of several.
SHOWN, SHOWN_OF_SEVERAL = (6, 3, 6), (3, 3, 3)

#: With more swapped keypoints than this in one picture, a caption gives their number instead of their names.
NAMED_SWAPS = 4

#: PCK@0.1 below which a keypoint's figure is marked as bad, or as a warning.
BAD, POOR = 0.5, 0.8

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
    blocks = [html.paragraph(html.lines(f"{label}: {text}" for label, text in about.items()))] if about else []
    blocks += [_comparison(models, pairs)] if len(models) > 1 else []
    for name, scored in models.items():
        blocks += _one_model(f"{name}: " if len(models) > 1 else "", scored, load_picture)
    return html.page(title, *blocks)


def _comparison(models: Mapping[str, Scored], pairs: Sequence[dict]) -> str:
    headers, rows = side_by_side({name: scored.metrics for name, scored in models.items()})
    verdicts = [html.paragraph(PAIRED), _paired_tests(pairs)] if pairs else []
    how = next(iter(models.values())).metrics.get("bootstrap")
    return html.section(
        "Side by side",
        html.table(headers, rows),
        *verdicts,
        *([html.paragraph(how_intervals_were_made(how))] if how else []),
        html.figure(report_plots.keypoint_figure(models), "Keypoint by keypoint"),
        html.figure(report_plots.pck_figure(models), "PCK over its threshold"),
        html.figure(report_plots.calibration_figure(models), "Confidence against the share of right points"),
    )


def _paired_tests(pairs: Sequence[dict]) -> str:
    rows = []
    for pair in pairs:
        metric, better = pair["metric"], winner(pair)
        verdict = html.badge(f"{better} is better", "good") if better else html.badge("no clear difference", "muted")
        low, high = (number(bound, metric) for bound in pair["interval"])
        difference = f"{number(pair['difference'], metric)} ({low} to {high})"
        rows.append([f"{pair['a']} minus {pair['b']}", metric, difference, f"{pair['p']:.3f}", verdict])
    return html.table(["pair", "metric", "difference (95% interval)", "p", "verdict"], rows)


def _one_model(prefix: str, scored: Scored, load: Callable) -> list[str]:
    alone = {prefix.removesuffix(": "): scored}
    figures = []
    if not prefix:
        figures = [
            html.section("Error per keypoint", html.figure(report_plots.keypoint_figure(alone))),
            html.section("PCK curves", html.figure(report_plots.pck_figure(alone))),
        ]
    return [
        *_summary(prefix, scored),
        _keypoint_table(prefix, scored),
        *figures,
        _calibration(prefix, scored, with_figure=not prefix),
        *_pictures(prefix, scored, load),
    ]


def _summary(prefix: str, scored: Scored) -> list[str]:
    metrics = scored.metrics
    guess = metrics.get("constant_guess")
    figures = html.table(METRICS, [[with_interval(metrics, metric) for metric in METRICS]])
    blocks = [figures, html.paragraph(counted(metrics))]
    if "bootstrap" in metrics:
        blocks.append(html.paragraph(f"In brackets: {how_intervals_were_made(metrics['bootstrap'])}."))
    if guess:
        verdict, reasons = guess["verdict"].split(" (", 1)
        kind = {"better": "good", "unclear": "warning", "not better": "error"}[guess["outcome"]]
        blocks.append(html.paragraph(html.Html(f"{html.badge(verdict, kind)} {html.escape('(' + reasons)}")))
    spots = [spot for spot in metrics["weak_spots"] if not guess or spot != guess["verdict"]]
    weak = [html.paragraph(spot) for spot in spots] or [html.paragraph(html.badge("None was found.", "good"))]
    return [html.section(f"{prefix}Summary", *blocks), html.section(f"{prefix}Weak spots", *weak)]


def _keypoint_table(prefix: str, scored: Scored) -> str:
    metrics = scored.metrics
    intervals = metrics.get("intervals", {}).get("per_keypoint", {})

    def cells(name: str, row: dict) -> list[str]:
        shown = dict(zip((key for _, key, _ in COLUMNS), keypoint_cells(row), strict=True))
        bounds = intervals.get(name, {}).get(PCK)
        if bounds:
            shown[PCK] += f" ({bounds[0]:.2f} to {bounds[1]:.2f})"
        if row[PCK] is not None and row[PCK] < POOR:
            shown[PCK] = html.badge(shown[PCK], "error" if row[PCK] < BAD else "warning")
        visible, hidden = (row[part][PCK] if part in row else None for part in ("visible", "hidden"))
        apart = ["-" if value is None else f"{value:.3f}" for value in (visible, hidden)]
        return [name, *shown.values(), *apart]

    headers = ["keypoint", *(title for title, _, _ in COLUMNS), "visible", "hidden"]
    rows = [cells(name, row) for name, row in metrics["per_keypoint"].items()]
    rows.append(cells("all", metrics))
    return html.section(f"{prefix}Keypoints", html.table(headers, rows), html.paragraph(DEFINITIONS))


def _calibration(prefix: str, scored: Scored, with_figure: bool) -> str:
    calibration = scored.metrics["calibration"]
    if calibration["ECE"] is None:
        return html.section(f"{prefix}Confidence", html.paragraph("No labelled point has a prediction."))
    sentence = (
        "A point is right when its error is below 0.1 of the animal's size. Mean distance between confidence and share "
        f"of right points (expected calibration error): {calibration['ECE']:.3f} uncalibrated"
    )
    if "ECE_calibrated" in calibration:
        sentence += (
            f", {calibration['ECE_calibrated']:.3f} with the calibration fitted on the validation set (temperature "
            f"{calibration['temperature']:.2f}, bias {calibration['bias']:+.2f})"
        )
    figure = [html.figure(report_plots.calibration_figure({"model": scored}))] if with_figure else []
    return html.section(f"{prefix}Confidence", html.paragraph(sentence + "."), *figure)


def _pictures(prefix: str, scored: Scored, load: Callable) -> list[str]:
    rows = animal_rows(scored)
    worst_count, typical_count, swap_count = SHOWN_OF_SEVERAL if prefix else SHOWN
    worst, typical = worst_and_typical(scored, worst_count, typical_count)
    swaps = left_right_swaps(scored).sum(axis=1)
    swapped = [n for n in np.argsort(-swaps, kind="stable")[:swap_count] if swaps[n]]
    sections = [
        html.section(f"{prefix}Worst pictures", html.paragraph(LEGEND), _gallery(worst, rows, scored, load)),
    ]
    if len(typical):
        sections.append(html.section(f"{prefix}Typical pictures", _gallery(typical, rows, scored, load)))
    if swapped:
        sections.append(html.section(f"{prefix}Left and right swapped", _gallery(swapped, rows, scored, load)))
    return sections


def _gallery(animals: np.ndarray | list[int], rows: list[dict], scored: Scored, load: Callable) -> str:
    shown = []
    for n in animals:
        row = rows[n]
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
            shown.append(html.paragraph(html.badge(f"{row['file_name']}: {error.summary}", "error")))
        else:
            shown.append(html.picture(panels, caption, max_side=max(panels.shape)))
    return html.gallery(shown, large=True)
