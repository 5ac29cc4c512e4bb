"""Which models a command line names: configs, each followed by its checkpoints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from equistera.errors import UserError
from equistera.mm import config as configs
from equistera.mm.prediction.predict import Predictor

_OF_EVERY_RUN = re.compile(r"best|latest|(epoch|step)_\d+")
_USAGE = "CONFIG CHECKPOINT [CHECKPOINT ...]; another CONFIG holds for the checkpoints after it"


def members(words: Sequence[str]) -> list[tuple[str, Path]]:
    """Pairs of a config and a checkpoint.

    Args:
        words: Configs (``.py``) and, after each, one or more checkpoints that were trained with it; a work dir stands
            for its ``best.pth``.

    Returns:
        The pairs, in order.

    Raises:
        UserError: A checkpoint before any config, a config without a checkpoint, or a checkpoint twice.
    """
    pairs, config, unused = [], None, None
    for word in words:
        if word.endswith(".py"):
            if unused is not None:
                break
            config = unused = word
        elif config is None:
            raise UserError(f"{word}: which config was it trained with?", hint=f"Expected: {_USAGE}")
        else:
            pairs.append((config, Path(word) / "best.pth" if Path(word).is_dir() else Path(word)))
            unused = None
    if unused is not None or not pairs:
        raise UserError(f"no checkpoint after {unused or 'the config'}", hint=f"Expected: {_USAGE}")
    twice = [str(path) for path, count in Counter(path.resolve() for _, path in pairs).items() if count > 1]
    if twice:
        raise UserError("the same checkpoint is named twice:", twice)
    return pairs


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


def load_members(
    words: Sequence[str],
    taken: str,
    data_root: str | None = None,
    skeleton: str | None = None,
    **settings: object,
) -> tuple[dict[str, Predictor], dict[str, Path]]:
    """Loads every model that is named.

    Args:
        words: As for :func:`members`.
        taken: As for :func:`short_names`.
        data_root: Folder of the data; that of the first config by default.
        skeleton: As ``--skeleton`` takes it.
        **settings: As :class:`Predictor` takes them.

    Returns:
        Models and checkpoints by name.

    Raises:
        UserError: A model cannot be loaded, or has other keypoints than the first one.
    """
    pairs = members(words)
    root = str(Path(data_root).resolve()) if data_root else None
    predictors = {}
    for name, (config, path) in zip(short_names([path for _, path in pairs], taken), pairs, strict=True):
        predictor = Predictor(config, path, data_root=root, skeleton=configs.skeleton_argument(skeleton), **settings)
        lead = next(iter(predictors.values()), predictor)
        if predictor.skeleton.names != lead.skeleton.names:
            raise UserError(
                f"{path} predicts the {len(predictor.skeleton)} keypoints of {predictor.skeleton.name!r}, the first "
                f"model the {len(lead.skeleton)} of {lead.skeleton.name!r}",
                hint="Only models with the same keypoints in the same order can be set side by side.",
            )
        root = predictor.config.data_root
        predictors[name] = predictor
    return predictors, dict(zip(predictors, (path for _, path in pairs), strict=True))
