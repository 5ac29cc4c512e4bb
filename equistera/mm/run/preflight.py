"""From options to a resolved config: data, model and machine put together, and checked, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from equistera import skeleton as skeletons
from equistera.checkpoints import command_for, path_of
from equistera.dataset.ready import check_split, missing_files
from equistera.errors import UserError
from equistera.mm.config import resolve_path
from equistera.mm.data.loading import settle_loader
from equistera.training.schedule import first_epoch


@dataclass(frozen=True)
class DataSummary:
    """What a run trains and evaluates on."""

    train_pictures: int
    train_animals: int
    val_pictures: int
    val_animals: int


def check_data(config: Config) -> DataSummary:
    """Checks both splits of a run, pictures included.

    Raises:
        UserError: Something is missing or broken; everything found in the first split that fails is listed.
    """
    skeleton, root = skeletons.load(config.skeleton), Path(config.data_root)
    sets = [config.train_dataloader.dataset, config.val_dataloader.dataset]
    missing_files(root, [dataset.ann_file for dataset in sets])
    counts = []
    for dataset in sets:
        coco = check_split(root / dataset.ann_file, root / dataset.data_prefix.img, skeleton)
        counts += [len({a["image_id"] for a in coco["annotations"]}), len(coco["annotations"])]
    return DataSummary(*counts)


def finish(config: Config, seed: int | None) -> None:
    """Fills in what follows from the machine and the strategy: loader workers, seeds, augmentation by epoch."""
    if seed is not None:
        config.randomness.seed = seed
    if config.randomness.get("seed") is None:
        config.randomness.seed = 0
    for loader in (config.train_dataloader, config.val_dataloader):
        settle_loader(loader, config.randomness.seed)
    dataset = config.train_dataloader.dataset
    dataset.seed = config.randomness.seed
    own = dataset.get("augmentation")
    if isinstance(own, (str, Mapping)):
        # the phases are what the plan shows
        for phase in config.strategy.phases:
            phase.augmentation = own
    dataset.augmentation = augmentation_by_epoch(config)


def augmentation_by_epoch(config: Config) -> list:
    """``(first epoch, preset)`` of every phase, for the length that the config has."""
    epochs = config.train_cfg.max_epochs
    return [(first_epoch(phase.start, epochs), phase.augmentation) for phase in config.strategy.phases]


def choose_weights(config: Config, init: str | None, from_scratch: bool, required: bool = True) -> Path | None:
    """The checkpoint that a run starts from, or None for random weights.

    Args:
        config: Its ``pretrained`` and ``from_scratch``; the latter is set to what is decided.
        init: ``--init``, a file that replaces the config's.
        from_scratch: ``--from-scratch``.
        required: Whether the file must be there.

    Raises:
        UserError: The file is missing; the message names the command that fetches it.
    """
    config.from_scratch = init is None and (from_scratch or config.from_scratch or config.pretrained is None)
    if config.from_scratch:
        return None
    if init is not None:
        path, hint = Path(init), "--init takes the path of a checkpoint"
    elif str(config.pretrained).endswith(".pth"):
        path, hint = resolve_path(config.pretrained), "The config's 'pretrained' names it"
    else:
        path, hint = path_of(config.pretrained), f"Fetch it: {command_for(config.pretrained)}"
    if required and not path.is_file():
        raise UserError(
            f"the pretrained weights are missing: {path}",
            hint=f"{hint}\n  Or train without: --from-scratch. Or start from another checkpoint: --init FILE",
        )
    return path
