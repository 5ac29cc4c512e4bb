"""Which run suits a data set, a machine and a time, ``tools/recommend.py``: each rule with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equistera.augmentation import parts_of
from equistera.errors import UserError
from equistera.progress import duration
from equistera.training.fit import parse_duration
from equistera.training.plan_check import STEPS_FOR_STRONG, STRONG
from equistera.words import counted

#: The configs that are weighed; the first that suits is taken. HRNet-W32 is none of them: on AP-10K it has the AP of
#: RTMPose-M (0.722 each, MMPose's model zoo) at several times the cost.
FULL, MANY, SMALL = "configs/rtmpose_m_ap10k.py", "configs/rtmpose_m_5k.py", "configs/lite0_imagenet.py"
#: Pictures from which the guide's settings for 5,000 are weighed too; the number between 800 and 5,000 is a guess.
FROM_MANY = 3000
#: Steps after which weights that know animals have a real horse's points (docs/benchmarks.md, "Real horses").
LEAST_STEPS = 800
#: Labelled real photos and the AP that they gave, from ImageNet's weights and from weights that know other animals
#: (same place, SimCC heads, with --flip-test, means of three seeds).
PHOTOS = (50, 100, 200, 400)
FROM_IMAGENET = (0.168, 0.217, 0.246, 0.264)
FROM_ANIMALS = (0.400, 0.430, 0.465, 0.509)
#: What twice the labels must have added there, to be worth their work.
WORTH = 0.02
#: Animals to validate on below which AP is good to a tenth at best: 57 gave an interval of 0.76 to 0.86 ("The demo").
VALIDATED = 50


@dataclass(frozen=True)
class Candidate:
    """A config on this data and this machine.

    Attributes:
        config: Its path.
        epochs: As it says.
        steps: In an epoch.
        batch: Samples of a step.
        seconds: For all of its epochs, evaluations included.
        input_side: The longer side of its input, pixels.
        augmentations: Of its phases.
        fetch: The command that gets its weights; None if they are here.
    """

    config: str
    epochs: int
    steps: int
    batch: int
    seconds: float
    input_side: int
    augmentations: tuple[str | Mapping, ...]
    fetch: str | None

    def steps_in(self, budget: float | None) -> int:
        """Steps in so many seconds, and no more than its epochs have."""
        share = 1.0 if budget is None else min(1.0, budget / self.seconds)
        return int(share * self.epochs * self.steps)


@dataclass(frozen=True)
class Labels:
    """What is labelled.

    Attributes:
        pictures, animals: To train on.
        validated: Animals to validate on.
        side: Median of the longer sides of their boxes, pixels.
    """

    pictures: int
    animals: int
    validated: int
    side: float


@dataclass(frozen=True)
class Advice:
    """Which run, with which options and entries, and a line about each choice: its name, what was chosen, why."""

    config: str
    options: tuple[str, ...]
    entries: tuple[str, ...]
    fetch: str | None
    lines: tuple[tuple[str, str, str], ...]


def candidates(pictures: int) -> tuple[str, ...]:
    """Configs to weigh for so many pictures, the first choice first."""
    return ((MANY,) if pictures >= FROM_MANY else ()) + (FULL, SMALL)


def recommend_run(labels: Labels, weighed: Sequence[Candidate], time: str | None) -> Advice:
    """Chooses model, input, batch, epochs and augmentation, and says whether more labels would pay.

    Args:
        labels: What is labelled.
        weighed: The configs of :func:`candidates`, in its order.
        time: That the run may take, such as ``8h``; None: as long as it needs.

    Raises:
        UserError: There is no time for any of them, or this is no time.
    """
    budget = parse_duration(time) if time is not None else None
    # of few pictures all epochs may be fewer steps
    enough = (c for c in weighed if c.steps_in(budget) >= min(LEAST_STEPS, c.steps_in(None)))
    chosen = next(enough, weighed[-1])
    steps = chosen.steps_in(budget)
    if steps < 1:
        raise UserError(f"--time {time}: less than {chosen.config} needs for a step", hint="Give it longer")
    lines = [("model", chosen.config, _why(chosen, weighed, budget))]
    side = f"the animals are {labels.side:.0f} px long (median): " + (
        "a larger input adds nothing" if labels.side <= chosen.input_side else "they are made smaller"
    )
    lines.append(("input", f"{chosen.input_side} px, as in the config", side))
    batch = "the config's; its learning rates are for it" + (
        "; the guide's for 5,000 pictures" if chosen.config == MANY else ""
    )
    lines.append(("batch", str(chosen.batch), batch))
    options: list[str] = []
    entries: list[str] = []
    if time is not None and budget is not None and chosen.seconds > budget:
        options += ["--max-time", time]
        epochs = f"about {max(1, steps // chosen.steps)}"
        lines.append(("epochs", epochs, f"what the time allows; all {chosen.epochs} take {duration(chosen.seconds)}"))
    else:
        lines.append(("epochs", str(chosen.epochs), f"the config's: they take {duration(chosen.seconds)}"))
    strong = [name for name, _ in map(parts_of, chosen.augmentations) if name in STRONG]
    if strong and steps < STEPS_FOR_STRONG:
        entries.append("train_dataloader.dataset.augmentation=light")
        lines.append(("augmentation", "light", f"{counted(steps, 'steps')} are few for {strong[0]} augmentation"))
    else:
        lines.append(("augmentation", "as in the config", f"{counted(steps, 'steps')} are enough for it"))
    if steps < min(LEAST_STEPS, chosen.steps_in(None)):
        lines.append(
            ("but", "little can be learnt", f"{LEAST_STEPS} steps are the least that was measured to teach it")
        )
    lines.append(("labels", *_labels(labels, chosen)))
    return Advice(chosen.config, tuple(options), tuple(entries), chosen.fetch, tuple(lines))


def _why(chosen: Candidate, weighed: Sequence[Candidate], budget: float | None) -> str:
    if chosen.config == SMALL:
        first = weighed[0]
        return (
            f"{first.config} would get {counted(first.steps_in(budget), 'steps')} in that time, fewer than "
            f"{LEAST_STEPS}; this one gets {chosen.steps_in(budget)}"
        )
    if chosen.config == MANY:
        return "written for thousands of pictures"
    return (
        "a public project, 669 photos with 26 points of horses, had AP 0.860 with RTMPose-M, 0.782 with HRNet-W32 at "
        "several times the cost"
    )


def _labels(labels: Labels, chosen: Candidate) -> tuple[str, str]:
    """Whether to label more, by the nearest number of photos that was measured."""
    scores = FROM_IMAGENET if chosen.config == SMALL else FROM_ANIMALS
    measured = zip(PHOTOS, scores, PHOTOS[1:], scores[1:], strict=False)
    gains = [(few, many, after - before) for few, before, many, after in measured]
    few, many, gain = min(gains, key=lambda one: abs(one[0] - labels.pictures))
    word = "more would pay" if labels.pictures < PHOTOS[-1] and gain >= WORTH else "tools/learning_curve.py tells"
    why = f"real photos of horses gave AP {gain:+.2f} from {few} to {many} of them"
    if labels.pictures >= PHOTOS[-1]:
        why += f"; beyond {PHOTOS[-1]} nothing was measured"
    if labels.validated < VALIDATED:
        word += ", to validate on too"
        why += f"; {counted(labels.validated, 'animals')} to validate on leave AP uncertain by a tenth"
    return word, why
