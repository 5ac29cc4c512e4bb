"""What a checkpoint says of itself, against what it is to be used with: its own record decides.

Our checkpoints hold the config that they were trained with, as text, and their keypoints; those of MMEngine hold both
in words of their own. Weights that fit say little: a network takes pictures of another size, codecs put the same bins
in other places, and 26 channels may stand for any 26 points.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmpose.registry import KEYPOINT_CODECS

from equistera import commands
from equistera.errors import UserError
from equistera.literals import settings_in
from equistera.mm.data.codecs import SHIFT, shifts_mirrored
from equistera.mm.network.checkpoint_skeleton import named_in, output_channels
from equistera.skeleton import Skeleton

#: Entries that a network's outputs follow from, beside the weights.
_DECISIVE = ("codec", "model")
#: Entries of theirs that are filled in from the top level, or that training alone reads, or that only cost time.
_APART = {
    "skeleton",
    "codec",
    "loss",
    "dropout_rate",
    "drop_path",
    "drop_path_rate",
    "dropout",
    "flip_test",
    "flip_mode",
    "precision",
}
_APART |= {"stages", "init_cfg", "frozen_stages", "norm_eval", "with_cp", "non_blocking"}
#: Where an entry that one side alone has changes what is predicted, for the other side has a default.
_WHOLE = ("codec.", "model.data_preprocessor.", "model.test_cfg.")
#: What follows from the codec where a config does not say it.
_SHIFT = f"model.test_cfg.{SHIFT}"
#: What checkpoints of other programs mean by the same words.
_COMMON = ("codec.", "model.data_preprocessor.mean", "model.data_preprocessor.std")


def refuse_contradictions(content: Mapping, path: str | Path, config: Config, skeleton: Skeleton) -> None:
    """Stops the use of a checkpoint with other keypoints or settings than it was trained for.

    Args:
        content: The checkpoint, as :func:`equistera.mm.network.checkpoint.load` returns it.
        path: Its file.
        config: What it is to be used with, resolved.
        skeleton: Its skeleton.

    Raises:
        UserError: They contradict what the checkpoint says; each contradiction is named.
    """
    name = Path(path).name
    points = _other_keypoints(content, skeleton)
    if points:
        raise UserError(
            f"{path} was trained for other keypoints than those of skeleton {skeleton.name!r}:",
            points,
            "Give the skeleton that it was trained with: --skeleton NAME, or the path of its .json file",
        )
    then, now = _recorded(content), _flat(dict(config.items()))
    same_codec = then.get("codec.type") == now.get("codec.type")
    if same_codec:
        # what one side alone says, the other has by default
        default = _defaults(now.get("codec.type"))
        then, now = {**default, **then}, {**default, **now}
    ours = "equistera_version" in content["meta"]
    differing = [
        key
        for key in {**then, **now}
        if then.get(key) != now.get(key)
        and ((key in then and key in now) or (ours and key.startswith(_WHOLE)))
        and (ours or key.startswith(_COMMON))
        and (same_codec or key != _SHIFT)
    ]
    if then and differing:
        given = [f"{key}={_written(then[key])}" for key in differing if key in then]
        hint = "Give the config that it was trained with"
        if len(given) == len(differing) <= 4:
            hint += f", or say what differs: {commands.line('--cfg-options', *given)}"
        raise UserError(
            f"{path} does not belong to this config: it was trained with other settings:",
            [f"{key}: {_shown(then, key)} in {name}, {_shown(now, key)} in the config" for key in differing],
            hint,
        )


def animals_in(meta: Mapping) -> list[str]:
    """The names of the categories that a checkpoint's training data gave, empty where it does not say."""
    names = meta.get("animals")
    return [*map(str, names)] if isinstance(names, (list, tuple)) else []


