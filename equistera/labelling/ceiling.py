"""The human ceiling: how a person scores against another one, by the measures of a model.

A model that scores so is as exact as a person; more it can have only where it has averaged the errors of many labels.
With sigmas that are the labellers' own, their squared distances are twice those that OKS is made for: OKS is 0.8 in the
mean and AP about 0.6, however exactly they label. Scored are animals and points that both labelled, in both directions:
what only one of them labelled says nothing of how exactly they click, and is counted elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from equistera.errors import UserError
from equistera.evaluation.comparison import number
from equistera.evaluation.instances import PCK
from equistera.evaluation.metrics import evaluate
from equistera.files import read_json
from equistera.labelling.double_labels import DoubleLabels
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Name of the file, beside the annotations that models are tested on.
CEILING = "human_ceiling.json"
#: Figures that sigmas decide, and those that they do not.
_BY_SIGMAS, _OTHERS = ("AP", "AP50", "AP75", "AR"), ("PCK@0.05", PCK, "PCK@0.2", "normalised_error")
DRAWS = 1000


def measure_ceiling(labels: DoubleLabels, sigmas: Sequence[np.ndarray]) -> dict:
    """Scores every labeller against every other one.

    Args:
        labels: Animals that were labelled twice.
        sigmas: float [K] each: those that AP is computed with.

    Returns:
        JSON-ready; ``of_sigmas`` has the figures that sigmas decide, with intervals, an entry for each.

    Raises:
        UserError: No two labellers have a point of an animal in common.
    """
    truth, results, groups = _as_coco(labels)
    found = {}
    of_sigmas = []
    for values in sigmas:
        skeleton = with_sigmas(labels.skeleton, values)
        found = evaluate(truth, results, skeleton, draws=DRAWS, groups=groups)
        of_sigmas.append(
            {
                "sigmas": dict(zip(skeleton.names, values.tolist(), strict=True)),
                **{name: found[name] for name in _BY_SIGMAS},
                "intervals": {name: found["intervals"][name] for name in _BY_SIGMAS},
            }
        )
    return {
        "about": "One labeller scored against another, on what both labelled; tools/test.py shows it beside a model.",
        "skeleton": labels.skeleton.name,
        "labellers": list(labels.labellers),
        "pictures": len({*labels.pictures.tolist()}),
        "animals": len(labels),
        **{name: found[name] for name in _OTHERS},
        "intervals": {PCK: found["intervals"][PCK]},
        "of_sigmas": of_sigmas,
        "per_keypoint": {
            name: {key: row[key] for key in (PCK, "normalised_error", "points")}
            for name, row in found["per_keypoint"].items()
        },
    }


def with_sigmas(skeleton: Skeleton, sigmas: np.ndarray) -> Skeleton:
    """The skeleton with other sigmas, float [K]."""
    points = zip(skeleton.keypoints, sigmas.tolist(), strict=True)
    return dataclasses.replace(skeleton, keypoints=tuple(dataclasses.replace(k, sigma=s) for k, s in points))


def _as_coco(labels: DoubleLabels) -> tuple[dict, list[dict], dict[int, str]]:
    """Each pair of labellers as a copy of the pictures: one of them as the truth, the other as predictions."""
    images: dict[tuple, int] = {}
    annotations, results, groups = [], [], {}
    for pair in permutations(range(len(labels.labellers)), 2):
        truth, said = (labels.points[:, m] for m in pair)
        both = np.isfinite(truth[..., 0]) & np.isfinite(said[..., 0])
        for n in np.flatnonzero(both.any(axis=1)):
            picture = str(labels.pictures[n])
            image = images.setdefault((pair, picture), len(images) + 1)
            groups[image] = picture
            flags = np.where(both[n], labels.visibility[n, pair[0]], 0)
            points = np.nan_to_num(truth[n]) * both[n, :, None]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": 0,
                    "bbox": labels.boxes[n, pair[0]].tolist(),
                    "area": float(labels.areas[n, pair[0]]),
                    "keypoints": np.column_stack([points, flags]).ravel().tolist(),
                }
            )
            answers = np.column_stack([np.nan_to_num(said[n]) * both[n, :, None], np.ones(len(flags))])
            results.append(
                {
                    "image_id": image,
                    "category_id": 1,
                    "ann_id": len(annotations),
                    "bbox": labels.boxes[n, pair[0]].tolist(),
                    "keypoints": answers.ravel().tolist(),
                    "score": 1.0,
                }
            )
    if not annotations:
        raise UserError("no two labellers have a point of an animal in common")
    categories = [{"id": 1, "name": "animal", "keypoints": list(labels.skeleton.names)}]
    pictures = [{"id": i, "file_name": f"{i}: {name}"} for i, name in groups.items()]
    return {"images": pictures, "annotations": annotations, "categories": categories}, results, groups


def read_ceiling(folder: Path, skeleton: Skeleton) -> dict | None:
    """The human ceiling beside annotations, for one skeleton; None where there is none.

    AP and AR are those of the skeleton's sigmas; without, where it was measured with other ones, which is in ``note``.

    Raises:
        UserError: The file is not one.
    """
    path = folder / CEILING
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        points = list(content["per_keypoint"])
        found = {key: content[key] for key in ("labellers", "pictures", "animals", "intervals", *_OTHERS)}
        entries = [(entry, entry["sigmas"]) for entry in content["of_sigmas"]]
        if points != list(skeleton.names):
            return {"note": f"{path} is of the keypoints of {content['skeleton']}: not comparable"}
        of_these = next((e for e, s in entries if np.allclose(list(s.values()), skeleton.sigmas, atol=1e-3)), None)
        if of_these is None:
            return {**found, "note": f"the AP in {path} is of other sigmas than {skeleton.name}'s: left out"}
        own = {name: of_these[name] for name in _BY_SIGMAS}
        return {**found, **own, "intervals": {**of_these["intervals"], **content["intervals"]}}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no human ceiling of tools/measure_sigmas.py", hint="Move it away") from error


def ceiling_line(ceiling: Mapping, body_length: bool = False) -> str:
    """One line on a human ceiling; without PCK where a model's is in shares of a ``body_length``."""
    if "labellers" not in ceiling:
        return f"note: {ceiling['note']}"
    shown = [f"{name} {_with_interval(ceiling, name)}" for name in ("AP", "AR") if name in ceiling]
    if not body_length:
        shown += [f"{PCK} {_with_interval(ceiling, PCK)}", f"error/size {ceiling['normalised_error']:.3f}"]
    who = f"{' and '.join(ceiling['labellers'])}, {counted(ceiling['pictures'], 'pictures')} labelled twice"
    note = f"; {ceiling['note']}" if "note" in ceiling else ""
    return f"Human ceiling ({who}): {', '.join(shown)}{note}"


def _with_interval(ceiling: Mapping, name: str) -> str:
    low, high = ceiling["intervals"][name]
    return f"{number(ceiling[name], name, signed=False)} ({low:.3f} to {high:.3f})"
