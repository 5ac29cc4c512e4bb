"""The calibration that belongs to a checkpoint: ``best.calibration.json`` beside ``best.pth``.

Averaging with the mirrored picture changes the confidences, so it has a calibration of its own. The file names the
weights by their SHA-256 and what else confidences follow from by a digest of it: after another training under the same
name, or with other settings of the network, it counts as absent.
"""

from __future__ import annotations

import json
from pathlib import Path

from equistera import commands

# the homes of hashing and of atomic writing
from equistera.checkpoints import file_hash
from equistera.errors import UserError
from equistera.evaluation.calibration import Calibration
from equistera.files import read_json, write_json

_FIT_AGAIN = "Delete it and fit again: python tools/test.py CONFIG CHECKPOINT --split val"


def calibration_path(checkpoint: str | Path) -> Path:
    """Where a checkpoint's calibration is stored."""
    return Path(checkpoint).with_suffix(".calibration.json")


def missing_because(checkpoint: str | Path, flip_test: bool, settings: str = "") -> str:
    """Why :func:`stored_calibration` gives None, and how to get one: a sentence for people."""
    path, flag = calibration_path(checkpoint), ["--flip-test"] if flip_test else []
    if not path.is_file():
        found = f"there is no {path}"
    elif _read(path)["sha256"] != file_hash(Path(checkpoint)):
        found = f"{path} is of other weights"
    elif _read(path)["fits"].get(_mode(flip_test)) is not None:
        found = f"{path} was fitted with other settings of the network"
    else:
        found = f"the one in {path} is for predictions {'without' if flip_test else 'with'} --flip-test"
    fit = commands.tool("test", "CONFIG", checkpoint, "--split", "val", *flag)
    return f"no calibration: {found}; fit it: {fit}"


def stored_calibration(checkpoint: str | Path, flip_test: bool = False, settings: str = "") -> Calibration | None:
    """The calibration that ``tools/test.py`` has fitted for these weights.

    Args:
        checkpoint: The weights' file.
        flip_test: Whether predictions are averaged with those on the mirrored picture.
        settings: A digest of what else confidences follow from.

    Returns:
        The calibration, or None where none is stored for these very weights and settings.

    Raises:
        UserError: The file holds something else.
    """
    path = calibration_path(checkpoint)
    content = _read(path) if path.is_file() else None
    if content is None or content["sha256"] != file_hash(Path(checkpoint)):
        return None
    entry = content["fits"].get(_mode(flip_test))
    if entry is None:
        return None
    if isinstance(entry, dict) and entry.get("settings", "") != settings:
        return None
    try:
        return Calibration.from_json(entry)
    except UserError as error:
        raise UserError(f"{path}: {error.summary}", hint=_FIT_AGAIN) from error


def store_calibration(
    checkpoint: str | Path, calibration: Calibration, flip_test: bool, settings: str = "", **about: object
) -> Path:
    """Stores a calibration beside its checkpoint; the other mode's is kept if it belongs to the same weights.

    Args:
        checkpoint: The weights' file.
        calibration: Fitted on the validation set.
        flip_test: As for :func:`stored_calibration`.
        settings: Likewise.
        **about: What else a reader should know, JSON-ready: on which pictures and points it was fitted.

    Returns:
        The file that was written.

    Raises:
        WriteError: The folder cannot be written.
    """
    path, sha256 = calibration_path(checkpoint), file_hash(Path(checkpoint))
    fits = {}
    if path.is_file():
        earlier = _read(path)
        fits = earlier["fits"] if earlier["sha256"] == sha256 else {}
    fits[_mode(flip_test)] = {**calibration.to_json(), "settings": settings, **about}
    write_json(path, {"checkpoint": Path(checkpoint).name, "sha256": sha256, "fits": fits}, indent=1)
    return path


def _read(path: Path) -> dict:
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), kind) for key, kind in (("sha256", str), ("fits", dict))
    ):
        raise UserError(f"{path} is no calibration of a checkpoint: it needs 'sha256' and 'fits'", hint=_FIT_AGAIN)
    try:
        json.dumps(content["fits"], allow_nan=False)
    except ValueError as error:
        raise UserError(f"{path} holds numbers that are not finite", hint=_FIT_AGAIN) from error
    return content


def _mode(flip_test: bool) -> str:
    return "flip_test" if flip_test else "plain"
