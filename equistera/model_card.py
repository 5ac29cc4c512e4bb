"""A model card: what an exported network is, what it was made of, how good it is and where it is not.

It says what the runs' own records say; what they do not say is named unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equistera.checkpoints import manifest, published_as
from equistera.errors import UserError
from equistera.evaluation.files import METRICS
from equistera.evaluation.instances import PCK
from equistera.exported import Exported
from equistera.files import read_json
from equistera.literals import settings_in
from equistera.outputs import same_file
from equistera.words import counted

UNKNOWN = "unknown"
#: Figures of a test, and how many digits they have.
_FIGURES = {"AP": 3, "AP50": 3, "AR": 3, PCK: 3, "median_px": 1, "swap_rate": 3}


_OF_POSES = (
    "- One animal a crop: in a crop that shows several, or none, it still says where each point is.\n"
    "- Points that cannot be seen are guessed from the rest of the body.\n"
    "- It is no diagnosis: nobody has tested it as a medical device."
)
_OF_BOXES = "- Animals that are small in the picture are missed: it looks once, at the size above."


@dataclass(frozen=True)
class Member:
    """A checkpoint that went into the file.

    Attributes:
        path: Where it lay.
        sha256: Of its file.
        meta: What training wrote into it, empty where it says nothing.
    """

    path: Path
    sha256: str
    meta: Mapping

    def tests(self) -> dict[str, Mapping]:
        """What ``tools/test.py`` has written of it in the folders beside it, by their names."""
        found: dict[str, Mapping] = {}
        for path in sorted(self.path.resolve().parent.glob(f"*/{METRICS}")):
            try:
                metrics = read_json(path)
            except UserError:
                continue  # half-written, or not ours: it says nothing
            if isinstance(metrics, dict) and isinstance(metrics.get("AP"), float) and self._was_scored(metrics):
                found[path.parent.name] = metrics
        return found

    def _was_scored(self, metrics: Mapping) -> bool:
        """Whether they are scores of this checkpoint: by its hash, or by its place where they do not say the hash."""
        if "checkpoint_sha256" in metrics:
            return metrics["checkpoint_sha256"] == self.sha256
        said = metrics.get("checkpoint")
        return isinstance(said, str) and same_file(said, self.path)


def model_card(path: Path, about: Exported, members: Sequence[Member], checked: str) -> str:
    """The card, Markdown.

    Args:
        path: The exported file.
        about: What it says of itself.
        members: What it was made of.
        checked: How the file compares with them.
    """
    pose = about.kind == "pose"
    what = f"the {len(about.keypoints)} keypoints of one animal in a crop" if pose else "animals in a picture"
    parts = [
        f"# {path.stem}",
        f"Finds {what}. Written by equistera {about.equistera_version} (tools/export.py).",
        *_file(path, about, members, checked),
        *_data(members),
        *_scores(path, about, members),
        *([*_calibration(about), *_skeleton(about)] if pose else []),
        *_starts(members),
        "## Limits",
        "- It was trained on the pictures above and on no others: other animals, coats, cameras, light or harness, and "
        "other ways to label, are not covered by the figures.\n" + (_OF_POSES if pose else _OF_BOXES),
    ]
    return "\n\n".join(parts) + "\n"


def _file(path: Path, about: Exported, members: Sequence[Member], checked: str) -> list[str]:
    width, height = about.input_size
    pose = about.kind == "pose"
    gives = "points in pixels of the crop, and a confidence of each" if pose else "boxes in its pixels, and scores"
    view = f"{about.padding:g} times the sides of a box" if pose else "the whole picture, made to fit, black around it"
    rows = {
        "File": f"`{path.name}`, {about.precision}",
        "Input": f"uint8 RGB [{about.batch or 'N'}, {height}, {width}, 3]: {view}; codec {about.codec.get('type')}",
        "Output": gives,
        "Mirrored crop": "averaged with it" if about.flip else "not used",
        "Made of": ", ".join(f"`{member.path.name}` (sha256 {member.sha256[:12]})" for member in members),
        "Compared with them": checked,
    }
    return ["## File", _table(rows)]


def _data(members: Sequence[Member]) -> list[str]:
    found = []
    for member in members:
        said = member.meta.get("fingerprint")
        said = said if isinstance(said, Mapping) else {}
        rows = {
            f"{what} {of}": said.get(f"{what} {of}", UNKNOWN)
            for what in ("training", "validation")
            for of in ("annotations", "pictures")
        }
        rows["animals are called"] = ", ".join(map(str, member.meta.get("animals") or ())) or UNKNOWN
        splits = [m["bootstrap"] for m in member.tests().values() if isinstance(m.get("bootstrap"), Mapping)]
        groups = [f"{how['count']} in the test" for how in splits if how.get("drawn") == "groups"]
        rows["groups (horses, videos)"] = groups[0] if groups else f"{UNKNOWN}: no test was told of any (--group-by)"
        rows["epochs"] = member.meta.get("epoch", UNKNOWN)
        found += [f"### {member.path.name}" if len(members) > 1 else "", _table(rows)]
    return ["## Data", *filter(None, found)]


def _scores(path: Path, about: Exported, members: Sequence[Member]) -> list[str]:
    found = []
    for member in members:
        for name, metrics in member.tests().items():
            intervals = metrics.get("intervals") or {}
            rows = {
                figure: f"{metrics[figure]:.{digits}f}" + _interval(intervals.get(figure), digits)
                for figure, digits in _FIGURES.items()
                if isinstance(metrics.get(figure), (int, float))
            }
            pictures = f"{counted(metrics['animals'], 'animals')} in {counted(metrics['pictures'], 'pictures')}"
            how = "averaged with the mirrored crop" if metrics.get("flip_test") else "without the mirrored crop"
            title = f"{name}: {pictures}" + (f", {member.path.name}" if len(members) > 1 else "")
            spots = metrics.get("weak_spots") or ["none was found"]
            found += [
                f"### {title}",
                f"Scored by tools/test.py {how}, before the export. 95 % intervals by drawing pictures anew.",
                _table(rows),
                "Weak spots:\n\n" + "\n".join(f"- {line}" for line in spots),
            ]
    if not found:
        found = [f"{UNKNOWN}: no tools/test.py has left its figures beside the checkpoint."]
    if about.precision != "float32" or len(members) > 1:
        found.append(f"Of the exported file itself: {UNKNOWN}; `python tools/test.py {path.name}` measures it.")
    return ["## Figures", *found]


def _interval(bounds: object, digits: int) -> str:
    if isinstance(bounds, (list, tuple)) and len(bounds) == 2 and all(isinstance(b, (int, float)) for b in bounds):
        return f" ({bounds[0]:.{digits}f} to {bounds[1]:.{digits}f})"
    return ""


def _calibration(about: Exported) -> list[str]:
    if not about.calibrated or about.calibration is None:
        return ["## Calibration", "None: a confidence is the height of a peak, and no probability."]
    return [
        "## Calibration",
        "A confidence is the probability that the point is right to 0.1 of the animal's size (PCK@0.1), fitted on the "
        f"validation pictures: temperature {about.calibration['temperature']:.3f}, bias "
        f"{about.calibration['bias']:.3f}. On pictures of another kind it may be too sure."
        + (" It was fitted before the step to int8." if about.precision == "int8" else ""),
    ]


def _skeleton(about: Exported) -> list[str]:
    points = ", ".join(f"{i} {name}" for i, name in enumerate(about.keypoints.names))
    return ["## Keypoints", f"Skeleton `{about.skeleton['name']}`: {points}."]


def _starts(members: Sequence[Member]) -> list[str]:
    return ["## Start weights", "\n".join(f"- `{member.path.name}`: {_start(member)}" for member in members)]


def _start(member: Member) -> str:
    text = member.meta.get("config")
    settings = settings_in(text) if isinstance(text, str) else {}
    if member.meta.get("from_scratch") is True or settings.get("from_scratch") is True:
        return "none, it was trained from random weights"
    named = settings.get("pretrained")
    if not isinstance(named, str):
        return f"{UNKNOWN}, and so is their licence"
    published = manifest().get(named) or published_as(named)
    if published is None:
        return f"`{Path(named).name}`, whose licence is {UNKNOWN} here"
    if published.licence is None:
        return f"{published.what} ({published.url}); licence {UNKNOWN} here: their publisher states it"
    return f"{published.what} ({published.url}), under terms:\n" + "\n".join(
        f"  - {line}" for line in published.licence.says
    )


def _table(rows: Mapping[str, object]) -> str:
    lines = [f"| {name} | {str(value).replace('|', '/')} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])
