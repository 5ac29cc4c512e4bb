"""Label Studio's JSON and JSON-MIN exports; ``labelstudio_tasks`` is the way back.

Positions are percent of the picture as the browser shows it, EXIF orientation applied
(https://labelstud.io/tags/keypointlabels, https://labelstud.io/guide/task_format). A point belongs to the rectangle
that it names by ``parentID`` or by a relation, else to the one it lies in. Label Studio has no flag for hidden points;
a choice for each region (``<Choices perRegion="true">``) with a word of :data:`HIDDEN_WORDS` marks one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from equistera.dataset.formats.grouping import LooseBox, LoosePoint, assemble, upright
from equistera.dataset.formats.records import (
    ABSENT,
    HIDDEN,
    VISIBLE,
    Export,
    Picture,
    Unusable,
    number,
    positive_size,
    shown,
    text,
)
from equistera.dataset.images import LISTED

TITLE = "Label Studio JSON"

#: Words of a choice that says how well a point is seen, lower case.
HIDDEN_WORDS = ("hidden", "occluded", "not visible", "invisible")
ABSENT_WORDS = ("absent", "outside", "not labelled", "not labeled")
VISIBLE_WORDS = ("visible",)
_FLAGS = {
    **dict.fromkeys(HIDDEN_WORDS, HIDDEN),
    **dict.fromkeys(ABSENT_WORDS, ABSENT),
    **dict.fromkeys(VISIBLE_WORDS, VISIBLE),
}

#: Addresses whose names are taken as they stand: ``%20`` is no space there.
BUCKETS = ("s3://", "gs://", "azure-blob://")

#: What Label Studio puts before the name of an uploaded file.
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


def accepts(content: object) -> bool:
    """Whether parsed JSON is a Label Studio export, full or minimal."""
    if isinstance(content, dict):
        content = [content]
    return isinstance(content, list) and any(_is_task(item) or _is_record(item) for item in content[:100])


def read(content: object, path: Path) -> Export:
    """Reads an export.

    Of several annotations of one task the ground truth is taken, else the one changed last.

    Args:
        content: Parsed JSON that :func:`accepts` knows.
        path: Where it came from.

    Returns:
        Pictures with relative coordinates.
    """
    export = Export(path, TITLE)
    items = [content] if isinstance(content, dict) else content
    tasks = list(_tasks(items, export))
    unknown_words: set[str] = set()
    for task in tasks:
        try:
            if len(task.results) > 1:
                export.notes.append(f"{task.where}: {len(task.results)} annotations, took the ground truth or newest")
            picture = _picture(task, unknown_words)
        except Unusable as error:
            export.skip("picture", task.where, error)
        else:
            export.add(picture)
    for word in sorted(unknown_words):
        known = ", ".join(HIDDEN_WORDS + ABSENT_WORDS + VISIBLE_WORDS)
        export.notes.append(f"choice {word!r} on a point says nothing about visibility (known: {known}); kept visible")
    return export


def file_names(url: str) -> tuple[str, ...]:
    """Names under which the picture of a task may lie on disk.

    Args:
        url: ``/data/upload/12/1a2b3c4d-IMG_1.jpg``, ``/data/local-files/?d=photos/IMG_1.jpg``, ``s3://bucket/IMG_1.jpg``,
            ``https://...`` or a plain name.

    Returns:
        The likeliest first. A web address quotes ``&`` and spaces, but not everybody who writes one does: what it
        would be without quotes comes before, and what it literally says after.

    Raises:
        Unusable: The picture itself stands in the JSON.
    """
    if url.startswith("data:"):
        raise Unusable("the picture is stored inside the JSON (base64): save it as a file")
    try:
        parts = urlsplit(url)
        local = parse_qs(parts.query).get("d", [""])[0]
    except ValueError as error:
        raise Unusable("the picture's address cannot be read", f"{shown(url)}: {error}") from error
    without_host = url.split("://", 1)[1].partition("/")[2] if "://" in url else url
    if url.startswith(BUCKETS):
        return _as_uploaded(without_host)
    literal = url.partition("?d=")[2] or without_host
    # urlsplit takes a Windows drive for a scheme
    path = local or (unquote(parts.path) if len(parts.scheme) != 1 else url)
    return tuple(dict.fromkeys((*_as_uploaded(path), *_as_uploaded(literal))))


def _as_uploaded(path: str) -> tuple[str, ...]:
    """A path, and the name that a file had before it was uploaded."""
    path = path.replace("\\", "/").lstrip("/")
    uploaded = path.rsplit("/", 1)[-1]
    original = _UPLOAD_PREFIX.sub("", uploaded)
    # the folders of an upload are Label Studio's own, and its prefix makes the name unique
    return (path, uploaded, original) if original != uploaded else (path,)


@dataclass
class _Task:
    where: str
    url: str
    #: Label Studio's results of every usable annotation, the best first.
    results: list[list]


@dataclass
class _Region:
    """What several results with the same id say together."""

    kind: str = ""
    value: dict = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    parent: str | None = None


def _is_task(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("data"), dict) and _annotations(item) is not None


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
    return [v for v in value if isinstance(v, dict) and ("keypointlabels" in v or "rectanglelabels" in v)]


def _tasks(items: list, export: Export) -> Iterator[_Task]:
    records: dict[object, list[dict]] = {}
    for position, item in enumerate(items, 1):
        where = f"{export.path.name}, item {position}"
        try:
            if _is_task(item):
                where = f"{export.path.name}, task {shown(item.get('id', position))}"
                yield _Task(where, _picture_url(item["data"], item), _usable(item))
            elif isinstance(item, dict):
                key = item.get("id") if isinstance(item.get("id"), (int, str)) else f"item {position}"
                records.setdefault(key, []).append(item)
            else:
                raise Unusable("not a task", f"found {shown(item)}")
        except Unusable as error:
            export.skip("picture", where, error)
    for key, versions in records.items():
        where = f"{export.path.name}, task {shown(key)}"
        try:
            yield _Task(where, _picture_url(versions[-1], {}), _usable_records(versions))
        except Unusable as error:
            export.skip("picture", where, error)


def _usable(task: dict) -> list[list]:
    annotations = [a for a in _annotations(task) if isinstance(a, dict)]
    kept = [a for a in annotations if not a.get("was_cancelled")]
    if not kept:
        if annotations:
            raise Unusable("cancelled by the annotator")
        raise Unusable("only predictions, no annotation" if task.get("predictions") else "no annotation")
    filled = [a for a in kept if isinstance(a.get("result"), list) and a["result"]]
    if not filled:
        raise Unusable("the annotation is empty")
    filled.sort(key=lambda a: (a.get("ground_truth") is True, str(a.get("updated_at") or a.get("created_at") or "")))
    return [a["result"] for a in reversed(filled)]


def _usable_records(versions: list[dict]) -> list[list]:
    """JSON-MIN entries of one task as full results, the last changed first."""
    versions = sorted(versions, key=lambda v: str(v.get("updated_at") or v.get("created_at") or ""), reverse=True)
    found = []
    for version in versions:
        result = [
            {**region, "value": region, "type": "keypointlabels" if "keypointlabels" in region else "rectanglelabels"}
            for value in version.values()
            for region in _regions_of(value)
        ]
        if result:
            found.append(result)
    if not found:
        raise Unusable("the annotation is empty")
    return found


def _picture_url(data: dict, task: dict) -> str:
    """The value of the task's data that names a picture."""
    texts = {key: value for key, value in data.items() if isinstance(value, str) and value.strip()}
    if "image" in texts:
        return texts["image"]
    named = [v for v in texts.values() if v.lower().split("?d=")[-1].split("?")[0].endswith(LISTED)]
    if len(named) == 1:
        return named[0]
    if len(named) > 1:
        raise Unusable("the task's data names several pictures", ", ".join(map(shown, named[:3])))
    return text(task.get("file_upload"), "the task's picture")


