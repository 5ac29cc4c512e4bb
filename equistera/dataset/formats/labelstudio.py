"""Label Studio's JSON and JSON-MIN exports, and the way back: tasks for its import, with their labelling interface.

Positions are percent of the picture as the browser shows it, EXIF orientation applied
(https://labelstud.io/tags/keypointlabels, https://labelstud.io/guide/task_format). A region belongs to the picture that
its ``to_name`` and ``item_index`` name, a point to the rectangle that it is inside of by ``parentID``, or tied to by a
relation, else to the one it lies in. Label Studio has no flag for hidden points; a choice for each region
(``<Choices perRegion="true">``) with a word of ``labelstudio_regions.HIDDEN_WORDS`` marks one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from equistera.dataset.formats.grouping import Drawn, LoosePoint, add_all
from equistera.dataset.formats.labelstudio_addresses import BUCKETS, file_names, pictures_of
from equistera.dataset.formats.labelstudio_regions import (
    ABSENT_WORDS,
    HIDDEN_WORDS,
    VISIBLE_WORDS,
    Reader,
    tags_of,
    word_means,
)
from equistera.dataset.formats.records import HORSE, Export, Picture, Skip
from equistera.dataset.formats.values import ABSENT, HIDDEN, VISIBLE, Unusable, shown
from equistera.errors import UserError
from equistera.skeleton import Skeleton, hex_color

TITLE = "Label Studio JSON"

#: Keys of regions in JSON-MIN.
_REGION_KEYS = ("keypointlabels", "rectanglelabels", "labels")


def accepts(content: object) -> bool:
    """Whether parsed JSON is a Label Studio export, full or minimal."""
    if isinstance(content, dict):
        content = [content]
    return isinstance(content, list) and any(_is_task(item) or _is_record(item) for item in content[:100])


def read(content: Any, path: Path, wanted: Collection[str]) -> Export:
    """Reads an export.

    Of several annotations of one task the ground truth is taken, else the one with most points, else the newest; and
    said. ``wanted`` are the user's words for the animals, to know their boxes from others.

    Returns:
        Pictures with relative coordinates.
    """
    export = Export(path, TITLE)
    lost_words: set[str] = set()
    tasks = list(_tasks([content] if isinstance(content, dict) else content, export, lost_words))
    tags = {tag for *_, versions in tasks for version in versions for tag in tags_of(version.results)}
    reader = Reader({word.strip().casefold() for word in wanted}, only_tag=len(tags) <= 1)
    drawn: list[Drawn] = []
    several: list[tuple[float, str]] = []
    for where, pictures, versions in tasks:
        for version in versions:
            version.drawn, version.skips = reader.drawn_on(pictures, version.results, where)
        best = max(versions, key=lambda version: (version.truth, len(version.points), version.when))
        drawn += best.drawn
        export.skips += best.skips
        if len(versions) > 1:
            several.append(_compared(where, best, [version for version in versions if version is not best]))
    add_all(export, drawn, wanted)
    # the worst first
    several.sort(key=lambda found: -found[0])
    export.notes += [text for _, text in several[: UserError.SHOWN]]
    if len(several) > UserError.SHOWN:
        export.notes.append(f"{path.name}: {len(several) - UserError.SHOWN} more tasks with several annotations")
    known = ", ".join(HIDDEN_WORDS + ABSENT_WORDS + VISIBLE_WORDS)
    export.notes += [
        f"{word!r} on a point says nothing about visibility (known: {known}); kept visible"
        for word in sorted(reader.unknown_words)
    ]
    if lost_words:
        export.notes.append(
            f"{path.name}: JSON-MIN does not say which points are {', '.join(map(repr, sorted(lost_words)))}; all are "
            "taken as visible. Export JSON to keep it"
        )
    return export


@dataclass
class _Version:
    """One annotation of a task: who made it and when, whether it is the ground truth, what the export holds of it, what
    was made of that, and the pictures that nothing could be made of."""

    by: str
    when: str
    truth: bool
    results: list
    drawn: list[Drawn] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)

    @property
    def points(self) -> dict[tuple, list[LoosePoint]]:
        """By picture and name."""
        found = defaultdict(list)
        for one in self.drawn:
            for point in one.points:
                found[one.picture.names, point.name].append(point)
        return found

    def __str__(self) -> str:
        count = sum(map(len, self.points.values()))
        return f"{count} points" + f" by {self.by}" * bool(self.by) + f" of {self.when[:10]}" * bool(self.when)


def _version(annotation: dict, results: list, by: object) -> _Version:
    when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    return _Version(shown(by) if by is not None else "", when, annotation.get("ground_truth") is True, results)


def _compared(where: str, best: _Version, others: Sequence[_Version]) -> tuple[float, str]:
    """How far apart, in percent of the picture, the annotations of a task are, and a line for the user."""
    apart, worst, common = 0.0, "", 0
    for other in others:
        for key, own in best.points.items():
            theirs = other.points.get(key, [])
            if len(own) == len(theirs) == 1:
                common += 1
                far = 100 * max(abs(own[0].x - theirs[0].x), abs(own[0].y - theirs[0].y))
                apart, worst = max((apart, worst), (far, own[0].name))
    why = "the ground truth" if best.truth else "the most points, or the newest of as many"
    differ = f"; up to {apart:.0f} % of the picture apart ({worst})" if worst else "; no point in common" * (not common)
    line = f"{where}: {1 + len(others)} annotations, took that with {best} ({why}), not {', '.join(map(str, others))}"
    return apart, line + differ


def _is_task(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("data"), dict)
        # what is imported with a model's predictions has no annotations
        and (_annotations(item) is not None or isinstance(item.get("predictions"), list))
    )


def _annotations(task: dict) -> list | None:
    # called completions before version 1.0
    found = task.get("annotations", task.get("completions"))
    return found if isinstance(found, list) else None


def _is_record(item: object) -> bool:
    """An entry of JSON-MIN: the task's data and, by control tag, lists of regions."""
    if not isinstance(item, dict):
        return False
    return "annotation_id" in item or any(_regions_of(value) for value in item.values())


