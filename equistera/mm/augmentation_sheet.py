"""A look at the augmentation: originals beside what the model sees of them, and how often what was drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS

from equistera import skeleton as skeletons
from equistera.augmentation_report import format_rows, measure, rows_json
from equistera.dataset.ready import check_split, missing_files
from equistera.drawing import contact_sheet, cut, draw_box, draw_pose
from equistera.errors import UserError
from equistera.files import atomic_write, write_json
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.boxes import EncodeBoxes
from equistera.mm.data.dataset import KeypointDataset
from equistera.mm.run import preflight
from equistera.outputs import check_targets, record
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.synthetic.photo import encode
from equistera.words import counted

#: Augmented versions beside each original.
_VERSIONS = 4
#: Side of a crop on the sheet and height of its caption, pixels.
_SIDE, _CAPTION = 288, 34
#: Of the sheet as a JPEG.
_QUALITY = 90
#: From here on the pipeline makes targets of the crop; what the model sees is done.
_TARGETS = ("EncodeTargets", "EncodeBoxes", "PackPoseInputs")
#: Who writes, for the records of folders.
_TOOL = "augmentation"


@dataclass(frozen=True)
class SheetOptions:
    """What the user asked for; see ``tools/augmentation.py --help``."""

    config: str
    out_dir: str
    phase: int = 1
    samples: int = 6
    draws: int = 500
    data_root: str | None = None
    skeleton: str | None = None
    seed: int | None = None
    overwrite: bool = False
    cfg_options: list[str] = field(default_factory=list)


def augmentation_sheet(options: SheetOptions) -> Path:
    """Writes ``augmentation.jpg``, whose path is returned, and ``augmentation.json``, and prints what was drawn.

    Raises:
        UserError: No such phase, no data, a number that makes no sense, or files of the same names that are others'.
    """
    for name in ("samples", "draws"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} {getattr(options, name)}: expected 1 or more")
    sheet, numbers = Path(options.out_dir) / "augmentation.jpg", Path(options.out_dir) / "augmentation.json"
    check_targets("--out", [sheet, numbers], overwrite=options.overwrite, tool=_TOOL)
    config = configs.load(
        options.config,
        options.cfg_options,
        data_root=str(Path(options.data_root).resolve()) if options.data_root else None,
        skeleton=configs.skeleton_argument(options.skeleton),
    )
    skeleton = skeletons.load(config.skeleton)
    train = config.train_dataloader.dataset
    root = Path(config.data_root)
    missing_files(root, [train.ann_file])
    check_split(root / train.ann_file, root / train.data_prefix.img, skeleton)
    preflight.finish(config, options.seed)
    # of the run's own pictures; those of other sets go the same way
    configs.write(config, {"train_dataloader.dataset.sources": None})
    first, end = epochs_of_phase(config, options.phase)
    dataset: KeypointDataset = DATASETS.build({**train, "pipeline": _to_the_crop(train.pipeline)})
    plain = DATASETS.build(
        {**train, "pipeline": _to_the_crop(config.val_dataloader.dataset.pipeline), "augmentation": None}
    )
    seed = dataset.seed
    # spread over the data set, so that a folder of a video does not fill the sheet with one scene
    chosen = np.linspace(0, len(dataset) - 1, min(options.samples, len(dataset))).astype(int).tolist()
    cells = []
    for i in chosen:
        cells.append(_cell(plain.prepare_data(i), skeleton, "original"))
        for version in range(_VERSIONS):
            # past the phase's end there is another augmentation: a phase of few epochs is drawn with other seeds
            dataset.set_epoch(first + version % (end - first))
            dataset.seed = seed + version // (end - first)
            sample = dataset.prepare_data(i)
            cells.append(_cell(sample, skeleton, _caption(sample["drawn"])))
    dataset.seed = seed
    with atomic_write(sheet, "wb") as file:
        file.write(encode(contact_sheet(cells, columns=1 + _VERSIONS, cell=(_SIDE, _SIDE + _CAPTION)), _QUALITY))

    drawn = _draw(dataset, range(first, end), options.draws)
    rows = measure(drawn, dataset.augmentation_at(first))
    phase = config.strategy.phases[options.phase - 1].name
    where = f"phase {options.phase}, {phase!r}, epochs {first + 1}-{end}"
    print(f"{where}: {counted(len(drawn), 'samples')} drawn\n{format_rows(rows)}")
    about = {"config": str(options.config), "phase": options.phase, "phase_name": phase, "epochs": [first + 1, end]}
    about |= {"seed": config.randomness.seed, "samples": len(drawn), "transforms": rows_json(rows)}
    write_json(numbers, about, indent=1)
    for path in (sheet, numbers):
        record(_TOOL, path)
    print(f"  sheet    {sheet}\n  numbers  {numbers}")
    return sheet


def epochs_of_phase(config: Config, phase: int) -> tuple[int, int]:
    """First epoch of a phase and the first after it, counted from 0; the phase is counted from 1.

    Raises:
        UserError: No such phase.
    """
    phases, epochs = config.strategy.phases, config.train_cfg.max_epochs
    if not 1 <= phase <= len(phases):
        names = ", ".join(f"{i + 1} ({p.name})" for i, p in enumerate(phases))
        raise UserError(f"--phase {phase}: the config has {names}")
    starts = [round(p.start * epochs) for p in phases] + [epochs]
    if starts[phase] == starts[phase - 1]:
        raise UserError(f"--phase {phase}: with {counted(epochs, 'epochs')} it has none")
    return starts[phase - 1], starts[phase]


def _to_the_crop(pipeline: Sequence[Mapping]) -> list[Mapping]:
    """The steps of a pipeline up to the crop that the model gets, targets and packing left out."""
    names = [step["type"] for step in pipeline]
    return list(pipeline[: min(names.index(name) for name in _TARGETS if name in names)])


def _draw(dataset: KeypointDataset, epochs: range, count: int) -> list[dict]:
    """``drawn`` of ``count`` samples (or of all that the epochs have): animal by animal, epoch by epoch."""
    count = min(count, len(dataset) * len(epochs))
    drawn = []
    for n in track(range(count), "drawing", unit="samples"):
        dataset.set_epoch(epochs[n // len(dataset)])
        drawn.append(dataset.prepare_data(n % len(dataset))["drawn"])
    return drawn


def _cell(sample: dict, skeleton: Skeleton, caption: str) -> np.ndarray:
    """A crop with its keypoints, or a detector's with its boxes, and a caption below, RGB."""
    height, width = sample["img"].shape[:2]
    factor = _SIDE / max(height, width)
    picture = np.ascontiguousarray(sample["img"][..., ::-1])
    crop = cut(picture, np.zeros(2), factor, (round(width * factor), round(height * factor)))
    if "most_boxes" in sample:
        for x1, y1, x2, y2 in EncodeBoxes().transform(sample)["boxes"] * factor:
            draw_box(crop, (x1, y1, x2 - x1, y2 - y1), scale=0.8)
    else:
        visible = np.where(sample["keypoints_visible"][0] > 0, 2, 0)
        points = (sample["transformed_keypoints"][0] + 0.5) * factor - 0.5
        draw_pose(crop, points, skeleton, visible=visible, scale=0.8)
    below = np.full((_CAPTION, crop.shape[1], 3), 255, np.uint8)
    for i, line in enumerate(textwrap.wrap(caption, 44)[:2]):
        cv2.putText(below, line, (2, 13 + 14 * i), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate([crop, below])


def _caption(drawn: Mapping[str, object]) -> str:
    """What was drawn, in few words."""
    short = {
        "rotation": lambda v: f"{v:+.0f} deg",
        "scale": lambda v: f"x{v:.2f}",
        "shift": lambda v: f"shift {v[0] * 100:+.0f}/{v[1] * 100:+.0f}%",
        "half_body": lambda v: f"{v} half",
        "brightness": lambda v: f"light {v:+.0f}",
        "contrast": lambda v: f"contrast {v:.2f}",
        "saturation": lambda v: f"colour {v:.2f}",
        "hue": lambda v: f"hue {v:+.0f} deg",
        "occlusion": lambda v: f"{v} in front",
    }
    return ", ".join(short[name](value) if name in short else name for name, value in drawn.items())
