"""Reading and writing COCO keypoint files.

Coordinates are pixels, (0, 0) the centre of the top left pixel; ``bbox`` is ``[x, y, width, height]``; a keypoint is
``x, y, v`` with ``v`` 0 not labelled, 1 labelled but hidden, 2 visible (https://cocodataset.org/#format-data).
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from equistera.errors import UserError
from equistera.skeleton import Skeleton


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO]:
    """Opens a temporary file beside ``path`` that takes its place only when the block ends without an error.

    Args:
        path: The file to make or replace; its folder is made.
        mode: ``w`` (UTF-8 text) or ``wb``.

    Yields:
        The open file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner can read; give the usual permissions instead
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_json(path: str | Path, content: object, indent: int | None = None) -> None:
    """Writes JSON atomically; NaN and infinities are refused (``ValueError``)."""
    with atomic_write(path) as file:
        json.dump(content, file, indent=indent, allow_nan=False)


def read_json(path: str | Path) -> object:
    """Reads a JSON file.

    Raises:
        UserError: The file is missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def category_of(skeleton: Skeleton, name: str = "horse", category_id: int = 1) -> dict:
    """The COCO category entry that carries a skeleton (its links count from 1, as COCO's do)."""
    return {
        "id": category_id,
        "name": name,
        "supercategory": "animal",
        "keypoints": list(skeleton.names),
        "skeleton": (skeleton.link_indices + 1).tolist(),
    }