def _regions_of(value: object) -> list[dict]:
    if not isinstance(value, list):
        return []
    return [v for v in value if isinstance(v, dict) and "x" in v and any(key in v for key in _REGION_KEYS)]


def _tasks(items: list, export: Export, lost_words: set[str]) -> Iterator[tuple[str, dict, list[_Version]]]:
    """Place, pictures and annotations of every task."""
    records: dict[object, list[dict]] = defaultdict(list)
    for position, item in enumerate(items, 1):
        is_task = _is_task(item)
        place = f"task {shown(item.get('id', position))}" if is_task else f"item {position}"
        where = f"{export.path.name}, {place}"
        with export.leaving_out("picture", where):
            if is_task:
                pictures = pictures_of(item["data"], item.get("file_upload"))
                yield where, pictures, _filled(_usable(item), pictures, where, export)
            elif isinstance(item, dict):
                records[item["id"] if isinstance(item.get("id"), (int, str)) else place].append(item)
            else:
                raise Unusable("not a task", f"found {shown(item)}")
    export.tells_hidden = not records
    for key, found in records.items():
        where = f"{export.path.name}, task {shown(key)}"
        with export.leaving_out("picture", where):
            pictures = pictures_of(found[-1])
            yield where, pictures, _filled(_usable_records(found, lost_words), pictures, where, export)


def _filled(
    versions: list[_Version], pictures: Mapping[str, str | list[str]], where: str, export: Export
) -> list[_Version]:
    """The annotations of a task that are not empty; where all are, its pictures are empty ones of the export."""
    if not versions:
        addresses = [url for found in pictures.values() for url in ([found] if isinstance(found, str) else found)]
        export.empty += [Picture(file_names(url), where, ()) for url in addresses]
        raise Unusable("the annotation is empty")
    return versions


def _usable(task: dict) -> list[_Version]:
    annotations = [a for a in _annotations(task) or [] if isinstance(a, dict)]
    kept = [a for a in annotations if not a.get("was_cancelled")]
    if not kept:
        if annotations:
            raise Unusable("cancelled by the annotator")
        if task.get("drafts"):
            raise Unusable("only a draft, no annotation: submit it in Label Studio, and export again")
        if task.get("predictions"):
            raise Unusable("only predictions, no annotation: accept them in Label Studio, and export again")
        raise Unusable("no annotation")
    filled = [a for a in kept if isinstance(a.get("result"), list) and a["result"]]
    people = [a.get("completed_by") for a in filled]
    # newer exports write the person out
    people = [(who.get("email") or who.get("id")) if isinstance(who, dict) else who for who in people]
    return [_version(a, a["result"], who) for a, who in zip(filled, people, strict=True)]


def _usable_records(records: list[dict], lost_words: set[str]) -> list[_Version]:
    """JSON-MIN entries of one task."""
    found = []
    for record in records:
        results = [
            {**region, "value": region, "type": next(key for key in _REGION_KEYS if key in region)}
            for value in record.values()
            for region in _regions_of(value)
        ]
        if results:
            found.append(_version(record, results, record.get("annotator")))
            lost_words.update(word for word in _words_of(record) if word_means(word) not in (None, VISIBLE))
    return found


