"""Which models a command line names: work dirs, or configs that are each followed by their checkpoints.

An exported network is its own config.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from equistera import commands, inputs
from equistera.errors import UserError
from equistera.exported import is_exported
from equistera.monitor.plan import read_plan
from equistera.words import near

_OF_EVERY_RUN = re.compile(r"best|latest|(epoch|step)_\d+")
#: How most tools are given a config and weights.
FORM = "CONFIG {path} ..."
_USAGE = "WORK_DIR, or CONFIG CHECKPOINT [CHECKPOINT ...]; another CONFIG holds for the checkpoints after it"


def members(words: Sequence[str], form: str = FORM, exported: bool = False) -> list[tuple[str, Path]]:
    """Pairs of a config and a checkpoint.

    Args:
        words: Configs (``.py``) and, after each, one or more checkpoints that were trained with it. A work dir stands
            for its ``best.pth`` and for the run's own copy of its config; a checkpoint before any config is taken with
            the copy that lies beside it.
        form: How the tool at hand is given a config and ``{path}``, for a hint.
        exported: Whether exported networks will do, which say nothing but points; each needs no config, and stands
            in the place of one.

    Returns:
        The pairs, in order.

    Raises:
        UserError: A checkpoint without a config, a config without a checkpoint, a checkpoint twice, or a work dir of
            another config.
    """
    pairs, config, unused = [], None, None
    for word in words:
        if word.endswith(".py"):
            if unused is not None:
                break
            config = unused = word
        elif word.lower().endswith(".xml"):
            raise UserError(
                f"{word}: of exported networks the tools take .onnx files only", hint="tools/export.py --to onnx"
            )
        elif is_exported(word):
            if unused is not None or not exported:
                raise UserError(
                    f"{word} is an exported network, which "
                    + (f"needs no config: what is {unused} for?" if exported else "says nothing but points"),
                    hint="" if exported else "Give the work dir or checkpoint that it was exported from",
                )
            pairs.append((inputs.checkpoint(word), Path(word)))
        else:
            pairs.append(_pair(config, Path(word), form))
            unused = None
    if unused is not None or not pairs:
        raise UserError(f"no checkpoint after {unused or 'the config'}", hint=f"Expected: {_USAGE}")
    twice = [str(path) for path, count in Counter(path.resolve() for _, path in pairs).items() if count > 1]
    if twice:
        raise UserError("the same checkpoint is named twice:", twice)
    return pairs


def members_there(words: Sequence[str], form: str = FORM, exported: bool = False) -> list[tuple[str, Path]]:
    """The same as :func:`members`, of configs and weights that are there.

    Raises:
        UserError: As :func:`members`, or a file is missing.
    """
    pairs = members(words, form, exported)
    for config, path in pairs:
        inputs.find_config(config)
        inputs.checkpoint(path)
    return pairs


def _pair(config: str | None, path: Path, form: str) -> tuple[str, Path]:
    own = own_config(path if path.is_dir() else path.parent) if path.is_dir() or config is None else None
    if own is None and config is None:
        if not path.exists():
            raise UserError(f"no such work dir or checkpoint: {path}{near(path)}", hint="tools/train.py makes one")
        runs = ", ".join(str(best.parent) for best in sorted(path.glob("*/best.pth")))
        if runs:
            raise UserError(f"{path} is no work dir", hint=f"It holds runs; name one of them: {runs}")
        folder = path if path.is_dir() else path.parent
        if path.is_dir() and not (path / "best.pth").is_file():
            raise UserError(f"{path} is no work dir: no best.pth is in it", hint=f"Expected: {_USAGE}")
        copies = ", ".join(file.name for file in sorted(folder.glob("*.py")))
        raise UserError(
            f"{path}: which config was it trained with? "
            + (f"{folder} holds several: {copies}" if copies else f"no copy of it is in {folder}"),
            hint=f"Name it: {form.format(path=commands.line(path))}",
        )
    if own is not None and config is not None and own.name != Path(config).name:
        raise UserError(
            f"{path} was trained with {own.name}, not with {Path(config).name}",
            hint=f"Leave the config out, or name the weights to use another one all the same: {path / 'best.pth'}",
        )
    return str(own or config), path / "best.pth" if path.is_dir() else path


def own_config(work_dir: Path) -> Path | None:
    """A run's own copy of its config, which holds the ``--cfg-options`` too; None where there is none.

    Raises:
        UserError: ``run.json`` is there but broken.
    """
    name = read_plan(work_dir, work_dir / "").config
    copies = [work_dir / f"{Path(name).name.removesuffix('.py')}.py"] if name else sorted(work_dir.glob("*.py"))
    return copies[0] if len(copies) == 1 and copies[0].is_file() else None


def short_names(paths: Sequence[Path], taken: str) -> list[str]:
    """A name for each checkpoint, the shortest kind that tells them apart.

    Args:
        paths: Different files.
        taken: A name that none may have.

    Returns:
        The files' names without suffix, but the folders' of names that every run has (``best.pth``); where that does
        not tell them apart the files' alone, the folders' alone, both, or with their place in the list.
    """
    paths = [path.resolve() for path in paths]
    kinds = (
        [path.parent.name if _OF_EVERY_RUN.fullmatch(path.stem) else path.stem for path in paths],
        [path.stem for path in paths],
        [path.parent.name for path in paths],
        [f"{path.parent.name}-{path.stem}" for path in paths],
    )
    for names in kinds:
        if len(set(names) | {taken}) == len(paths) + 1:
            return names
    return [f"{i}-{name}" for i, name in enumerate(kinds[-1], start=1)]
