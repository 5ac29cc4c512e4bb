"""From videos and folders to the pictures that are worth labelling: the work behind ``tools/pick_frames.py``."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equistera.dataset.coco import read_coco
from equistera.dataset.images import ImageError, read_rgb
from equistera.dataset.paths import picture_path
from equistera.errors import UserError
from equistera.labelling import chosen
from equistera.labelling.choice import Choice, Pool, choose
from equistera.labelling.doubt import Seen
from equistera.labelling.judging import Judgement, by_look, by_model
from equistera.labelling.looks import Look, look_at
from equistera.labelling.picking import PickJob
from equistera.labelling.sources import Sampled, Source, readings
from equistera.progress import track
from equistera.skeleton import Skeleton
from equistera.words import counted

#: Frames that are looked at together at most, and their pixels, neighbours counted.
_BATCH, _MOST_PIXELS = 16, 100e6
#: As :mod:`equistera.labelling.chosen` names the frames of a video.
_OWN_NAME = re.compile(r"(.+)_(\d{6,})")


@dataclass(frozen=True)
class Model:
    """What picking asks of a model.

    Attributes:
        see: The animals of frames.
        know: The animals of pictures that are labelled, by annotation file and folder of the pictures.
        skeleton: Its keypoints.
        threshold: Confidence from which a point counts as found.
        about: What it is, for people.
    """

    see: Callable[[Sequence[Sampled]], list[list[Seen]]]
    know: Callable[[Path, Path], list[Seen]]
    skeleton: Skeleton
    threshold: float
    about: str


@dataclass(frozen=True)
class Candidate:
    """A picture that may be chosen.

    Attributes:
        source: Where it is.
        frame: Its number in the video; 0 of a picture.
        time: Seconds in the video; None of a picture.
        look: What it looks like.
        seen: The animals that the model sees in it; empty without a model.
    """

    source: Source
    frame: int
    time: float | None
    look: Look
    seen: Sequence[Seen] = ()


class IncompleteError(UserError):
    """Videos or pictures that could not be read whole, every one of them named."""

    SHOWN = 1000


def pick(job: PickJob, model: Model | None = None) -> int:
    """Chooses pictures and writes them.

    Args:
        job: What is to be done.
        model: None chooses by colour and shape.

    Returns:
        Exit code 0.

    Raises:
        IncompleteError: Some videos or pictures could not be read, or not to their end; the others were picked from.
        UserError: There is nothing to choose from.
    """
    for note in job.notes:
        print(note)
    candidates, problems = _gather(job, model)
    open_ = _sharp(candidates, job.options.blurred)
    if not open_.any():
        raise IncompleteError("there is nothing to choose from", problems)
    looks, names = _labelled(job)
    open_ &= ~_near_in_time(candidates, names, job.options.gap)
    if model is None:
        judgement = by_look([one.look for one in candidates], looks)
    else:
        known = [animal for file, folder in job.labelled for animal in model.know(file, folder)]
        judgement = by_model([one.seen for one in candidates], known, model.skeleton, model.threshold)
    choice = choose(
        _pool(candidates, judgement),
        job.count,
        gap=job.options.gap,
        rule=job.options.rule,
        bits=job.options.duplicate_distance,
        most=job.options.most_per_group,
        labelled=judgement.labelled,
        labelled_hashes=[look.hashes for look in looks],
        open_=open_,
    )
    _say(job, candidates, choice, judgement)
    if not choice.order:
        raise IncompleteError("there is nothing left to choose: all is labelled or left out", problems)
    rows = _rows(candidates, choice, judgement)
    if model is None:
        chosen.write(Path(job.options.out), rows, {"chosen by": "colour and shape, without a model"})
    else:
        chosen.write(Path(job.options.out), rows, {"model": model.about}, model.skeleton, model.threshold)
    if problems:
        raise IncompleteError("not everything could be read whole; what could be was picked from:", problems)
    return 0


def _gather(job: PickJob, model: Model | None) -> tuple[list[Candidate], list[str]]:
    """All that may be chosen, and what could not be read."""
    candidates: list[Candidate] = []
    problems: list[str] = []
    empty = videos = 0
    for reading in readings(job.sources, job.options.every):
        # of what cannot be opened nothing is looked at; why is said at the end
        stream = track(reading.items, reading.title, reading.total, "pictures") if reading.total else ()
        for batch in _batches(stream):
            seen = model.see([one for _, one in batch]) if model else [[] for _ in batch]
            for (source, one), animals in zip(batch, seen, strict=True):
                videos += source.video
                if model and not animals:
                    empty += 1
                    continue
                box = max(animals, key=lambda animal: animal.box[2:].prod()).box if animals else None
                time = None if one.frame.time is None else float(one.frame.time)
                number = one.frame.number if source.video else 0
                candidates.append(Candidate(source, number, time, look_at(one.frame.image, box), animals))
        problems += reading.problems
    looked = f"looked at {counted(len(candidates) + empty, 'pictures')}"
    print(looked + f", {videos} of them frames of videos, one every {job.options.every:g} s" * bool(videos))
    if empty:
        print(f"  left out: {empty} on which no animal was found (a lower --det-thr, or another --det, may find one)")
    return candidates, problems


def _batches(stream: Iterable[tuple[Source, Sampled]]) -> Iterator[list[tuple[Source, Sampled]]]:
    batch: list[tuple[Source, Sampled]] = []
    pixels = 0
    for source, one in stream:
        batch.append((source, one))
        pixels += sum(frame.image.size // 3 for frame in (one.frame, one.before, one.after) if frame is not None)
        if len(batch) >= _BATCH or pixels >= _MOST_PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _sharp(candidates: Sequence[Candidate], least: float) -> np.ndarray:
    """Whether each is sharp beside the others of its video, or of the pictures of its group; says how many are not."""
    own: dict[tuple, list[int]] = defaultdict(list)
    for i, one in enumerate(candidates):
        own[one.source.group, one.source.path if one.source.video else None].append(i)
    sharp = np.ones(len(candidates), dtype=bool)
    for members in own.values():
        usual = statistics.median(candidates[i].look.sharpness for i in members)
        for i in members:
            sharp[i] = candidates[i].look.sharpness >= least * usual
    if blurred := int((~sharp).sum()):
        print(
            f"  left out: {blurred} blurred, less than {least:.0%} as sharp as the median of their video or group "
            "(--blurred)"
        )
    return sharp


def _labelled(job: PickJob) -> tuple[list[Look], list[str]]:
    """The looks of the pictures that are labelled already, and their names.

    Raises:
        UserError: Some cannot be read.
    """
    paths, problems, looks = [], [], []
    for file, folder in job.labelled:
        for image in read_coco(file, ("images",))["images"]:
            name = image.get("file_name") if isinstance(image, dict) else None
            if not isinstance(name, str):
                raise UserError(f"{file}: an image needs 'file_name', found {str(image)[:80]}")
            try:
                paths.append(picture_path(folder, name))
            except ImageError as error:
                problems.append(error.summary)
    for path in track(paths, "looking at labelled pictures") if paths else ():
        try:
            looks.append(look_at(read_rgb(path)))
        except ImageError as error:
            problems.append(error.summary)
    if problems:
        raise UserError(
            "pictures that are labelled already cannot be compared:", problems, "Set their folder with --img-dir"
        )
    if paths:
        print(f"{counted(len(paths), 'pictures')} are labelled already: nothing like them is chosen")
    return looks, [path.stem for path in paths]


def _near_in_time(candidates: Sequence[Candidate], labelled: Sequence[str], gap: float) -> np.ndarray:
    """Whether each is a frame of a stride of which one is labelled, as its name says: an earlier call wrote it."""
    taken: dict[str, set[int]] = defaultdict(set)
    for stem in labelled:
        if match := _OWN_NAME.fullmatch(stem):
            taken[match[1]].add(int(match[2]))
    near = np.zeros(len(candidates), dtype=bool)
    own: dict[Source, list[int]] = defaultdict(list)
    for i, one in enumerate(candidates):
        if one.source.video and chosen.portable(one.source.path.stem) in taken:
            own[one.source].append(i)
    for source, members in own.items():
        frames = [candidates[i].frame for i in members]
        times = np.array([candidates[i].time for i in members])
        for frame in taken[chosen.portable(source.path.stem)]:
            near[members] |= np.abs(times - np.interp(frame, frames, times)) < gap
    return near


def _pool(candidates: Sequence[Candidate], judgement: Judgement) -> Pool:
    groups: dict[str, int] = {}
    clips: dict[Path, int] = {}
    return Pool(
        judgement.vectors,
        np.array([groups.setdefault(one.source.group, len(groups)) for one in candidates]),
        np.array([clips.setdefault(one.source.path, len(clips)) if one.source.video else -1 for one in candidates]),
        np.array([one.time or 0.0 for one in candidates]),
        [one.look.hashes for one in candidates],
        judgement.worth,
    )


def _rows(candidates: Sequence[Candidate], choice: Choice, judgement: Judgement) -> list[chosen.Row]:
    rows = []
    for i, distance in zip(choice.order, choice.distances, strict=True):
        one, animal, reasons = candidates[i], judgement.animals[i], judgement.reasons[i]
        worth = None if animal is None else float(judgement.worth[i])
        why = [*reasons, *_unlike(distance, bool(reasons))]
        rows.append(chosen.Row(one.source, one.frame, one.time, worth, why, animal))
    return rows


def _unlike(distance: float, more: bool) -> list[str]:
    """What its distance says of a picture; with other reasons only where it says much."""
    if not np.isfinite(distance):
        return [] if more else ["a typical picture to begin with"]
    if distance >= 1:
        return ["unlike all others"]
    return [] if more else [f"differs from what is labelled or chosen ({distance:.2f} of the usual distance)"]


def _say(job: PickJob, candidates: Sequence[Candidate], choice: Choice, judgement: Judgement) -> None:
    if choice.too_near:
        print(f"  left out: {choice.too_near} of a stride that has one, or nearly the same as one")
    groups: dict[str, int] = defaultdict(int)
    for i in choice.order:
        groups[candidates[i].source.group] += 1
    of_all = counted(len({one.source.group for one in candidates}), "groups")
    shares = f", {min(groups.values())} to {max(groups.values())} of each" if len(groups) > 1 else ""
    print(f"chosen: {counted(len(choice.order), 'pictures')} of {len(groups)} of {of_all}{shares}")
    if judgement.uncommon.any():
        uncommon = int(judgement.uncommon[choice.order].sum())
        print(f"  {uncommon} show an uncommon pose or view ({judgement.uncommon.mean():.0%} of all looked at do)")
    if len(choice.order) < job.count:
        why = "--gap, --blurred, --duplicate-distance and --most-per-group leave out fewer"
        print(f"  {job.count} were wanted: no more are left ({why})")
