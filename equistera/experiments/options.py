"""What the trainings of an experiment have in common: the options of ``tools/train.py`` that its own tool takes too."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from equistera import commands
from equistera.errors import UserError
from equistera.training.options import TrainOptions

#: Those that are handed on.
_SHARED = ("config", "data_root", "skeleton", "device", "cfg_options", "amp", "init", "from_scratch", "max_time")


def set_keys(*splits: str) -> list[str]:
    """Entries of a config that say which annotations and pictures a split has."""
    return [f"{split}_dataloader.dataset.{entry}" for split in splits for entry in ("ann_file", "data_prefix.img")]


def set_entries(files: Mapping[str, Path], images: Path) -> list[str]:
    """The same with their values, for ``--cfg-options``.

    Args:
        files: The annotation file of each split.
        images: What their pictures are named relative to.
    """
    values = [value for file in files.values() for value in (file, images)]
    return [f"{key}={str(value)!r}" for key, value in zip(set_keys(*files), values, strict=True)]


@dataclass(frozen=True)
class ExperimentOptions:
    """What the user asked for; see the ``--help`` of the tools."""

    config: str
    _: KW_ONLY
    data_root: str | None = None
    skeleton: str | None = None
    device: str | None = None
    cfg_options: list[str] = field(default_factory=list)
    amp: bool = False
    init: str | None = None
    from_scratch: bool = False
    max_time: str | None = None
    plan: bool = False
    overwrite: bool = False
    argv: Sequence[str] = ()
    started: float = field(default_factory=time.monotonic)

    def training(self, work_dir: Path, **changes: object) -> TrainOptions:
        """A training with these options."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _SHARED} | changes
        return TrainOptions(**{"work_dir": str(work_dir), "started": self.started, **values})

    def words(self) -> list[str]:
        """The same as words of its command line, without the config, the device and ``--cfg-options``."""
        names = ("amp", "from_scratch", "data_root", "skeleton", "init", "max_time")
        values = {name: getattr(self, name) for name in names}
        for name, value in values.items():
            if value is not None and (name in ("data_root", "init") or str(value).endswith(".json")):
                values[name] = Path(value).resolve()
        return commands.option_words(values)

    def known(self, config: str, content: str | None) -> dict:
        """What must be the same for all trainings of an experiment, as plain values.

        Args:
            config: The config's file.
            content: Its values as the record of a run keeps them; None where only the file holds them.
        """
        settings = content or Path(config).read_text(encoding="utf-8")
        return {
            "config": str(config),
            "config_sha256": hashlib.sha256(settings.encode()).hexdigest(),
            "options": self.words(),
            "cfg_options": sorted(self.cfg_options),
        }

    def refuse_decided(self, decided: Mapping[str, str], length: Sequence[str] = ()) -> None:
        """Refuses entries of ``--cfg-options`` that something else decides.

        Args:
            decided: Keys, and what decides them.
            length: Keys that ``--max-time`` decides where it is given.

        Raises:
            UserError: There are some.
        """
        for given in self.cfg_options:
            key = given.partition("=")[0]
            if key in decided:
                raise UserError(f"--cfg-options {given}: {decided[key]} decides that")
            if self.max_time and key in length:
                raise UserError(f"--max-time and --cfg-options {given} decide the same", hint="Leave one of them out")
