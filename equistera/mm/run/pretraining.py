"""Pre-training on rendered horses: they are rendered, trained on as any run trains, and its weights are a start."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from equistera import PROJECT, commands
from equistera import skeleton as skeletons
from equistera.environment import usable_cores
from equistera.errors import UserError
from equistera.files import link_or_copy, read_json, write_json
from equistera.mm import config as configs
from equistera.mm.run.settle import settle
from equistera.mm.run.train import train
from equistera.progress import duration
from equistera.synthetic import photo_backdrop
from equistera.synthetic.writer import SIDE_RANGE, write_dataset
from equistera.training import work_dir as work_dirs
from equistera.training.checkpoints import BEST
from equistera.training.fit import parse_duration
from equistera.training.options import TrainOptions, with_record
from equistera.training.stages import TIERS, layout_for
from equistera.words import counted

#: In the work dir: what was asked for, for ``resume``, and the folder of the rendered data set.
RECORD, DATA = "pretraining.json", "horses"
#: Share of the time that rendering may take where nobody says how many pictures, and their number at least and most.
RENDERING_SHARE, FEWEST, MOST = 0.1, 200, 5000
#: One picture validates for so many that train; at least and at most so many do.
_ONE_IN, _LEAST_VALIDATING, _MOST_VALIDATING = 20, 8, 200
#: Pictures that are rendered first, to learn how long one takes and to plan with.
FEW = {"train": 8, "val": 4}
#: Share of the time that rendering may take at all.
MOST_RENDERING = 0.5
NIGHT = "8h"
#: Photos taught the weights nothing of drawn horses: all of them learn, the backbone at half the head's rate.
RATES = {tier: 1e-3 if tier == "head" else 5e-4 for tier in TIERS}


@dataclass(frozen=True)
class PretrainOptions:
    """What the user asked for; see ``tools/pretrain_rendered.py --help``."""

    config: str
    work_dir: str | None = None
    skeleton: str | None = None
    pictures: int | None = None
    backdrops: str | None = None
    max_time: str | None = None
    plan: bool = False
    resume: bool = False
    seed: int = 0
    amp: bool = False
    from_scratch: bool = False
    init: str | None = None
    device: str | None = None
    cfg_options: Sequence[str] = ()
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        return Path(self.work_dir or PROJECT / "work_dirs" / f"{Path(self.config).stem}_rendered").resolve()


#: What a call does, not what a pre-training is: not in its record.
_OF_THE_CALL = ("plan", "resume", "started", "work_dir", "device")


def pretrain(options: PretrainOptions) -> Path:
    """Renders and trains, or only says what that would be; returns the folder, with ``best.pth``.

    Raises:
        UserError: Anything that the user can put right, where possible before anything is rendered.
    """
    options, folder = _settled(options), options.folder
    config = configs.load(options.config, options.cfg_options, skeleton=configs.skeleton_argument(options.skeleton))
    if config.model.type == "AnimalDetector":
        raise UserError(f"{options.config} is a detector's", hint="Name the config of a pose model")
    _say_points(config.skeleton)
    data = folder / DATA
    if options.resume and all((data / "annotations" / f"{split}.json").is_file() for split in FEW):
        print(f"the horses are rendered: {data}", flush=True)
    else:
        photos, notes = photo_backdrop.find(options.backdrops) if options.backdrops else ((), [])
        print("".join(f"{note}\n" for note in notes), end="")
        rendering = {"seed": options.seed, "skeleton_name": config.skeleton, "backdrops": photos}
        rendering["size"] = picture_size(config.codec.input_size)
        counts = _prepared(options, config, rendering)
        if options.plan:
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RECORD, _record(dataclasses.replace(options, pictures=counts["train"])), indent=1)
        write_dataset(data, counts, overwrite=options.resume, **rendering)
    rendered = time.monotonic() - options.started
    train(_training(options, config, data))
    print(_cost(options, rendered))
    return folder


def _settled(options: PretrainOptions) -> PretrainOptions:
    """What is asked for, of one that goes on by its record.

    Raises:
        UserError: The folder holds what this one is not.
    """
    folder = options.folder
    if options.resume:
        return dataclasses.replace(options, **_recorded(folder))
    if (folder / RECORD).exists() and not options.plan:
        raise UserError(
            f"{folder} holds a pre-training already",
            hint=f"Go on with it: {_command(folder, '--resume')}\n  Or name another folder: --work-dir",
        )
    if (folder / DATA).exists() and not options.plan:
        raise UserError(
            f"{folder / DATA} is there already, from something else", hint="Name another folder: --work-dir"
        )
    if work_dirs.holds_run(folder) and not options.plan:
        raise UserError(f"{folder} holds another run", hint="Name another folder: --work-dir")
    if options.max_time is None and not any(o.startswith("train_cfg.max_epochs=") for o in options.cfg_options):
        return dataclasses.replace(options, max_time=NIGHT)
    return options


def _prepared(options: PretrainOptions, config: Config, rendering: Mapping[str, Any]) -> dict[str, int]:
    """Says what will be rendered, and refuses a run that cannot be, by a few pictures that stand for all.

    Returns:
        Pictures by split.
    """
    budget = parse_duration(options.max_time) if options.max_time else None
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        few = write_dataset(Path(place) / "few", FEW, workers=1, **rendering)
        each = (time.monotonic() - began) / sum(FEW.values()) / usable_cores()
        count = options.pictures or affordable(budget, each)
        counts = {"train": count, "val": min(max(count // _ONE_IN, _LEAST_VALIDATING), _MOST_VALIDATING)}
        seconds = each * sum(counts.values())
        (width, height), photos = rendering["size"], rendering["backdrops"]
        before = f", before {counted(len(photos), 'photos')}" if photos else ""
        print(f"horses: {count} pictures of {width}x{height} to train, {counts['val']} to validate{before}")
        print(f"  rendered in about {duration(seconds)} here", flush=True)
        if budget and seconds > MOST_RENDERING * budget:
            raise UserError(
                f"rendering takes about {duration(seconds)} of {duration(budget)}, which leaves too little to learn",
                hint="Fewer --pictures, or a longer --max-time",
            )
        training = _training(options, config, _stand_in(few, counts, Path(place) / "many"))
        if options.plan:
            train(dataclasses.replace(training, plan=True, started=training.started - seconds))
        elif not options.resume:
            settle(with_record(training))
    return counts


def affordable(budget: float | None, each: float) -> int:
    """How many pictures are rendered where nobody says.

    Args:
        budget: Seconds for everything, or None.
        each: Seconds that a picture takes.
    """
    return MOST if budget is None else round(min(max(RENDERING_SHARE * budget / each, FEWEST), MOST))


def recipe(config: Config, given: Sequence[str]) -> list[str]:
    """Overrides that make a config's run one on rendered horses; what is ``given`` already stays as it is said."""
    stages = layout_for(config.model.backbone.type, config.model.get("stages"))
    entries = {
        # as measured (docs/benchmarks.md, "Rendered horses and real ones"); and random weights find nothing in more
        "train_dataloader.dataset.augmentation": "light",
        "strategy.tier_lr": RATES,
        "strategy.opens_at": {stage.name: 0 for stage in stages},
    }
    said = [f"{option.partition('=')[0]}." for option in given]
    return [f"{key}={value}" for key, value in entries.items() if not any(own.startswith(f"{key}.") for own in said)]


