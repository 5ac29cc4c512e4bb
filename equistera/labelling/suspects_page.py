"""The page to go through suspects: each animal as it is labelled and as models see it, and what speaks against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from equistera import drawing, html
from equistera.dataset.images import read_reduced
from equistera.errors import UserError
from equistera.labelling.suspect_files import CSV, in_words
from equistera.labelling.suspects import KINDS, Judged, Suspect
from equistera.progress import track
from equistera.words import counted

#: Animals on the page at most: each takes about 60 kB.
SHOWN = 200
#: Longest side to which photos are reduced for drawing; width and height of each half of a figure, pixels.
_DECODED, _PANEL = 1600, (420, 360)
#: Lines about one animal at most.
_LINES = 6
_MARK = (255, 64, 64)


def page(judged: Judged, about: Mapping[str, str], next_steps: Sequence[str], shown: int = SHOWN) -> str:
    """The HTML page.

    Args:
        judged: The suspects.
        about: What they were found with.
        next_steps: What to do with them.
        shown: Animals on it at most.
    """
    animals = by_animal(judged.suspects)
    chosen = animals[:shown]
    return html.render(
        "suspects.html",
        title="Labels that are probably wrong",
        about=about,
        summary=in_words(judged.suspects),
        next=next_steps,
        animals=[_figure(judged, own) for own in track(chosen, "drawing suspects", unit="animals")],
        left=len(animals) - len(chosen),
        table=CSV,
    )


def by_animal(suspects: Sequence[Suspect]) -> list[list[Suspect]]:
    """The suspects of each animal together, in the order of the most probable one of each."""
    found: dict[object, list[Suspect]] = defaultdict(list)
    for suspect in suspects:
        found[suspect.animal if suspect.animal is not None else (suspect.picture, suspect.box)].append(suspect)
    return list(found.values())


def _figure(judged: Judged, suspects: Sequence[Suspect]) -> tuple[str, str, list[tuple[str, str, str]]]:
    """The drawing, where it is from, and a line for each suspect: what it is, how emphasised, and why."""
    pool, first = judged.pool, suspects[0]
    picture = pool.pictures[first.picture]
    where = f"{picture.source.name}: {picture.image['file_name']}"
    if first.animal is not None:
        where += f", annotation {pool.annotations[first.animal]['id']}"
    told = []
    for suspect in suspects[:_LINES]:
        emphasis = "error" if suspect.probability >= 0.9 else "warning" if suspect.probability >= 0.5 else "info"
        told.append((f"{KINDS[suspect.kind]}, {_percent(suspect.probability)}", emphasis, suspect.says))
    if len(suspects) > _LINES:
        told.append(("", "muted", f"and {counted(len(suspects) - _LINES, 'suspects')} more"))
    try:
        image = read_reduced(picture.path, _DECODED)
    except UserError as error:
        return html.badge(error.summary, "error"), where, told
    drawn = _drawn(judged, image, suspects)
    return html.photo(drawn, "; ".join(suspect.says for suspect in suspects), max_side=max(drawn.shape)), where, told


def _percent(probability: float) -> str:
    # nothing is certain
    return "over 99%" if probability > 0.99 else f"{probability:.0%}"


def _drawn(judged: Judged, image: np.ndarray, suspects: Sequence[Suspect]) -> np.ndarray:
    """The label with what is suspected, and the models' answer, side by side."""
    pool, first = judged.pool, suspects[0]
    width = pool.pictures[first.picture].image.get("width")
    scale = image.shape[1] / width if isinstance(width, (int, float)) and width > 0 else 1.0
    n = first.animal
    box = scale * (pool.boxes[n] if n is not None else np.array(first.box))
    points = scale * pool.points[n] if n is not None else np.zeros((0, 2))
    corner, factor = _view(image.shape, box, points)
    left = drawing.cut(image, corner, factor, _PANEL)
    right = left.copy()
    strokes = drawing.stroke_scale(max(_PANEL))
    for canvas in (left, right):
        drawing.draw_box(canvas, np.concatenate([box[:2] - corner, box[2:]]) * factor)
    if n is None:
        return drawing.side_by_side(left, right)
    labels, expected = ((values - corner) * factor for values in (points, scale * judged.far.expected[n]))
    answers = (scale * judged.answers.points[n] - corner) * factor
    drawing.draw_pose(left, labels, pool.skeleton, visible=pool.labels[n, :, 2], scale=strokes)
    drawing.draw_pose(right, answers, pool.skeleton, scores=judged.confidence[n], threshold=0.5, scale=strokes)
    wrong = sorted({k for suspect in suspects for k in suspect.points})
    moved = {k for suspect in suspects if suspect.kind in ("moved", "elsewhere") for k in suspect.points}
    _mark(left, right, labels, expected, wrong, moved, pool.skeleton.names)
    return drawing.side_by_side(left, right)


def _view(shape: tuple[int, ...], box: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float]:
    """The part to show: the box, and labelled points as far as they lie in the picture."""
    known = points[np.isfinite(points).all(axis=1)]
    return drawing.view(shape, box, np.clip(known, 0, [shape[1], shape[0]]), _PANEL)


def _mark(
    left: np.ndarray,
    right: np.ndarray,
    labels: np.ndarray,
    expected: np.ndarray,
    wrong: Sequence[int],
    moved: set[int],
    names: Sequence[str],
) -> None:
    """Rings around suspected labels, with their names where they are few, and lines to where they are expected."""
    import cv2

    for k in wrong:
        if not np.isfinite(labels[k]).all():
            continue
        at, to = (tuple(np.clip(np.round(p), -1e4, 1e4).astype(int).tolist()) for p in (labels[k], expected[k]))
        cv2.circle(left, at, 8, _MARK, 2, cv2.LINE_AA)
        if k in moved:
            cv2.line(right, at, to, (20, 20, 20), 4, cv2.LINE_AA)
            cv2.line(right, at, to, _MARK, 2, cv2.LINE_AA)
        if len(wrong) <= 4:
            drawing.put_text(left, names[k], (at[0] + 10, at[1] - 6), 1.2)
