"""Photos to measure on: as many pixels and bytes as a camera's, made from noise, with one horse's keypoints each.

A JPEG decoder skips what is flat, so the pictures have structure at all sizes and grain on top, like a photo at 0.3
bytes a pixel.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from equistera.dataset.coco import category_of
from equistera.files import read_json, write_json
from equistera.skeleton import Skeleton
from speed.rounds import say

#: Bytes a pixel of a phone's photo at the usual quality; pictures are made to come close.
_BYTES = 0.3
_FOLDER = "images/train"
_ANNOTATIONS = "annotations/train.json"


def make_photos(
    root: Path, count: int, size: tuple[int, int], skeleton: Skeleton, animals: int | None = None, seed: int = 0
) -> Path:
    """Writes a data set of photos in the layout of ``data/``, once.

    Args:
        root: Folder for such data sets.
        count: Number of pictures.
        size: Width and height, pixels.
        skeleton: Whose keypoints are labelled.
        animals: Labelled animals in all, at least one a picture; by default one each.
        seed: Of everything random.

    Returns:
        The data set's folder.
    """
    animals = max(count, animals or count)
    folder = root / f"{count}_{size[0]}x{size[1]}_{animals}_{skeleton.name}_{len(skeleton)}_seed{seed}"
    if (folder / _ANNOTATIONS).exists():
        # annotations are written last, so the pictures are whole
        return folder
    say(f"making {count} photos of {size[0]}x{size[1]} in {folder}")
    rng = np.random.default_rng(seed)
    (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i in range(count):
        name = f"{i:04d}.jpg"
        (folder / _FOLDER / name).write_bytes(encode(photo(size, rng), _BYTES))
        images.append({"id": i + 1, "file_name": name, "width": size[0], "height": size[1]})
    for i in range(animals):
        bbox = horse_box(size, rng)
        points = keypoints(bbox, skeleton, rng)
        annotations.append(
            {
                "id": i + 1,
                "image_id": i % count + 1,
                "category_id": 1,
                "bbox": bbox.round(2).tolist(),
                "area": float(bbox[2] * bbox[3]),
                "iscrowd": 0,
                "num_keypoints": len(skeleton),
                "keypoints": points.ravel().tolist(),
            }
        )
    write_json(
        folder / _ANNOTATIONS, {"images": images, "annotations": annotations, "categories": [category_of(skeleton)]}
    )
    return folder


def bytes_of(folder: Path) -> float:
    """Mean size of a data set's pictures, bytes."""
    names = [image["file_name"] for image in read_json(folder / _ANNOTATIONS)["images"]]
    return float(np.mean([(folder / _FOLDER / name).stat().st_size for name in names]))


def photo(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Structure at every size down to a few pixels, and grain: BGR uint8 [height, width, 3]."""
    width, height = size
    picture = np.full((height, width, 3), 128, np.float32)
    for cells, strength in ((4, 45), (16, 25), (64, 14), (256, 8)):
        small = rng.normal(0, strength, (max(2, cells * height // width), cells, 3)).astype(np.float32)
        picture += cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    grain = np.empty((height, width, 3), np.int16)
    cv2.setRNGSeed(int(rng.integers(2**31)))
    cv2.randn(grain, (0, 0, 0), (4, 4, 4))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def encode(picture: np.ndarray, bytes_a_pixel: float) -> bytes:
    """The JPEG whose size comes closest."""
    wanted = bytes_a_pixel * picture.shape[0] * picture.shape[1]
    candidates = [cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, q])[1].tobytes() for q in (95, 90, 85, 75)]
    return min(candidates, key=lambda data: abs(len(data) - wanted))


def horse_box(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A horse that somebody meant to photograph: x, y, width, height; half to nine tenths of the picture's width."""
    width = rng.uniform(0.5, 0.9) * size[0]
    height = min(width * rng.uniform(0.65, 0.9), 0.95 * size[1])
    x, y = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return np.array([x, y, width, height])


def keypoints(bbox: np.ndarray, skeleton: Skeleton, rng: np.random.Generator) -> np.ndarray:
    """All points labelled, float [K, 3]: those of the upper half of the body above those of the lower half."""
    x, y, width, height = bbox
    upper = np.array([keypoint.half == "upper" for keypoint in skeleton.keypoints])
    across = rng.uniform(0.02, 0.98, len(skeleton))
    down = np.where(upper, rng.uniform(0.02, 0.55, len(skeleton)), rng.uniform(0.45, 0.98, len(skeleton)))
    return np.column_stack([x + across * width, y + down * height, np.full(len(skeleton), 2)]).round(2)
