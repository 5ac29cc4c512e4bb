"""From options to a resolved config: data, model and machine put together, and checked, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmpose.registry import METRICS

from equistera import inputs
from equistera import skeleton as skeletons
from equistera.checkpoints import command_for, default_dir, manifest, path_of
from equistera.dataset.box_labels import load_boxes
from equistera.dataset.ready import check_split, missing_files
from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.config import mappings_in, resolve_path
from equistera.mm.data.boxes import BoxDataset, not_learned
from equistera.mm.data.codecs import is_size, target_problems
from equistera.mm.data.loading import loader_settings
from equistera.mm.network import checkpoint
from equistera.mm.run.mixing import settle_sources
from equistera.training.checkpoints import BEST
from equistera.training.config_shape import RunConfig
from equistera.training.plan import DataSummary
from equistera.training.schedule import opening
from equistera.training.values import problems_of

#: Annotation files that our metric can be given, and the loader whose file each must be.
EVALUATED = {"ann_file": "val_dataloader", "train_ann_file": "train_dataloader"}


def check_data(config: Config) -> DataSummary:
    """Checks both splits of a run, pictures included, and the data sets beside its own, which become complete.

    Raises:
        UserError: Something is missing or broken; everything found in the first split that fails is listed.
    """
    skeleton, root = skeletons.load(config.skeleton), Path(config.data_root)
    sets = [config.train_dataloader.dataset, config.val_dataloader.dataset]
    missing_files(root, [dataset.ann_file for dataset in sets])
    counts = []
    for dataset in sets:
        coco = check_split(root / dataset.ann_file, root / dataset.data_prefix.img, skeleton)
        counts.append((len({a["image_id"] for a in coco["annotations"]}), len(coco["annotations"])))
    notes: list[str] = []
    if sets[0].type == BoxDataset.__name__:
        notes = not_learned(load_boxes(root / sets[0].ann_file, skeleton), config.codec.input_size)
    sources = settle_sources(config, counts[0][1])
    return DataSummary(*counts[0], *counts[1], tuple(notes), tuple(sources), sets[0].get("epoch_samples"))


def label_files(config: Config) -> list[Path]:
    """The annotation files that a config names."""
    loaders = (config.get(f"{name}_dataloader") for name in ("train", "val", "test"))
    return [Path(config.data_root) / loader.dataset.ann_file for loader in loaders if loader]


def finish(config: Config, seed: int | None) -> None:
    """Fills in what follows: workers of the loaders, seeds, augmentation by epoch, the files that are evaluated on.

    Raises:
        UserError: A value of the config that nothing could be worked out from.
    """
    if seed is None:
        seed = 0 if config.randomness.get("seed") is None else config.randomness.seed
    # a config that a run wrote has the lengths of that one
    configs.write(config, {"randomness.seed": seed, "lengths": None})
    problems = value_problems(config)
    if problems:
        raise UserError("the config has values that no run can have:", problems)
    for name in ("train_dataloader", "val_dataloader"):
        settings = loader_settings(config[name], seed)
        configs.write(config, {f"{name}.{key}": value for key, value in settings.items()})
    if problems := worker_problems(config):
        raise UserError("the config has values that no run can have:", problems)
    dataset, own = config.train_dataloader.dataset, config.train_dataloader.dataset.get("augmentation")
    entries = {"train_dataloader.dataset.seed": seed}
    for key, metric in metrics_of(config).items():
        entries[f"{key}.data_root"] = config.data_root
        if metric.type == "KeypointMetric":
            entries[f"{key}.train_ann_file"] = dataset.ann_file
    if isinstance(own, (str, Mapping)):
        # what is meant for the whole run is each phase's: the phases are what the plan shows
        entries |= {f"strategy.phases.{i}.augmentation": own for i in range(len(config.strategy.phases))}
    configs.write(config, entries)
    configs.write(config, {"train_dataloader.dataset.augmentation": _augmentation(config, own)})


def _augmentation(config: Config, own: Any) -> list:
    """Each phase's augmentation, for the training set; refused is an own entry that says more than that."""
    by_epoch = augmentation_by_epoch(config, lengths_of(config))
    # a run's own copy of its config holds what was written here
    listed = own if isinstance(own, (list, tuple)) else ()
    written = [tuple(entry) if isinstance(entry, list) else entry for entry in listed]
    if not isinstance(own, (str, Mapping)) and own is not None and written != by_epoch:
        raise UserError(
            f"train_dataloader.dataset.augmentation: expected one preset for the whole run, or None, found {own!r}",
            hint="Which epochs have which is said by the phases: --cfg-options strategy.phases.0.augmentation=light\n"
            "  If a run wrote it and you changed the epochs: --cfg-options train_dataloader.dataset.augmentation=None",
        )
    return by_epoch


def value_problems(config: Config) -> list[str]:
    """What is wrong with single values on which everything else builds; the plan checks the others."""
    problems = problems_of(RunConfig, dict(config.items()))
    if problems:
        return problems
    if "Amp" in str(config.optim_wrapper.get("type")) and not torch.cuda.is_available():
        problems = [
            f"optim_wrapper.type: {config.optim_wrapper.type!r} is for float16 on a GPU, and there is none; "
            "--amp chooses what the machine can do"
        ]
    sizes = _input_size_problem(config)
    return problems + (sizes or target_problems(config.codec)) + _file_problems(config)


