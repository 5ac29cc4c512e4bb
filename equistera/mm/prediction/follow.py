"""Where to look in the frames of a video: animals are followed from batch to batch, so that batches stay full.

For a whole batch of frames the boxes are known before the model looks: each animal's last box, moved as it moved, and
led to where a detector, if it is asked then, finds it at the batch's end. What turns out badly (the pose leaves its
crop, or is unsure) is looked at once more, where the pose itself or those of the frames beside it say that the animal
is. Detector or search are asked again where an animal was lost, may have come in, or nobody is followed.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equistera.frames import Frame
from equistera.mm.prediction.places import (
    SAME_ANIMAL,
    animals_shown,
    centred,
    cornered,
    from_neighbours,
    overlap,
    share_inside,
)
from equistera.mm.prediction.pose_drawing import Confidence
from equistera.mm.prediction.predict import Pose, Predictor
from equistera.mm.prediction.stream import SMALL, BoxSource, box_of
from equistera.tracks.identity import Follower

#: Mean confidence below which a pose shows no animal, or not where it was looked for.
LOST = 0.3
#: Mean confidence from which what a search or a detector has found is an animal, unless the model is known to be surer
#: of backgrounds.
NEW = 0.5
#: Overlap of two poses' boxes in a frame from which they show one animal: of two that cross, one is hidden then.
SAME_PLACE = 0.7
#: Share of a new pose's box that lies in that of another animal, from which it shows a part of that ...
PART = 0.7
#: ... if the model is so sure of that animal, and surer than of the part.
SURE = 0.75
#: Share of the pose's box that must lie in the box that was looked into.
INSIDE = 0.85
#: Seconds between two looks of the search for animals that came in while others are followed: it costs as much as
#: hundreds of frames.
SEARCH_EVERY = 20.0
#: Seconds between two looks of a detector, at the end of a batch, while it sees all animals that are followed.
DETECT_EVERY = 0.5
#: Seconds between two of its close looks then.
CLOSELY_EVERY = 2.0
#: Seconds between two searches while nobody is followed.
EMPTY_EVERY = 1.0
#: So often in a row a detector may miss an animal that is followed: then it is let go.
UNSEEN = 2
#: Confidence of a detector from which an animal is followed at all; less only confirms one that is followed (two
#: thresholds, as in ByteTrack, Zhang et al. 2022).
BEGIN = 0.5
#: A batch is a part of the usual one as long as it is not known how an animal moves.
FIRST_PART = 4
#: How often what turned out badly is looked at again, as long as that helps.
LOOKS_AGAIN = 4


@dataclass
class _Known:
    """A followed animal's last box (centre x, y, width, height; pixels), its change in a second, and when that was."""

    box: np.ndarray
    speed: np.ndarray
    time: float

    def at(self, time: float) -> np.ndarray:
        """Where its box should be by then; its size is kept."""
        return self.box + self.speed * (time - self.time)