def other_animals(detector: Mapping, animals: Sequence[str], skeleton: Skeleton) -> str:
    """In how far a detector has learned other animals than a pose model, by what their checkpoints say of themselves.

    Args:
        detector: The detector's meta information; its ``animals`` are the names of its training's categories.
        animals: Those of the pose model's.
        skeleton: The pose model's.

    Returns:
        A sentence, empty where nothing differs.
    """
    found, wanted = ({name.casefold() for name in names} for names in (animals_in(detector), animals))
    if found and wanted and found != wanted:
        return f"it has learned to find {', '.join(sorted(found))}, the pose model knows {', '.join(sorted(wanted))}"
    entry = next((entry for _, entry in named_in(detector)), None)
    if entry is None or {*map(skeleton.find, entry.keypoints)} == {*skeleton.names}:
        return ""
    return (
        f"its pictures were labelled with the keypoints of {entry.name!r}, the pose model's with those of "
        f"{skeleton.name!r}: perhaps they show other animals"
    )


def settings_digest(config: Config, skeleton: Skeleton) -> str:
    """A short text that changes with whatever a network's outputs follow from, beside the weights."""
    decisive = [*sorted(_flat(dict(config.items())).items()), config.val_pipeline]
    points = [*skeleton.names, *skeleton.flip_indices.tolist()]
    return hashlib.sha256(repr((decisive, points)).encode()).hexdigest()[:16]


def _other_keypoints(content: Mapping, skeleton: Skeleton) -> list[str]:
    """What the checkpoint says of its keypoints that the skeleton contradicts."""
    channels = output_channels(content["state_dict"])
    entry = next((entry for _, entry in named_in(content["meta"]) if len(entry.keypoints) == channels), None)
    if entry is None:
        return []
    if len(skeleton) != channels:
        return [f"{channels} keypoints of {entry.name!r} in the checkpoint, {len(skeleton)} in the skeleton"]
    pairs = enumerate(zip(entry.keypoints, skeleton.names, strict=True), start=1)
    other = [f"keypoint {i}: {theirs!r}, not {own!r}" for i, (theirs, own) in pairs if skeleton.find(theirs) != own]
    own = skeleton.flip_indices.tolist()
    if other or entry.flip_indices is None or entry.flip_indices == own:
        return other
    return [
        f"left and right: {skeleton.names[i]!r} is mirrored to {skeleton.names[theirs]!r}, not {skeleton.names[mine]!r}"
        for i, (theirs, mine) in enumerate(zip(entry.flip_indices, own, strict=True))
        if theirs != mine
    ]


def _recorded(content: Mapping) -> dict[str, object]:
    """Decisive entries of the config that a checkpoint holds; empty where it holds none."""
    # MMEngine calls it cfg
    text = content["meta"].get("config", content["meta"].get("cfg"))
    settings = settings_in(text) if isinstance(text, str) else {}
    return _flat(settings) if all(isinstance(settings.get(key), Mapping) for key in _DECISIVE) else {}


def _flat(settings: Mapping) -> dict[str, object]:
    found = {name: value for key in _DECISIVE for name, value in _leaves(key, settings.get(key))}
    shift = shifts_mirrored(settings["codec"])
    return found if shift is None else {_SHIFT: shift, **found}


def _defaults(codec: object) -> dict[str, object]:
    """What a codec of this type has where its config does not say it."""
    kind = KEYPOINT_CODECS.get(str(codec))
    parameters = {} if kind is None else inspect.signature(kind).parameters
    return {f"codec.{name}": p.default for name, p in parameters.items() if p.default is not p.empty}


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _APART:
                yield from _leaves(f"{key}.{name}", item)
    else:
        yield key, _as_lists(value)


def _as_lists(value: object) -> object:
    # a list from the command line equals the tuple of a file
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _written(value: object) -> str:
    """As ``--cfg-options`` takes it."""
    return f"({','.join(map(_written, value))})" if isinstance(value, list) else str(value)


def _shown(settings: Mapping[str, object], key: str) -> str:
    return _written(settings[key]) if key in settings else "not set"