def picture_size(input_size: Sequence[int]) -> tuple[int, int]:
    """Width and height of the pictures for a network's input: a crop of a horse has about as many pixels as that."""
    width = min(max(round(2.5 * max(input_size)), 2 * SIDE_RANGE[0]), SIDE_RANGE[1])
    return width, width * 3 // 4


def _training(options: PretrainOptions, config: Config, data: Path) -> TrainOptions:
    """What ``tools/train.py`` is asked for."""
    folder = str(options.folder)
    if options.resume and work_dirs.holds_run(options.folder):
        return TrainOptions(work_dir=folder, resume=True, device=options.device, started=options.started)
    shared = ("config", "skeleton", "max_time", "device", "seed", "amp", "from_scratch", "init", "started")
    return TrainOptions(
        **{name: getattr(options, name) for name in shared},
        work_dir=folder,
        data_root=str(data),
        cfg_options=[*recipe(config, options.cfg_options), *options.cfg_options],
    )


def _stand_in(few: Path, counts: Mapping[str, int], many: Path) -> Path:
    """A data set of so many pictures, which are those of a smaller one again and again."""
    for split, count in counts.items():
        coco = read_json(few / "annotations" / f"{split}.json")
        images, annotations = [], []
        folder = many / "images" / split
        folder.mkdir(parents=True)
        for number, image in zip(range(count), itertools.cycle(coco["images"]), strict=False):
            name = f"{number:06d}.jpg"
            link_or_copy(few / "images" / split / image["file_name"], folder / name)
            images.append({**image, "id": number, "file_name": name})
            annotations += [{**a, "image_id": number} for a in coco["annotations"] if a["image_id"] == image["id"]]
        annotations = [{**annotation, "id": number} for number, annotation in enumerate(annotations)]
        (many / "annotations").mkdir(exist_ok=True)
        write_json(many / "annotations" / f"{split}.json", {**coco, "images": images, "annotations": annotations})
    return many


