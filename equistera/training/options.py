"""What a run is asked for, and its own record of that, from which ``--resume`` goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from equistera import PROJECT, commands, inputs
from equistera.errors import UserError
from equistera.files import read_json
from equistera.monitor.plan import RUN_FILE
from equistera.processes import OWN, start_command, world_size
from equistera.training import work_dir as work_dirs
from equistera.words import near

#: Options that a resumed run has from its record unless they are given again; those to start from are a pair.
CARRIED = ("data_root", "skeleton", "amp", "compile", "max_time", "device", "seed", "cache")
#: Options and the entries of the config that decide the same.
SAME = {"data_root": "data_root", "skeleton": "skeleton", "seed": "randomness.seed", "cache": "cache.dir"}
SAME |= {"amp": "model.precision", "from_scratch": "from_scratch", "init": "pretrained"}
#: Those of the recorded options that are texts, or None.
_TEXTS = ("data_root", "skeleton", "max_time", "device", "cache", "init")


@dataclass(frozen=True)
class TrainOptions:
    """What the user asked for; see ``tools/train.py --help``. Without a ``config`` a run resumes with its own.

    Those of ``cfg_options`` that nobody gave, since the run's record has them, are the ``recorded`` ones; None before
    there is a record in it. ``wanted`` is the work dir that was asked for where :func:`with_record` chose another of
    its name.
    """

    config: str | None = None
    work_dir: str | None = None
    data_root: str | None = None
    skeleton: str | None = None
    amp: bool = False
    compile: bool = False
    resume: bool = False
    allow_changed_data: bool = False
    from_scratch: bool = False
    init: str | None = None
    max_time: str | None = None
    plan: bool = False
    json: str | None = None
    overwrite: bool = False
    device: str | None = None
    seed: int | None = None
    cfg_options: list[str] = field(default_factory=list)
    recorded: Sequence[str] | None = None
    launcher: str = "none"
    cache: str | None = None
    wanted: Path | None = None
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """The work dir.

        Raises:
            UserError: Neither it nor the config that names it is given.
        """
        if self.work_dir is None and self.config is None:
            raise UserError("which run? Neither CONFIG nor --work-dir is given", hint="--resume --work-dir DIR")
        folder = Path(self.work_dir or PROJECT / "work_dirs" / Path(self.config).stem).resolve()
        try:
            str(folder).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"the work dir {str(folder).encode(errors='backslashreplace').decode()} has a name that is not UTF-8, "
                "in which TensorBoard and the records of a run write it",
                hint="--work-dir names another; or rename it",
            ) from error
        return folder


def with_record(options: TrainOptions) -> TrainOptions:
    """What a run is asked for, its work dir included; of a resumed one what is given now, the rest as it was.

    A run that begins has a folder of its own, ``NAME-2`` where ``NAME`` holds a run. One that is resumed is the one in
    ``--work-dir``; without that, the newest of the config's ``NAME``, ``NAME-2``, ...

    Its ``config`` stays None where none is given: the run's own is in the record.

    Raises:
        UserError: There is no config, given or recorded, or the record is damaged.
    """
    if options.recorded is not None:
        # a second time, what the record said would pass for given
        return options
    if not options.resume:
        if options.config is None:
            raise UserError("CONFIG is missing; only --resume --work-dir DIR does without", hint="See --help")
        if options.init:
            # a work dir stands for its best weights
            named = Path(options.init)
            inputs.checkpoint(named / "best.pth" if named.is_dir() else named)
        return _at(work_dirs.fresh(options.folder), options)
    if options.work_dir is None:
        options = _at(work_dirs.newest(options.folder), options)
    record = read_record(options.folder)
    if record is None:
        if options.config is None:
            raise UserError(
                f"{options.folder} has no record of a run ({RUN_FILE}), so its config is not known"
                + near(options.folder),
                hint="Give the command that the run was begun with, CONFIG and options, and --resume",
            )
        return options
    before = record["options"]
    start = options if options.init or options.from_scratch else TrainOptions(**before)
    given = {option.partition("=")[0] for option in options.cfg_options}
    # what is said now takes the place of what was said then, by whichever name of the same
    taken = given | {key for name, key in SAME.items() if is_given(getattr(options, name))}
    kept = [option for option in before["cfg_options"] if option.partition("=")[0] not in taken]
    carried = {name: getattr(options, name) for name in CARRIED if SAME.get(name) not in given}
    return dataclasses.replace(
        options,
        **{name: value if is_given(value) else before[name] for name, value in carried.items()},
        init=start.init,
        from_scratch=start.from_scratch,
        cfg_options=[*kept, *options.cfg_options],
        recorded=kept,
    )


def _at(folder: Path, options: TrainOptions) -> TrainOptions:
    """Options with the work dir chosen; what was wanted is kept where it is another."""
    if folder == options.folder:
        return options
    return dataclasses.replace(options, work_dir=str(folder), wanted=options.folder)


def is_given(value: object) -> bool:
    """Whether an option is there; a seed of 0 is."""
    return value is not None and value is not False


def make_record(options: TrainOptions, config: Path, content: str | None) -> dict:
    """What ``run.json`` keeps for ``--resume``: places as absolute paths, what belongs to the machine left out.

    ``content`` are the config's own values, see :func:`equistera.mm.config.as_text`; None if there are none.
    """

    def place(path: str | None) -> str | None:
        return str(Path(path).expanduser().resolve()) if path else path

    values = {name: getattr(options, name) for name in CARRIED} | {
        "config": str(config),
        "data_root": place(options.data_root),
        "skeleton": place(options.skeleton) if str(options.skeleton).endswith(".json") else options.skeleton,
        "init": place(options.init),
        "from_scratch": options.from_scratch,
        "cache": options.cache if options.cache in ("auto", "off") else place(options.cache),
        # which GPU is the machine's affair
        "device": "cpu" if options.device == "cpu" else None,
        "cfg_options": list(options.cfg_options),
    }
    record = {"options": values, "content": content}
    return {**record, "digest": _digest(record)}


def read_record(work_dir: Path) -> dict | None:
    """The record of the run in a work dir; None if there is none.

    Raises:
        UserError: It was changed or damaged.
    """
    path = work_dir / RUN_FILE
    if not path.is_file():
        return None
    hint = f"Remove {path} and give the command that the run was begun with, CONFIG and options, and --resume"
    try:
        content = read_json(path)
    except UserError as error:
        raise UserError(f"the record of the run cannot be read: {error.summary}", hint=hint) from error
    record = content.get("record") if isinstance(content, dict) else None
    if record is None:
        return None
    plain = {key: value for key, value in record.items() if key != "digest"} if isinstance(record, dict) else {}
    if not _is_record(plain) or record.get("digest") != _digest(plain):
        raise UserError(f"the record of the run in {path} was changed or damaged", hint=hint)
    return record


def _is_record(plain: dict) -> bool:
    """Whether this is what :func:`make_record` makes, by names and kinds."""
    values = plain.get("options")
    return (
        plain.keys() == {"options", "content"}
        and isinstance(plain["content"], str | None)
        and isinstance(values, dict)
        and values.keys() == {*CARRIED, "config", "init", "from_scratch", "cfg_options"}
        and all(type(values[name]) is bool for name in ("amp", "compile", "from_scratch"))
        and type(values["seed"]) in (int, type(None))
        and isinstance(values["cfg_options"], list)
        and all(map(_is_text, [values["config"], *values["cfg_options"]]))
        and all(value is None or _is_text(value) for name, value in values.items() if name in _TEXTS)
    )


def _is_text(value: object) -> bool:
    """Whether a value can have been a word of a command line."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def resume_command(options: TrainOptions) -> str:
    """The command that goes on with a run, which knows the rest by itself."""
    by_us = OWN in os.environ
    words = start_command("none" if by_us else options.launcher, Path(sys.executable).name)
    words += ["tools/train.py", "--work-dir", str(options.folder), "--resume"]
    if by_us:
        words += ["--processes", str(world_size())]
    elif options.launcher != "none":
        words += ["--launcher", options.launcher]
    return commands.line(*words)


def _digest(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