def worker_problems(config: Config) -> list[str]:
    """What a settled loader says of workers that it has not."""
    problems = []
    for name in ("train_dataloader", "val_dataloader"):
        loader = config[name]
        for key in ("persistent_workers", "prefetch_factor"):
            if not loader.num_workers and loader[key]:
                problems.append(f"{name}.{key}: {loader[key]!r} is for workers, and {name}.num_workers is 0")
    return problems


def _file_problems(config: Config) -> list[str]:
    """An evaluator that would read other annotations than the loader has pictures of."""
    problems, root = [], Path(config.data_root)
    for key, metric in metrics_of(config).items():
        for name, loader in EVALUATED.items():
            own, read = metric.get(name), config[loader].dataset.ann_file
            if own is not None and root / str(own) != root / read:
                problems.append(
                    f"{key}.{name}: {own!r}, but {loader}.dataset.ann_file is {str(read)!r}: "
                    f"leave it to follow, {key}.{name}=None"
                )
    return problems


def metrics_of(config: Config) -> dict[str, ConfigDict]:
    """Our metrics among the evaluators of a run, by their keys: its ``val_evaluator`` is one of them or a list."""
    parts = {key: part for key, part in mappings_in(config.val_evaluator, "val_evaluator") if "type" in part}
    return {key: part for key, part in parts.items() if hasattr(METRICS.get(part["type"]), "SCORES")}


def _input_size_problem(config: Config) -> list[str]:
    size, stride = config.codec.input_size, config.model.stride
    if is_size(size) and not any(side % stride for side in size):
        return []
    sides = list(size) if isinstance(size, (tuple, list)) else [size]
    numbers = all(type(side) is int and side > 0 for side in sides)
    near = [max(1, round(side / stride)) * stride for side in sides] if numbers and sides else [256]
    return [
        f"codec.input_size: expected (width,height) in multiples of {stride} pixels, such as ({near[0]},{near[-1]}), "
        f"found {size!r}"
    ]


def lengths_of(config: Config) -> list[tuple[int, int]]:
    """``(complete epochs when it was decided, epochs of the run)``: the run's first length and what it became."""
    return [(done, epochs) for done, epochs in config.get("lengths") or [(0, config.train_cfg.max_epochs)]]


def length_entries(config: Config, lengths: Sequence[Sequence[int]]) -> dict[str, object]:
    """The entries of a config that say how long a run is by now, and was before; see :func:`lengths_of`."""
    return {
        "lengths": [list(length) for length in lengths],
        "train_cfg.max_epochs": lengths[-1][1],
        "train_dataloader.dataset.augmentation": augmentation_by_epoch(config, lengths),
    }


def augmentation_by_epoch(config: Config, lengths: Sequence[Sequence[int]]) -> list:
    """``(first epoch, preset)`` of every phase of a run of these lengths; see :func:`lengths_of`."""
    return [(opening(phase.start, lengths), phase.augmentation) for phase in config.strategy.phases]


@dataclass(frozen=True)
class Weights:
    """The checkpoint that a run starts from, and what is in it."""

    path: Path
    content: dict


def choose_weights(config: Config, init: str | None) -> Weights | UserError:
    """The checkpoint that a run starts from which does not begin with random weights.

    Args:
        config: Its ``pretrained``.
        init: ``--init``, a file that replaces the config's.

    Returns:
        The error, not raised, where the config's own weights are still to be fetched: a plan needs none.

    Raises:
        UserError: The file is no checkpoint, or one that the user named is not there.
    """
    weights = Path(init) if init is not None else _file_of(str(config.pretrained))
    if weights.is_dir():
        # of a run, as for the other tools
        weights /= BEST
    if init is not None:
        inputs.checkpoint(weights)
    if weights.is_file():
        # what is no checkpoint is refused before anything is written
        return Weights(weights.resolve(), checkpoint.load(weights))
    named = str(config.pretrained)
    hint = f"The config's 'pretrained' names it: {named}"
    if name := _published(named):
        hint = f"Fetch it: {command_for(name)}"
    elif "://" in named:
        hint = f"The config names {named}; a training fetches nothing: download it and save it there"
    return UserError(
        f"the pretrained weights are missing: {weights}",
        hint=f"{hint}\n  Or train without: --from-scratch. Or start from another checkpoint: --init FILE",
    )


def _file_of(pretrained: str) -> Path:
    """Where the weights lie, or are to be put, that are named by the manifest's name or address, or by a file."""
    name = _published(pretrained)
    if name is None and "://" in pretrained:
        return default_dir() / pretrained.rsplit("/", 1)[-1]
    is_file = name is None and (Path(pretrained).suffix or Path(pretrained).name != pretrained)
    return resolve_path(pretrained) if is_file else path_of(name or pretrained)


def _published(pretrained: str) -> str | None:
    """The name in the manifest of a name or an address."""
    return next((name for name, known in manifest().items() if pretrained in (name, known.url)), None)