def _say_points(name: str) -> None:
    """Says which points of a skeleton nothing will teach.

    Raises:
        UserError: All of them.
    """
    target = skeletons.load(name)
    known = {match.target for match in target.correspondence_from(skeletons.load("horse26")) if match.exact}
    unknown = [point for point in target.names if point not in known]
    if not known:
        raise UserError(
            f"the renderer knows none of the points of skeleton {target.name!r}",
            hint="A skeleton says in its file which of its points are those of horse26: see equistera/skeletons",
        )
    if unknown:
        print(f"skeleton {target.name}: the renderer knows {len(known)} of {len(target)} points; nothing teaches "
              f"{', '.join(unknown)}")  # fmt: skip


def _record(options: PretrainOptions) -> dict:
    values = {key: value for key, value in dataclasses.asdict(options).items() if key not in _OF_THE_CALL}
    for name in ("config", "init", "backdrops"):
        if values[name] and Path(values[name]).exists():
            values[name] = str(Path(values[name]).resolve())
    values["skeleton"] = configs.skeleton_argument(options.skeleton)
    return values


def _recorded(folder: Path) -> dict:
    """What a pre-training was begun with.

    Raises:
        UserError: There is none in the folder, or its record is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        raise UserError(f"{folder} holds no pre-training to go on with: it has no {RECORD}", hint="Leave out --resume")
    values = read_json(path)
    names = {f.name for f in dataclasses.fields(PretrainOptions)} - {*_OF_THE_CALL}
    if not isinstance(values, dict) or values.keys() != names:
        raise UserError(f"{path} was changed or damaged", hint=f"Begin anew in another folder: {_command('DIR')}")
    return values


def _cost(options: PretrainOptions, rendered: float) -> str:
    """What it took, what is there and what comes next."""
    whole, weights = time.monotonic() - options.started, options.folder / BEST
    skeleton = ("--skeleton", options.skeleton) if options.skeleton else ()
    own = ("--cfg-options", *options.cfg_options) if options.cfg_options else ()
    following = commands.tool("train", options.config, *skeleton, "--init", weights, "--data-root", "data", *own)
    rows = {
        "cost": f"{duration(whole)} in this call, of which {duration(rendered)} until all horses were rendered",
        "start": str(weights),
        "next": following,
    }
    return "\n".join(["Rendered start", *(f"  {name + ':':<8}{text}" for name, text in rows.items())])


def _command(folder: Path | str, *words: str) -> str:
    return commands.tool("pretrain_rendered", "--work-dir", folder, *words)
