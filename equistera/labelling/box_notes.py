"""What a file that says where the animals of unlabelled pictures are has to do with these pictures."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from equistera.dataset.animals import read_animals
from equistera.dataset.images import ImageError, read_header
from equistera.errors import UserError
from equistera.labelling.sources import Source
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Names that a line tells.
_TOLD = 5


def notes_on_boxes(path: Path, skeleton: Skeleton, pictures: Sequence[Source]) -> list[str]:
    """Compares boxes with the pictures that they are for.

    Args:
        path: COCO file.
        skeleton: Of its keypoints, if it has some.
        pictures: Those there are.

    Returns:
        Lines about what does not fit but does no harm: boxes of pictures that are not there, pictures without an
        entry, several kinds of animals.

    Raises:
        UserError: The file cannot be read, is of pictures of another size, has a box twice or one beside its picture.
    """
    told = read_animals(str(path), skeleton)
    known = {source.path: told.find(source.name) for source in pictures}
    problems = []
    for source in pictures:
        name = known[source.path]
        # what cannot be read is told when it is looked at
        with contextlib.suppress(ImageError):
            size = read_header(source.path).size if name is not None else None
            if size and told.sizes.get(name, size) != size:
                says, has = ("x".join(map(str, pair)) for pair in (told.sizes[name], size))
                problems.append(f"{name} is {says} there, the picture has {has} pixels")
            for x, y, width, height in (animal.bbox for animal in told.animals.get(name, ()) if size):
                if x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
                    problems.append(f"{name}: the box [{x:g}, {y:g}, {width:g}, {height:g}] lies beside the picture")
    for name, animals in told.animals.items():
        twice = [box for box, count in Counter(animal.bbox for animal in animals).items() if count > 1]
        problems += [f"{name}: the box [{', '.join(f'{v:g}' for v in box)}] is there twice" for box in twice]
    if problems:
        raise UserError(f"{path} contradicts itself or its pictures:", problems, "Mend it, or rename it and use --det")
    lines = []
    if gone := sorted(told.animals.keys() - {*known.values()}):
        lines.append(f"{path.name} has boxes of {counted(len(gone), 'pictures')} not in the folder: {_few(gone)}")
    if unlisted := sorted(source.name for source in pictures if known[source.path] is None):
        text = f"{counted(len(unlisted), 'pictures')} not in {path.name}, so nobody looks for an animal there"
        lines.append(f"{text}: {_few(unlisted)}")
    kinds = Counter(animal.category or "no name" for animals in told.animals.values() for animal in animals)
    if len(kinds) > 1:
        text = ", ".join(f"{count} of {kind}" for kind, count in kinds.items())
        lines.append(f"{path.name} has boxes of several kinds, all of which count as your animal: {text}")
    return lines


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")