def _words_of(record: dict) -> Iterator[str]:
    """What JSON-MIN keeps of choices: a word, or a list of them."""
    for value in record.values():
        words = value.get("choices") if isinstance(value, dict) else value
        yield from (word for word in (words if isinstance(words, list) else [words]) if isinstance(word, str))


#: Where Label Studio serves files of its own disk.
URL_PREFIX = "/data/local-files/?d="


def write(pictures: Sequence[Picture], url_prefix: str = URL_PREFIX, model: str = "") -> list[dict]:
    """Makes tasks for Label Studio's import: annotated ones or, with a model's name, ones with its predictions.

    A prediction shows up when its task is opened, and becomes an annotation when that is submitted
    (https://labelstud.io/guide/predictions); its score is that of the animal that the model is least sure of.

    Args:
        pictures: Pictures with known size and pixel coordinates.
        url_prefix: What stands before a picture's name in the task. Behind that of a web address the name is quoted.
        model: What predictions are told apart by.

    Returns:
        The tasks: a rectangle for each animal, its points as children, hidden points with the choice ``hidden``.
    """
    tasks = []
    for picture_number, picture in enumerate(pictures, 1):
        width, height = picture.size
        place = {"original_width": width, "original_height": height, "image_rotation": 0, "to_name": "image"}
        result: list[dict] = []
        for animal_number, animal in enumerate(picture.animals):
            # ids only have to be unique inside a task
            animal_id = f"horse{animal_number}"
            x, y, w, h = animal.box
            box = {"x": x / width * 100, "y": y / height * 100, "width": w / width * 100, "height": h / height * 100}
            value = {**box, "rotation": 0, "rectanglelabels": [animal.category]}
            sure = {} if animal.score is None else {"score": animal.score}
            box_label = {"id": animal_id, "type": "rectanglelabels", "from_name": "box", "value": value}
            result.append({**box_label, **place, **sure})
            for name, (px, py, visibility) in animal.points.items():
                if visibility == ABSENT:
                    continue
                point = {"x": px / width * 100, "y": py / height * 100, "width": 0.5}
                shared = {"id": f"{animal_id}_{name}", "parentID": animal_id, **place}
                label = {"type": "keypointlabels", "from_name": "keypoint"}
                sure = {"score": animal.confidences[name]} if name in animal.confidences else {}
                result.append({**shared, **label, "value": {**point, "keypointlabels": [name]}, **sure})
                if visibility == HIDDEN:
                    choice = {"type": "choices", "from_name": "visibility"}
                    result.append({**shared, **choice, "value": {**point, "choices": [HIDDEN_WORDS[0]]}})
        # a bucket's keys are no web addresses: Label Studio takes them as they stand
        name = picture.names[0] if url_prefix.startswith(BUCKETS) else quote(picture.names[0])
        data = {"image": url_prefix + name}
        task: dict = {"id": picture_number, "data": data}
        if not model:
            task["annotations"] = [{"result": result}]
        else:
            # no animal is no prediction: an empty one would look as if somebody had deleted all
            task["predictions"] = [{"model_version": model, "score": picture.score, "result": result}] if result else []
        tasks.append(task)
    return tasks


def labelling_config(skeleton: Skeleton, categories: Sequence[str] = (HORSE,)) -> str:
    """The labelling interface that :func:`write`'s tasks need (Settings, Labeling Interface, Code).

    Args:
        skeleton: Its points become labels, in their colours, with what to click on as the hint.
        categories: Labels of the animals' rectangles.
    """
    animals = "\n".join(f"    <Label value={quoteattr(category)}/>" for category in categories)
    labels = "\n".join(
        # Label Studio's COCO and YOLO exports need the number
        f'    <Label value={quoteattr(point.name)} model_index="{i}" background={quoteattr(hex_color(point.color))}'
        + f" hint={quoteattr(point.description)}" * bool(point.description)
        + "/>"
        for i, point in enumerate(skeleton.keypoints)
    )
    return f"""<View>
  <Header value="Draw a rectangle for each animal; drag its points under it in the list of regions."/>
  <Image name="image" value="$image" zoom="true" zoomControl="true" rotateControl="false"/>
  <RectangleLabels name="box" toName="image">
{animals}
  </RectangleLabels>
  <KeyPointLabels name="keypoint" toName="image">
{labels}
  </KeyPointLabels>
  <Choices name="visibility" toName="image" perRegion="true" whenTagName="keypoint">
    <Choice value="{VISIBLE_WORDS[0]}"/>
    <Choice value="{HIDDEN_WORDS[0]}"/>
  </Choices>
</View>
"""
