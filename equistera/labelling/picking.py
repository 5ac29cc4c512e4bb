"""What ``tools/pick_frames.py`` is asked to do: from which videos and pictures, how many, with which model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera import inputs
from equistera.dataset.phash import DISTANCE
from equistera.dataset.verify.annotation_file import default_image_dir
from equistera.errors import UserError
from equistera.labelling import chosen
from equistera.labelling.budget import USUAL_MINUTES, minutes_a_picture, pictures_in
from equistera.labelling.choice import COVER
from equistera.labelling.sources import Source, find_sources
from equistera.looking import Detector, LookOptions
from equistera.named_models import members_there
from equistera.words import counted

#: About one stride of a horse, seconds.
STRIDE = 0.7
#: Pictures that are labelled where nobody says how many.
DEFAULT_COUNT = 200
#: A frame counts as blurred below this share of the median sharpness of its video, or of the pictures of its group.
#: Rendered videos have 0.9 to 1.2 of it; a pan by 5 pixels of 640 leaves 0.2 to 0.5.
BLURRED = 0.6


@dataclass(frozen=True)
class PickOptions(LookOptions):
    """What the user asked for; see ``tools/pick_frames.py --help``. ``words`` are videos, pictures and folders."""

    words: Sequence[str]
    out: str
    n: int | None = None
    budget_hours: float | None = None
    minutes_per_picture: float | None = None
    minutes_from: str | None = None
    config: str | None = None
    checkpoint: Sequence[str] = ()
    boxes: str | None = None
    ann_file: Sequence[str] = ()
    img_dir: str | None = None
    every: float = STRIDE / 2
    gap: float = STRIDE
    rule: str = COVER
    group_by: str | None = None
    most_per_group: int | None = None
    blurred: float = BLURRED
    duplicate_distance: int = DISTANCE


@dataclass(frozen=True)
class PickJob:
    """What is to be done; make it with :func:`settled`.

    Attributes:
        options: What the user asked for.
        count: How many pictures.
        sources: Videos and pictures.
        labelled: Annotation files of what is labelled already, each with the folder of its pictures.
        models: Pairs of a config and weights; empty without a model.
        detector: None without one.
        notes: Worth a line each.
    """

    options: PickOptions
    count: int
    sources: list[Source]
    labelled: list[tuple[Path, Path]]
    models: list[tuple[str, Path]]
    detector: Detector | None
    notes: list[str]

    @property
    def config(self) -> str:
        """The first model's."""
        return self.models[0][0]

    @property
    def checkpoint(self) -> Path:
        """The first model's."""
        return self.models[0][1]


def settled(options: PickOptions) -> PickJob:
    """What the options come to; nothing is written.

    Raises:
        UserError: Something that is read is missing, something else is where it would be written, or the options
            contradict each other.
    """
    options.refuse_impossible()
    for option, seconds in (("--every", options.every), ("--gap", options.gap)):
        if not 0 <= seconds < math.inf:
            raise UserError(f"{option} must be 0 s or more, found {seconds:g}")
    if not 0 <= options.blurred < 1:
        raise UserError(f"--blurred must be from 0 to below 1, found {options.blurred:g}")
    if not 0 <= options.duplicate_distance <= 64:
        raise UserError(f"--duplicate-distance is 0 to 64 bits, found {options.duplicate_distance}")
    if options.most_per_group is not None and options.most_per_group < 1:
        raise UserError(f"--most-per-group must be at least 1, found {options.most_per_group}")
    count, notes = _count(options)
    models = _models(options)
    if models and options.boxes is not None and options.det is not None:
        raise UserError("--boxes and --det both say where the animals are; give one of them")
    for path in (options.boxes, *options.ann_file):
        if path is not None:
            inputs.file(path)
    if options.img_dir is not None and len(options.ann_file) != 1:
        raise UserError("--img-dir names the pictures of --ann-file, which is to be given once with it")
    labelled = [
        (Path(path), Path(options.img_dir) if options.img_dir else default_image_dir(Path(path)))
        for path in options.ann_file
    ]
    out = Path(options.out)
    sources, others = find_sources(options.words, out, options.group_by)
    read = [source.path for source in sources] + [path for path, _ in labelled]
    chosen.check_out(out, read, options.overwrite)
    return PickJob(options, count, sources, labelled, models, options.detector() if models else None, notes + others)


def _count(options: PickOptions) -> tuple[int, list[str]]:
    """How many pictures, and how that came about."""
    if options.budget_hours is None:
        given = {"--minutes-per-picture": options.minutes_per_picture, "--minutes-from": options.minutes_from}
        if alone := [name for name, value in given.items() if value is not None]:
            raise UserError(f"{' and '.join(alone)} without --budget-hours: for how many hours?")
        if options.n is not None and options.n < 1:
            raise UserError(f"--n must be at least 1, found {options.n}")
        return (DEFAULT_COUNT if options.n is None else options.n), []
    if options.n is not None:
        raise UserError("--n and --budget-hours both say how many pictures; give one of them")
    if options.minutes_per_picture is not None and options.minutes_from is not None:
        raise UserError("--minutes-per-picture and --minutes-from both say how long a picture takes; give one of them")
    if options.minutes_from is not None:
        minutes, tasks = minutes_a_picture(inputs.file(options.minutes_from))
        how = f"measured: the median of {counted(tasks, 'annotations')}"
    elif options.minutes_per_picture is not None:
        minutes, how = options.minutes_per_picture, "as given"
    else:
        minutes, how = USUAL_MINUTES, "a guess; --minutes-per-picture or --minutes-from says it better"
    count = pictures_in(options.budget_hours, minutes)
    return count, [
        f"{options.budget_hours:g} h at {minutes:.3g} minutes a picture ({how}): {counted(count, 'pictures')}"
    ]


def _models(options: PickOptions) -> list[tuple[str, Path]]:
    if not options.checkpoint:
        given = {
            "--config": options.config,
            "--det": options.det,
            "--det-weights": options.det_weights,
            "--det-class": options.det_class,
            "--det-thr": options.det_thr,
            "--boxes": options.boxes,
            "--skeleton": options.skeleton,
            "--conf": options.conf,
            "--device": options.device,
            "--amp": options.amp,
            "--cfg-options": options.cfg_options or None,
        }
        if alone := [name for name, value in given.items() if value is not None]:
            raise UserError(
                f"{' and '.join(alone)} without a model",
                hint="Give --checkpoint, a work dir or weights (with --config)",
            )
        return []
    return members_there(
        [*([options.config] if options.config else []), *options.checkpoint], "--config CONFIG --checkpoint {path}"
    )
