"""A user's own crops, for checking a graph and for fitting the steps of int8."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from equistera.dataset.images import read_rgb
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.exporting import MOST_CROPS
from equistera.frames import picture_folder
from equistera.mm.prediction.predict import Predictor
from equistera.mm.prediction.split_predictions import Split, files_of
from equistera.progress import track

#: A picture, RGB uint8 [H, W, 3], and a box in it, x, y, width, height.
Place = tuple[np.ndarray, tuple[float, float, float, float]]


def own_crops(predictor: Predictor, folder: str | None) -> list[dict]:
    """Samples as the predictor makes them, of pictures that it is used for.

    Args:
        predictor: Whose samples.
        folder: Pictures, each taken as a whole; None: the annotated animals of the validation set.

    Returns:
        At most :data:`MOST_CROPS`, evenly spread over what is there.

    Raises:
        UserError: There are none.
    """
    if folder is None and not (Path(predictor.config.data_root) / files_of(predictor.config, "val")[0]).is_file():
        raise UserError(
            f"there is no validation set in {predictor.config.data_root} to check the export on",
            hint="--data-root names another data set, --check a folder of pictures",
        )
    whole = (
        (image, (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))) for image in whole_pictures(folder or "")
    )
    places = _annotated(predictor) if folder is None else whole
    return [predictor.sample(image, box) for image, box in places]


def _annotated(predictor: Predictor) -> Iterator[Place]:
    split = Split.of(predictor.config, "val", predictor.skeleton)
    animals = [a for a in split.ground_truth["annotations"] if not a.get("iscrowd")]
    names, folder = split.file_names, split.root / split.images
    for animal in track(_spread(animals), "reading val", unit="animals"):
        yield read_rgb(picture_path(folder, names[animal["image_id"]])), tuple(animal["bbox"])


def whole_pictures(folder: str) -> Iterator[np.ndarray]:
    """At most :data:`MOST_CROPS` pictures of a folder, RGB uint8 [H, W, 3].

    Raises:
        UserError: There are none, or none can be read.
    """
    source, problems, there = picture_folder(folder, None), [], 0
    source.names = _spread(source.names)
    for frame in track(source.frames(), f"reading {folder}", len(source)):
        if frame.error:
            problems.append(f"{frame.name}: {frame.error}")
            continue
        there += 1
        yield frame.image
    if problems:
        print(f"{len(problems)} of {len(source)} pictures could not be read, such as {problems[0]}")
    if not there:
        raise UserError(f"no picture in {folder} could be read:", problems)


def _spread(items: list) -> list:
    if len(items) <= MOST_CROPS:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, MOST_CROPS).round().astype(int)]


def as_arrays(samples: list[dict]) -> np.ndarray:
    """What a graph takes, uint8 RGB [N, H, W, 3], of samples, which have the channels as OpenCV reads them."""
    return np.stack([np.ascontiguousarray(sample["inputs"].numpy()[::-1].transpose(1, 2, 0)) for sample in samples])
