"""The crop cache of a run: whether there is one, where it lies, and that the loaders read from it.

A cache costs one decoding of every photo and disk for crops of at most the size that the input can use; from then on a
sample is read, not decoded. ``equistera.crops`` makes the files.
"""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmpose.registry import DATASETS

from equistera.crops.build import CacheRefused, ensure
from equistera.errors import UserError
from equistera.words import counted

#: Values of ``--cache`` beside a folder.
AUTO, OFF = "auto", "off"
#: Folder of the caches of all runs whose work dirs lie side by side.
FOLDER = "crop_cache"


def cache_folder(config: Config, work_dir: Path, option: str | None = None) -> Path | None:
    """Where the caches of a run lie.

    Args:
        config: Its ``cache.dir`` holds if ``option`` is None.
        work_dir: Of the run.
        option: ``--cache``: ``auto``, ``off`` or a folder.

    Returns:
        The folder, which need not exist; None if photos are to be decoded at every step.
    """
    wanted = option or config.get("cache", {}).get("dir") or AUTO
    if wanted == OFF:
        return None
    return work_dir.parent / FOLDER if wanted == AUTO else Path(wanted).expanduser().resolve()


def use_cache(config: Config, work_dir: Path, option: str | None = None, required: bool = False) -> dict[str, str]:
    """Makes the caches of both splits where they are missing.

    All processes of a run call this; one makes the files and the others wait.

    Args:
        config: A resolved config.
        work_dir: Of the run.
        option: As for :func:`cache_folder`.
        required: Whether to stop where there can be no cache. A folder that was asked for by name is required too;
            otherwise photos are decoded at every step, and a message says so.

    Returns:
        Entries of the config by which the loaders' data sets read from them.

    Raises:
        UserError: There is no room for a cache that is required, or a picture cannot be decoded.
    """
    folder = cache_folder(config, work_dir, option)
    if folder is None:
        if required:
            raise UserError("the crop cache is switched off", hint="--cache DIR, or cache.dir in the config, names one")
        return {}
    opened, entries = [], {}
    for name in ("train_dataloader", "val_dataloader"):
        dataset = DATASETS.build({**config[name].dataset, "pipeline": [], "cache": None})
        try:
            for part in (dataset, *dataset.sources):
                opened.append(ensure(folder, part.crop_request, cache_limit(config)))
        except CacheRefused as refused:
            if required or folder != work_dir.parent / FOLDER:
                raise
            print(f"{refused}\n  photos are decoded at every step instead", flush=True)
            continue
        entries[f"{name}.dataset.cache"] = str(folder)
    if opened:
        size = sum(store.bytes for store in opened)
        print(f"crop cache: {counted(sum(map(len, opened)), 'animals')}, {size / 1e6:,.0f} MB in {folder}", flush=True)
    return entries


def cache_limit(config: Config) -> int:
    """Most bytes of all caches in a folder.

    Raises:
        UserError: ``cache.max_gb`` is no such number.
    """
    limit = config.get("cache", {}).get("max_gb", 20)
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
        raise UserError(f"cache.max_gb: expected a number of gigabytes above 0, found {limit!r}")
    return int(limit * 1e9)