def _picture(task: _Task, unknown_words: set[str]) -> Picture:
    regions, size = _merge(task.results[0])
    points, boxes = [], []
    for region_id, region in regions.items():
        value = region.value
        if region.kind == "point":
            where = f"point {region.labels[0]!r}" if region.labels else "a point"
            x, y = number(value.get("x"), where) / 100, number(value.get("y"), where) / 100
            points.append(LoosePoint(_only_label(region), x, y, _visibility(region, unknown_words), region.parent))
        elif region.kind == "box":
            boxes.append(LooseBox(_box(value, size), region.labels[0] if region.labels else "", region_id))
    if not points:
        raise Unusable("no keypoints in the annotation")
    names = file_names(task.url)
    return Picture(
        names, task.where, assemble(points, boxes), size, relative=True, plain_name=_as_uploaded(names[0])[-1]
    )


def _merge(results: list) -> tuple[dict[str, _Region], tuple[int, int] | None]:
    """Regions by id (a region with several control tags stands once for each), and the picture's size."""
    regions: dict[str, _Region] = {}
    parents: dict[str, str] = {}
    size = None
    for position, result in enumerate(results):
        if not isinstance(result, dict):
            raise Unusable("a region is not an object", f"found {shown(result)}")
        kind, value = result.get("type"), result.get("value")
        if kind == "relation":
            parents.update({str(result.get("from_id")): str(result.get("to_id"))})
            continue
        if not isinstance(value, dict):
            continue
        if result.get("image_rotation"):
            raise Unusable("the picture was turned inside Label Studio: turn it back there, or turn the file")
        size = size or positive_size(result.get("original_width"), result.get("original_height"))
        region = regions.setdefault(str(result.get("id", f"#{position}")), _Region())
        region.value = {**region.value, **value}
        region.parent = str(result["parentID"]) if result.get("parentID") else region.parent
        if kind in ("keypointlabels", "keypoint"):
            region.kind = "point"
        elif kind in ("rectanglelabels", "rectangle"):
            region.kind = "box"
        elif kind == "labels" and not region.kind and {"x", "y"} <= value.keys():
            region.kind = "box" if "height" in value else "point"
        for key in ("keypointlabels", "rectanglelabels", "labels"):
            region.labels += [label for label in _texts(value.get(key)) if label not in region.labels]
        region.choices += _texts(value.get("choices"))
    boxes = {key for key, region in regions.items() if region.kind == "box"}
    for start, end in parents.items():
        # a relation may be drawn either way between a point and its rectangle
        child, parent = (start, end) if end in boxes else (end, start)
        if parent in boxes and child in regions and child not in boxes and regions[child].parent is None:
            regions[child].parent = parent
    return regions, size


def _texts(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def _only_label(region: _Region) -> str:
    if len(region.labels) != 1:
        raise Unusable(
            "a point has several labels" if region.labels else "a point has no label", ", ".join(region.labels)
        )
    return text(region.labels[0], "a point's label")


def _visibility(region: _Region, unknown_words: set[str]) -> int:
    found = [_FLAGS.get(word.strip().lower().replace("_", " ")) for word in region.choices]
    unknown_words.update(word for word, known in zip(region.choices, found, strict=True) if known is None)
    return min((known for known in found if known is not None), default=VISIBLE)


def _box(value: dict, size: tuple[int, int] | None) -> tuple[float, float, float, float]:
    """The upright rectangle, as fractions, around one that may be turned about its top left corner."""
    x, y, w, h = (number(value.get(key), f"a rectangle's {key}") / 100 for key in ("x", "y", "width", "height"))
    turn = number(value.get("rotation") or 0, "a rectangle's rotation")
    if not turn:
        return x, y, w, h
    if size is None:
        raise Unusable("a turned rectangle needs the picture's size, which the export lacks")
    width, height = size
    left, top, w, h = upright((x * width, y * height, w * width, h * height), turn, (x * width, y * height))
    return left / width, top / height, w / width, h / height
