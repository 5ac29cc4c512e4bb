"""On which picture labels were made: as it is displayed, or as it lies in the file, before its EXIF orientation.

Most tools show photos turned, as browsers do, and some write down the size of the file all the same; others show, and
write down, the photo as it is stored. So a size alone decides nothing. What does, in this order: what the user says;
points and boxes that reach beyond one of the two pictures and not beyond the other; which tool wrote the file; and
horses that stand on their legs in only one of them. Where nothing does, a size that contradicts is not converted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equistera.dataset.anatomy import uprightness
from equistera.dataset.annotate import Frame, frame_of, placed
from equistera.dataset.boxes import EDGE
from equistera.dataset.formats.records import Animal, Export, Picture
from equistera.dataset.formats.values import Unusable
from equistera.dataset.images import ImageHeader
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Reason of a picture whose size contradicts it where nothing decides.
UNDECIDED = "the size in the export is that before the EXIF rotation, and nothing shows where the points belong"
_OTHER_FOLDER = "--img-dir names the folder of the pictures that were labelled."
_SAY_WHICH = (
    "Say whether the labelling tool showed these photos turned, as browsers do (--exif applied), or as they are stored "
    "(--exif ignored)."
)
#: Reason of pictures whose points contradict their size.
CONTRADICTED = "the size in the export is that after the EXIF rotation, but its horses would lie on their side in it"

#: What an export's size says of a picture; ``plain`` where there is no orientation to be wrong about.
_DISPLAYED, _STORED, _SILENT, _EXCHANGED, _PLAIN = "displayed", "stored", "silent", "exchanged", "plain"
#: Relative difference between the proportions of a picture and of its smaller or larger copy.
_SAME_SHAPE = 0.01
#: A point beyond an edge by less than this share of the side may be a click beside it.
_STRAY = 0.02
#: Horses needed to go by how they stand, and by how much better (cosines of their angle) they must.
_HORSES, _BETTER = 3, 0.5


@dataclass(frozen=True)
class FoundPicture:
    """A picture of an export that was looked up.

    Attributes:
        picture: From the export.
        animals: The ones that are converted.
        file_name: Path relative to the picture folder.
        header: Of the file, None where there is none.
    """

    picture: Picture
    animals: Sequence[Animal]
    file_name: str
    header: ImageHeader | None


def frames_of(
    seen: Sequence[FoundPicture], export: Export, exif: str, target: Mapping[str, str], skeleton: Skeleton
) -> tuple[list[Frame | Unusable], list[str]]:
    """Reconciles the sizes that the labelling tool wrote down with the pictures on disk.

    Args:
        seen: Pictures of the export.
        export: May say what its tool does.
        exif: What the user says: ``applied`` (labels are those of the displayed picture), ``ignored``, or "".
        target: The skeleton's keypoint by the file's name.
        skeleton: Has the points of ``target``.

    Returns:
        For each picture its frame, or why it cannot be used; and what the user should know.
    """
    claims = [_claim(one) for one in seen]
    beyond = [_beyond(one, claim) for one, claim in zip(seen, claims, strict=True)]
    shared = {}
    for kind in (_DISPLAYED, _STORED, _SILENT, _EXCHANGED):
        of_kind = [i for i, claim in enumerate(claims) if claim == kind]
        answers = {beyond[i] for i in of_kind} - {""}
        standing = "" if kind == _EXCHANGED else _standing([seen[i] for i in of_kind], target, skeleton)
        shared[kind] = (answers.pop() if len(answers) == 1 else "", standing)
    frames: list[Frame | Unusable] = []
    counts: Counter[str] = Counter()
    for one, claim, own in zip(seen, claims, beyond, strict=True):
        try:
            if isinstance(claim, Unusable):
                raise claim
            stored, words = False, ""
            if claim in shared:
                agreed, standing = shared[claim]
                stored, words = _decided(one, claim, export, exif, own or agreed, standing)
            frames.append(frame_of(one.picture, one.header, stored))
            counts[words] += 1
        except Unusable as error:
            frames.append(error)
    del counts[""]
    return frames, [f"{export.path.name}: {counted(n, 'pictures')} {words}" for words, n in counts.items()]


def _decided(one: FoundPicture, claim: str, export: Export, exif: str, beyond: str, standing: str) -> tuple[bool, str]:
    """Whether the labels were made on the stored picture, and how the user is counts.

    Raises:
        Unusable: Nothing decides.
    """
    if claim == _EXCHANGED:
        if beyond != _DISPLAYED:
            raise _another(one, "width and height exchanged")
        return False, "have width and height exchanged in the export: points beyond its size fit the picture as it is"
    if claim == _DISPLAYED and standing != _STORED:
        return False, ""
    tool = {"shown": _STORED, "stored": _DISPLAYED}.get("shown" if one.picture.relative else export.sized, "")
    grounds = [
        ({"applied": _DISPLAYED, "ignored": _STORED}.get(exif, ""), "--exif says so"),
        (beyond if claim != _DISPLAYED else "", "points beyond the other size show it"),
        (tool if claim == _STORED else "", f"this is how {export.title} writes it"),
        (standing if claim != _DISPLAYED else "", "the horses stand on their legs that way"),
        (_DISPLAYED if claim == _SILENT else "", "as browsers show them; --exif ignored if the labelling tool did not"),
    ]
    decided, why = next((ground for ground in grounds if ground[0]), ("", ""))
    if not decided:
        if claim == _DISPLAYED:
            raise Unusable(CONTRADICTED, _size(one.header.size), _SAY_WHICH)
        sizes = f"{_size(one.header.stored_size)} in the export, displayed {_size(one.header.size)}"
        raise Unusable(UNDECIDED, sizes, _SAY_WHICH)
    what = {
        _STORED: "of the size before their EXIF rotation",
        _DISPLAYED: "of the size after their EXIF rotation",
        _SILENT: "with an EXIF orientation that no size shows",
    }[claim]
    done = "points turned with them" if decided == _STORED else "points taken as those of the displayed picture"
    return decided == _STORED, f"{what}: {done} ({why})"


def _claim(one: FoundPicture) -> str | Unusable:
    """What the size in the export says of a picture; an error where it is that of another one."""
    size, header = one.picture.size, one.header
    if header is None or (header.orientation == 1 and size in (None, header.size)):
        return _PLAIN
    if size is None or size == header.size == header.stored_size:
        return _SILENT
    for known, claim in ((header.size, _DISPLAYED), (header.stored_size, _STORED)):
        if size == known:
            return claim
    if one.picture.relative:
        # a smaller or larger copy has the same proportions
        displayed, stored = _same_shape(size, header.size), _same_shape(size, header.stored_size)
        if displayed or stored:
            oriented = _SILENT if displayed and stored else _DISPLAYED if displayed else _STORED
            return oriented if header.orientation > 1 else _PLAIN
    return _EXCHANGED if size == header.size[::-1] else _another(one)


def _another(one: FoundPicture, how: str = "") -> Unusable:
    sizes = f"{_size(one.header.size)} on disk, {_size(one.picture.size)} in the export"
    return Unusable(
        "the picture on disk is not the one that was labelled", f"{sizes}{f': {how}' * bool(how)}", _OTHER_FOLDER
    )


def _beyond(one: FoundPicture, claim: object) -> str:
    """The picture that all points and boxes lie in, where some lie beyond the other one; "" where both will do."""
    if claim not in (_STORED, _SILENT, _EXCHANGED) or one.picture.relative or one.header.size == one.picture.size:
        return ""
    displayed = np.array(one.header.size)
    stored = np.array(one.picture.size if claim == _EXCHANGED else one.header.stored_size)
    places = [(x, y) for animal in one.animals for x, y, flag in animal.points.values() if flag]
    places += [(a.box[0] + a.box[2], a.box[1] + a.box[3]) for a in one.animals if a.box is not None]
    if not places:
        return ""
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    if (low < -EDGE).any():
        return ""
    fits = [bool((high <= size + EDGE).all()) for size in (displayed, stored)]
    clearly = [bool((high > size * (1 + _STRAY)).any()) for size in (stored, displayed)]
    return next((name for name, fit, out in zip((_DISPLAYED, _STORED), fits, clearly, strict=True) if fit and out), "")


def _standing(seen: Sequence[FoundPicture], target: Mapping[str, str], skeleton: Skeleton) -> str:
    """The picture in which the horses of many stand on their legs while they do not in the other; "" for neither."""
    cosines = []
    for stored in (False, True):
        points = []
        for one in seen:
            frame = frame_of(one.picture, one.header, stored)
            points += [placed(animal, frame, target, skeleton)[:, :2] for animal in one.animals]
        cosines.append(uprightness(np.array(points).reshape(-1, len(skeleton), 2), skeleton))
    known = np.isfinite(cosines).all(axis=0)
    if known.sum() < _HORSES:
        return ""
    better = float((cosines[0] - cosines[1])[known].mean())
    return _DISPLAYED if better > _BETTER else _STORED if better < -_BETTER else ""


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] - one[1] * other[0]) <= _SAME_SHAPE * one[0] * other[1]


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
