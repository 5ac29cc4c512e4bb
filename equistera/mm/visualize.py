"""Draws predictions on pictures: the work behind ``tools/visualize.py``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from equistera.dataset.boxes import box_around
from equistera.dataset.coco import load_annotations
from equistera.dataset.images import ImageError, read_rgb
from equistera.drawing import draw_box, draw_pose
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.predict import Pose, Predictor
from equistera.progress import track

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
#: Fewer confident keypoints than this do not say where the animal is.
ENOUGH_POINTS = 4


@dataclass(frozen=True)
class VisualizeOptions:
    """What the user asked for; see ``tools/visualize.py --help``."""

    config: str
    checkpoint: str
    img: str | None = None
    out_file: str | None = None
    img_dir: str | None = None
    out_dir: str | None = None
    ann_file: str | None = None
    skeleton: str | None = None
    kpt_thr: float = 0.3
    flip_test: bool = False
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)


def visualize(options: VisualizeOptions) -> int:
    """Predicts and draws.

    Args:
        options: What the user asked for.

    Returns:
        Exit code: 1 if some pictures could not be read (they are named; the others are drawn).

    Raises:
        UserError: Nothing can be drawn.
    """
    jobs = _jobs(options)
    predictor = Predictor(
        options.config,
        options.checkpoint,
        device=options.device,
        flip_test=options.flip_test,
        cfg_options=options.cfg_options,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    boxes = _boxes(options.ann_file, predictor) if options.ann_file else None
    failed: list[str] = []
    for target, image, poses in _predict(predictor, jobs, boxes, options, failed):
        for pose in poses:
            draw_pose(image, pose.points, predictor.skeleton, scores=pose.scores, threshold=options.kpt_thr)
            if boxes is not None:
                draw_box(image, pose.bbox, label=f"{pose.scores.mean():.2f}")
        _write_picture(target, image)
    drawn = len(jobs) - len(failed)
    print(f"{drawn} picture{'s' if drawn != 1 else ''} drawn: {options.out_file or options.out_dir}")
    if failed:
        raise UserError(f"{len(failed)} of {len(jobs)} pictures could not be read:", failed)
    return 0


def _jobs(options: VisualizeOptions) -> list[tuple[Path, Path]]:
    """Pairs of a picture and the file to draw it into."""
    if options.img:
        if not options.out_file:
            raise UserError("--img needs --out-file: where to write the drawing")
        if Path(options.out_file).resolve() == Path(options.img).resolve():
            raise UserError("--out-file is the picture itself; it is not overwritten", hint="Choose another name")
        if Path(options.out_file).suffix.lower() not in PICTURES:
            raise UserError(f"--out-file {options.out_file} is no picture name", hint=f"Known: {', '.join(PICTURES)}")
        if not Path(options.img).is_file():
            raise UserError(f"no such picture: {options.img}")
        return [(Path(options.img), Path(options.out_file))]
    if not options.out_dir:
        raise UserError("--img-dir needs --out-dir: where to write the drawings")
    folder, out = Path(options.img_dir), Path(options.out_dir)
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    if out.resolve() == folder.resolve():
        raise UserError(
            "--out-dir is the folder of the pictures; they are not overwritten", hint="Choose another folder"
        )
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise UserError(f"no pictures in {folder}", hint=f"Looked for: {', '.join(PICTURES)}")
    return [(path, out / path.name) for path in pictures]


def _boxes(ann_file: str, predictor: Predictor) -> dict[str, list]:
    coco = load_annotations(ann_file, predictor.skeleton)
    names = {image["id"]: Path(image["file_name"]).name for image in coco["images"]}
    boxes = defaultdict(list)
    for annotation in coco["annotations"]:
        boxes[names[annotation["image_id"]]].append(annotation["bbox"])
    return boxes


def _predict(
    predictor: Predictor,
    jobs: list[tuple[Path, Path]],
    boxes: dict[str, list] | None,
    options: VisualizeOptions,
    failed: list[str],
) -> Iterator[tuple[Path, np.ndarray, list[Pose]]]:
    for source, target in track(jobs, "drawing"):
        try:
            image = read_rgb(source)
        except ImageError as error:
            failed.append(f"{source.name}: {error.summary}")
            continue
        if boxes is not None:
            poses = list(predictor.poses((image, box) for box in boxes.get(source.name, [])))
        else:
            poses = [_on_whole_picture(predictor, image, options.kpt_thr)]
        yield target, image, poses


def _on_whole_picture(predictor: Predictor, image: np.ndarray, threshold: float) -> Pose:
    """Looks at the whole picture first, then once more at where the keypoints were found."""
    height, width = image.shape[:2]
    (pose,) = predictor.poses([(image, (0, 0, width, height))])
    box = box_of(pose.points[pose.scores >= threshold], (width, height))
    if box is None:
        return pose
    (closer,) = predictor.poses([(image, box)])
    return closer if closer.scores.mean() > pose.scores.mean() else pose


def box_of(points: np.ndarray, size: tuple[int, int]) -> list[float] | None:
    """The box of an animal from its keypoints.

    Args:
        points: float [N, 2], pixels.
        size: Width and height of the picture.

    Returns:
        x, y, width, height inside the picture, or None if the points are too few or in one place.
    """
    return box_around(points, *size) if len(points) >= ENOUGH_POINTS else None


def _write_picture(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, encoded = cv2.imencode(path.suffix, image[..., ::-1])
    if not done:
        raise UserError(f"cannot write {path}")
    path.write_bytes(encoded.tobytes())