class VideoPoses:
    """Poses of all animals in the frames of one video, with their numbers.

    Args:
        predictor: The model.
        confidence: What its confidences mean.
        source: Finds animals on single frames.
        glance: The same for about the cost of one look of the model, as a detector has it; None: there is none.
        animals: How many there are at most; None: as many as are found.
        batch_size: Frames that go through the model together.
        begin: How sure ``source`` must be of an animal that is not followed yet.
    """

    def __init__(
        self,
        predictor: Predictor,
        confidence: Confidence,
        source: BoxSource,
        glance: BoxSource | None = None,
        animals: int | None = None,
        batch_size: int = 16,
        begin: float = BEGIN,
    ):
        self.predictor, self.confidence, self.source, self.glance = predictor, confidence, source, glance
        self.animals, self.batch_size, self.begin = animals, batch_size, begin
        self._new = max(NEW, confidence.background)
        self.follower = Follower(predictor.skeleton, animals)
        self._known: dict[int, _Known] = {}
        #: When anybody was asked last, and when other than for a glance.
        self._asked: float | None = None
        self._asked_closely = -np.inf
        self._asked_at_end = False
        self._lost = True
        self._settled = False
        #: Of each animal how often the detector was asked while it was followed, saw it, and has not seen it of late;
        #: when it last saw it, and from when to when nobody has seen what was followed; the paths of this batch that
        #: it saw.
        self._asked_for: Counter[int] = Counter()
        self._confirmed: Counter[int] = Counter()
        self._missed: Counter[int] = Counter()
        self._seen: dict[int, float] = {}
        self._unseen: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._detected: set[int] = set()

    @property
    def wanted(self) -> int:
        """Frames that :meth:`__call__` should get next."""
        return self.batch_size if self._settled else min(self.batch_size, max(2, self.batch_size // FIRST_PART))

    def __call__(self, frames: Sequence[Frame]) -> tuple[list[list[Pose]], list[list[int | None]]]:
        """Takes in the next frames.

        Args:
            frames: In order, at best :attr:`wanted` of them, all with an image and a time.

        Returns:
            Of each frame its poses, with calibrated ``scores``, and the numbers of their animals, from 1; None for a
            pose that is nobody's.
        """
        times = np.array([float(frame.time) for frame in frames])
        size = frames[0].image.shape[1::-1]
        paths = self._paths(frames, times, size)
        poses = self._look(frames, paths, size)
        found: list[list[Pose]] = [[] for _ in frames]
        for p, path in enumerate(poses):
            seen = [pose for pose in path if pose is not None]
            # what is followed has shown that it is an animal; what is new has to
            is_new = p >= len(self._known)
            if is_new and (
                not seen
                or np.median([pose.scores.mean() for pose in seen]) < self._new
                or self._is_part(p, poses, size)
            ):
                continue
            for t, pose in enumerate(path):
                if pose is not None and pose.scores.mean() >= LOST:
                    found[t].append(pose)
        found = [self._each_once(here, size) for here in found]
        ids = [
            self.follower.update(
                time,
                np.array([pose.points for pose in here]),
                np.array([pose.scores for pose in here]),
                np.array([pose.bbox for pose in here]) if here else None,
            )
            for time, here in zip(times, found, strict=True)
        ]
        if self._asked_at_end:
            self._note_confirmed(times[-1], poses, found, ids)
        self._remember(times, found, ids, size)
        return found, ids

    @property
    def doubtful(self) -> set[int]:
        """Numbers of animals that the detector has seen only once where it was asked more often.

        What the pose model makes of a bush looks the same from frame to frame, and it is rather sure of it.
        """
        return {number for number, asked in self._asked_for.items() if asked > 1 and self._confirmed[number] < 2}

    def unseen(self, number: int, time: float) -> bool:
        """Whether the detector has not seen any more what was followed as this animal at this time, in seconds."""
        return any(begin < time <= end for begin, end in self._unseen[number])

    def _note_confirmed(
        self,
        now: float,
        poses: Sequence[Sequence[Pose | None]],
        found: Sequence[Sequence[Pose]],
        ids: Sequence[Sequence[int | None]],
    ) -> None:
        """Notes which animals the detector, which has just been asked, has seen where they are followed."""
        path_of = {id(pose): p for p, path in enumerate(poses) for pose in path if pose is not None}
        paths: dict[int, Counter[int]] = defaultdict(Counter)
        for here, numbers in zip(found, ids, strict=True):
            for pose, number in zip(here, numbers, strict=True):
                if number is not None:
                    paths[number][path_of[id(pose)]] += 1
        for number, counted in paths.items():
            seen = counted.most_common(1)[0][0] in self._detected
            self._asked_for[number] += 1
            self._confirmed[number] += seen
            self._missed[number] = 0 if seen else self._missed[number] + 1
            if seen:
                self._seen[number] = now
            elif self._missed[number] >= UNSEEN:
                self._unseen[number].append((self._seen.get(number, -np.inf), now))

    def _is_part(self, p: int, poses: Sequence[Sequence[Pose | None]], size: tuple[int, int]) -> bool:
        """Whether what is new shows a part of an animal that the model is surer of: its head, its hind legs."""
        t = max(t for t, pose in enumerate(poses[p]) if pose is not None)
        own, sure = self._box_of(poses[p][t], size), poses[p][t].scores.mean()
        others = [path[t] for q, path in enumerate(poses) if q != p and path[t] is not None]
        surer = [other for other in others if other.scores.mean() >= max(SURE, sure)]
        return any(share_inside(own, self._box_of(other, size)) >= PART for other in surer)

    def _each_once(self, poses: Sequence[Pose], size: tuple[int, int]) -> list[Pose]:
        """The poses of a frame, of those in one place the surest."""
        kept: list[tuple[Pose, np.ndarray]] = []
        for pose in sorted(poses, key=lambda pose: -pose.scores.mean()):
            box = self._box_of(pose, size)
            if all(overlap(box, other) < SAME_PLACE for _, other in kept):
                kept.append((pose, box))
        return [pose for pose, _ in kept]

    def _paths(self, frames: Sequence[Frame], times: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
        """Boxes to look into, of each animal [T, 4] as centre and size; NaN where there is nothing to look for."""
        paths = [np.stack([known.at(time) for time in times]) for known in self._known.values()]
        full = self.animals is not None and len(paths) >= self.animals
        if (self._lost or not paths) and not full and self._may_ask(times[0]):
            for box, sure in self._ask(frames[0]):
                if sure and all(overlap(box, path[0]) < SAME_ANIMAL for path in paths):
                    paths.append(np.tile(box, (len(frames), 1)))
        # what the detector has just found it has seen
        self._detected = {*range(len(self._known), len(paths))}
        self._asked_at_end = self._detects(times)
        if self._asked_at_end:
            large = all(path[-1, 2:].max() > SMALL * max(size) for path in paths)
            boxes = self._ask(frames[-1], CLOSELY_EVERY if large and self._all_seen else 0.0)
            shown = animals_shown(np.array([box for box, _ in boxes]).reshape(-1, 4), [path[-1] for path in paths])
            for (box, sure), p in zip(boxes, shown, strict=True):
                if p is not None:
                    self._detected.add(p)
                    # led there evenly
                    paths[p] += np.linspace(0, 1, len(frames))[:, None] * (box - paths[p][-1])
                elif sure and not full:
                    self._detected.add(len(paths))
                    paths.append(np.vstack([np.full((len(frames) - 1, 4), np.nan), box]))
        return paths

    def _detects(self, times: np.ndarray) -> bool:
        """Whether a detector is to be asked at the end of these frames."""
        if self.glance is None or len(times) < 2:
            return False
        return not (self._known and self._all_seen) or times[-1] - self._asked >= DETECT_EVERY

    @property
    def _all_seen(self) -> bool:
        """Whether the detector sees everybody who is followed, not for the first time."""
        return all(self._confirmed[number] > 1 and not self._missed[number] for number in self._known)

    def _may_ask(self, time: float) -> bool:
        return self.glance is not None or self._asked is None or time - self._asked >= EMPTY_EVERY

    def _ask(self, frame: Frame, every: float = 0.0) -> list[tuple[np.ndarray, bool]]:
        """Boxes that are found, and whether an animal may be followed from there; a glance if the last look was less
        than so many seconds ago.
        """
        self._asked = float(frame.time)
        if self.glance is not None and self._asked - self._asked_closely < every:
            (boxes,) = self.glance([frame])
        else:
            self._asked_closely = self._asked
            (boxes,) = self.source([frame])
        return [(centred(box.xywh), box.score >= self.begin) for box in boxes or ()]

    def _look(
        self, frames: Sequence[Frame], paths: Sequence[np.ndarray], size: tuple[int, int]
    ) -> list[list[Pose | None]]:
        poses: list[list[Pose | None]] = [[None] * len(frames) for _ in paths]
        self._predict(frames, [(p, t, box) for p, path in enumerate(paths) for t, box in enumerate(path)], poses)
        good_before = -1
        for _ in range(LOOKS_AGAIN):
            again, good = self._again(poses, size)
            if not again or good == good_before:
                break
            self._predict(frames, again, poses)
            good_before = good
        return poses

    def _again(
        self, poses: Sequence[Sequence[Pose | None]], size: tuple[int, int]
    ) -> tuple[list[tuple[int, int, np.ndarray]], int]:
        """What should be looked at once more, and where; and how many poses are good."""
        again: list[tuple[int, int, np.ndarray]] = []
        count = 0
        for p, path in enumerate(poses):
            boxes = np.stack([self._box_of(pose, size) for pose in path])
            good = np.isfinite(boxes[:, 0])
            count += int(good.sum())
            for t, pose in enumerate(path):
                if pose is None:
                    continue
                if not good[t]:
                    again += [(p, t, box) for box in from_neighbours(t, boxes, good)]
                elif share_inside(boxes[t], centred(pose.bbox)) < INSIDE:
                    again.append((p, t, boxes[t]))
        return again, count

    def _predict(
        self, frames: Sequence[Frame], looks: Sequence[tuple[int, int, np.ndarray]], poses: list[list[Pose | None]]
    ) -> None:
        """Looks into boxes and keeps the surer pose of each animal and frame."""
        looks = [look for look in looks if np.isfinite(look[2]).all()]
        crops = ((frames[t].image, cornered(box)) for _, t, box in looks)
        for (p, t, _), pose in zip(looks, self.predictor.poses(crops, self.batch_size), strict=True):
            pose = dataclasses.replace(pose, scores=self.confidence.apply(pose.scores))
            before = poses[p][t]
            if before is None or pose.scores.mean() > before.scores.mean():
                poses[p][t] = pose

    def _box_of(self, pose: Pose | None, size: tuple[int, int]) -> np.ndarray:
        """Centre and size of the box around the points that are sure; NaN where there are too few."""
        if pose is not None and pose.scores.mean() >= LOST:
            box = box_of(pose.points[pose.scores >= self.confidence.threshold], size)
            if box is not None:
                return centred(box)
        return np.full(4, np.nan)

    def _remember(
        self,
        times: np.ndarray,
        found: Sequence[Sequence[Pose]],
        ids: Sequence[Sequence[int | None]],
        size: tuple[int, int],
    ) -> None:
        before, self._known = self._known, {}
        seen: dict[int, list[tuple[float, np.ndarray]]] = {}
        for time, poses, numbers in zip(times, found, ids, strict=True):
            for pose, number in zip(poses, numbers, strict=True):
                box = self._box_of(pose, size)
                if number is not None and np.isfinite(box).all():
                    seen.setdefault(number, []).append((time, box))
        late = times[-1] - (times[-1] - times[0]) / 3
        # how it moves is not known of what has just been found
        new = False
        for number, places in seen.items():
            moments, boxes = np.array([time for time, _ in places]), np.stack([box for _, box in places])
            if moments[-1] < late or self._missed[number] >= UNSEEN:
                continue
            # of the batch's second half: an animal may have begun to move
            recent = moments >= min((times[0] + times[-1]) / 2, moments[-2:][0])
            speed = np.zeros(4)
            if recent.sum() >= 2:
                speed[:2] = np.polyfit(moments[recent] - moments[-1], boxes[recent, :2], 1)[0]
            elif number in before:
                speed = before[number].speed
            else:
                new = True
            self._known[number] = _Known(np.median(boxes[-3:], axis=0), speed, float(np.median(moments[-3:])))
        self._lost = not self._known or set(before) - set(self._known) != set()
        if self.glance is None and self._asked is not None and times[-1] - self._asked >= SEARCH_EVERY:
            self._lost = True
        self._settled = bool(self._known) and len(times) >= 2 and not new
