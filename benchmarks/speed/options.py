"""Options that the subcommands share, and what follows from them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger

from equistera import skeleton as skeletons
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm import register  # noqa: F401
from equistera.mm.data.caching import AUTO, FOLDER, OFF, use_cache
from equistera.mm.devices import choose_device
from equistera.mm.run import preflight
from speed.photos import make_photos

CONFIGS = ("configs/rtmpose_m_ap10k.py", "configs/hrnet_w32_ap10k.py")
PHONE, SMALL = (4000, 3000), (1280, 960)


@dataclass(frozen=True)
class Options:
    """What the user asked for; see ``tools/benchmark.py --help``."""

    config: list[str] = field(default_factory=lambda: list(CONFIGS))
    against: str = "stock"
    rounds: int = 5
    seconds: float = 2.0
    batch_size: int | None = None
    steps: int = 8
    phases: tuple[int, ...] = (1, 3)
    workers: list[int] | None = None
    sizes: tuple[tuple[int, int], ...] = (SMALL,)
    pictures: int = 16
    amp: bool = False
    compile: bool = False
    cache: str = AUTO
    device: str | None = None
    threads: int | None = None
    folder: str | None = None
    cfg_options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("rounds", "steps", "pictures"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} {getattr(self, name)}: expected 1 or more")
        if any(number < 0 for number in self.workers or ()):
            raise UserError(f"--workers {' '.join(map(str, self.workers))}: expected 0 or more each")

    @property
    def with_stock(self) -> bool:
        return self.against == "stock"

    @property
    def photos(self) -> Path:
        """Where photos are kept, so that they are made once."""
        return Path(self.folder) if self.folder else Path(tempfile.gettempdir()) / "equistera_benchmark"


def start(options: Options) -> None:
    """Chooses the device and the numbers of threads."""
    choose_device(options.device)
    # MMEngine would list every weight that it initialises
    MMLogger.get_current_instance().setLevel("ERROR")
    cv2.setNumThreads(1)
    if options.threads:
        torch.set_num_threads(options.threads)


def load(
    options: Options, path: str, size: tuple[int, int], batches: int | None = None, preset: str | None = None
) -> Config:
    """A config over photos of ``size``, made if need be, which are validated on as well.

    Args:
        options: Batch size and number of pictures are theirs.
        path: Of the config.
        size: Width and height of the photos.
        batches: Batches that an epoch shall have; by default one animal a picture, or one batch, makes an epoch.
        preset: Augmentation for the whole run; by default each phase's own.

    Returns:
        The config, with what follows from the machine filled in, and with the crop cache unless that is off.
    """
    config = configs.load(path, options.cfg_options)
    if config.model.type != "SkeletonPoseEstimator":
        raise UserError(f"{path}: expected a pose model's config, found one of {config.model.type}")
    batch = options.batch_size or config.train_dataloader.batch_size
    skeleton = skeletons.load(config.skeleton)
    # fewer animals than a batch has would make no batch at all
    animals = max(batches * batch if batches else options.pictures, batch)
    root = make_photos(options.photos, options.pictures, size, skeleton, animals)
    config = configs.load(path, options.cfg_options, data_root=str(root))
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.ann_file, loader.dataset.data_prefix.img = "annotations/train.json", "images/train"
    config.train_dataloader.batch_size = batch
    config.from_scratch = False
    config.train_dataloader.dataset.augmentation = preset
    preflight.finish(config, 0)
    configs.write(config, use_cache(config, root, OFF if options.cache == OFF else str(options.photos / FOLDER)))
    return config


def with_workers(loader: ConfigDict, workers: int) -> ConfigDict:
    """A settled loader's config with another number of workers, and what goes with it.

    Args:
        loader: Config of a loader with its :func:`equistera.mm.data.loading.loader_settings`; unchanged.
        workers: Processes that load; 0 loads in the process itself.
    """
    changed: dict[str, object] = {"num_workers": workers, "persistent_workers": workers > 0}
    changed["worker_init_fn"] = {**loader.worker_init_fn, "num_workers": workers}
    return ConfigDict({**loader, **changed, **({} if workers else {"prefetch_factor": None})})
