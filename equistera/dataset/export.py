"""What labelling tools are given: COCO keypoint files as their own (``tools/export_annotations.py``), and what
they must know of a skeleton before the first label (``tools/labelling_config.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from equistera.commands import verify_command
from equistera.dataset.coco import load_annotations, read_coco
from equistera.dataset.formats import coco, cvat, labelstudio, yolo
from equistera.dataset.formats.records import HORSE, Animal, Picture
from equistera.dataset.formats.values import Unusable, flag, positive_size
from equistera.dataset.images import ImageError, read_header
from equistera.dataset.paths import check_inside, picture_path
from equistera.dataset.place import image_dir, place
from equistera.dataset.split import SPLITS
from equistera.errors import UserError
from equistera.files import atomic_write, write_json, write_text
from equistera.outputs import check_targets
from equistera.skeleton import Skeleton
from equistera.words import counted, near

#: Values of ``--to``.
FORMATS = ("labelstudio", "cvat", "coco", "yolo")


def export_annotations(
    ann_files: Sequence[Path],
    to: str,
    output: Path,
    skeleton: Skeleton,
    *,
    img_dir: Path | None = None,
    images: str = "link",
    url_prefix: str = labelstudio.URL_PREFIX,
    overwrite: bool = False,
) -> str:
    """Writes COCO keypoint files in another format.

    Args:
        ann_files: Files to export together; for YOLO each is a split, named by its file.
        to: One of :data:`FORMATS`.
        output: File to write; for YOLO a folder.
        img_dir: Folder of the pictures; by default ``images/<file's name>`` beside the annotation folder.
        images: For YOLO, how to put the pictures beside the labels: one of :data:`equistera.dataset.place.WAYS`.
        url_prefix: For Label Studio, what stands before a picture's name in a task.

    Returns:
        What was written and what to do with it, for the terminal.

    Raises:
        UserError: A file cannot be read or exported, or output exists.
    """
    if img_dir is not None and not img_dir.is_dir():
        raise UserError(
            f"no such picture folder: {img_dir}{near(img_dir)}", hint="--img-dir names the folder of the pictures."
        )
    read = [(path, read_labelled(path, img_dir, skeleton)) for path in ann_files]
    if to == "yolo":
        return _write_yolo(read, img_dir, output, skeleton, images, overwrite)
    pictures = [picture for _, own in read for picture in own]
    names = Counter(picture.names[0] for picture in pictures)
    if doubled := sorted(name for name, count in names.items() if count > 1):
        raise UserError("pictures with the same name in several files:", doubled, "Export the files one by one.")
    check_targets("--output", targets_of(to, output), inputs=ann_files, overwrite=overwrite)
    return "\n".join(write_for_tool(pictures, to, output, skeleton, url_prefix=url_prefix))


def targets_of(to: str, output: Path) -> list[Path]:
    """The files that :func:`write_for_tool` writes."""
    beside = {"labelstudio": "_labelling.xml", "cvat": "_labels.json"}
    return [output, *([output.with_name(output.stem + beside[to])] if to in beside else [])]


def write_for_tool(
    pictures: Sequence[Picture],
    to: str,
    output: Path,
    skeleton: Skeleton,
    *,
    url_prefix: str = labelstudio.URL_PREFIX,
    model: str = "",
    categories: Sequence[str] = (),
) -> list[str]:
    """Writes pictures and their animals for a labelling tool, with the labels that its project needs beside them.

    Args:
        pictures: With known size and pixel coordinates; every animal has a box.
        to: ``labelstudio``, ``cvat`` or ``coco``.
        output: File to write, and those of :func:`targets_of`, which may be written.
        skeleton: Gives the points and their order.
        url_prefix: For Label Studio, what stands before a picture's name in a task.
        model: Name of the model that predicted the animals; "" where people labelled them.
        categories: Names of animals that may be labelled, too.

    Returns:
        What was written and how it is imported, a line each.

    Raises:
        UserError: Names that the tool cannot hold.
    """
    animals = [animal for picture in pictures for animal in picture.animals]
    words = list(dict.fromkeys([*(animal.category for animal in animals), *categories])) or [HORSE]
    nouns = "horses" if words == [HORSE] else "animals"
    lines = [f"wrote {counted(len(pictures), 'pictures')}, {counted(len(animals), nouns)} to {output}"]
    labels = targets_of(to, output)[-1]
    if to == "labelstudio":
        write_json(output, labelstudio.write(pictures, url_prefix, model))
        write_text(labels, labelstudio.labelling_config(skeleton, words))
        lines += [
            f"In Label Studio: make a project with the labelling interface of {labels} (Settings, Labeling Interface, "
            f"Code), then import {output.name}.",
            f"A picture's address is {url_prefix}NAME; --url-prefix changes it.",
        ]
        if model:
            lines.append("A task shows the prediction when it is opened; what is submitted becomes its annotation.")
    elif to == "cvat":
        content = _cvat_labels(skeleton, words)
        with atomic_write(output) as file:
            cvat.write(file, pictures, skeleton.names)
        write_text(labels, content)
        lines += [
            f"In CVAT: make a task with the pictures and, pasted into the tab 'Raw' of its labels, {labels}",
            f"Then Actions, Upload annotations, 'CVAT 1.1', {output.name}.",
        ]
        if model:
            lines.append("CVAT shows pictures by name, whatever their order in the file (sorting method of the task).")
    else:
        write_json(output, coco.write(pictures, skeleton))
    return lines


def _cvat_labels(skeleton: Skeleton, categories: Sequence[str]) -> str:
    # the only horse that there is to draw, and to take the places of points from, is the synthetic one
    from equistera.synthetic import chart

    return cvat.labelling_config(skeleton, chart.positions(skeleton), categories)


def read_labelled(path: Path, img_dir: Path | None, skeleton: Skeleton) -> list[Picture]:
    """The pictures of an annotation file that have labelled animals, with size and boxes; pixels.

    Raises:
        UserError: They cannot be written for another tool, or there are none.
    """
    content = load_annotations(path, skeleton)
    category_of = _categories(path)
    animals: dict[object, list[Animal]] = {image["id"]: [] for image in content["images"]}
    problems = []
    for annotation in content["annotations"]:
        try:
            animals[annotation["image_id"]].append(_animal(annotation, category_of[annotation["id"]], skeleton))
        except Unusable as error:
            problems.append(f"annotation {annotation.get('id')}: {error}")
    pictures = []
    for image in content["images"]:
        if not animals[image["id"]]:
            continue
        size = positive_size(image.get("width"), image.get("height"))
        try:
            size = size or read_header(picture_path(_folder(path, img_dir), image["file_name"])).size
        except ImageError as error:
            problems.append(f"{image['file_name']}: no width and height in the file, and {error.summary}")
            continue
        name = image["file_name"].replace("\\", "/")
        if not name.isprintable():
            problems.append(f"{name!r}: a file name with characters that XML and text files cannot hold")
        pictures.append(Picture((name,), f"{path.name}, picture {name}", tuple(animals[image["id"]]), size))
    if problems:
        raise UserError(
            f"{path} cannot be exported:", problems, f"More about it: {verify_command(path, skeleton.option)}"
        )
    if not pictures:
        raise UserError(f"{path} has no animal with a labelled keypoint")
    return pictures


def _categories(path: Path) -> dict[object, str]:
    """The file's word for each annotation's animal, by its id."""
    content = read_coco(path)
    names = {c["id"]: str(c.get("name") or HORSE) for c in content["categories"] if isinstance(c, dict) and "id" in c}
    return {entry.get("id"): names.get(entry.get("category_id"), HORSE) for entry in content["annotations"]}


def _folder(path: Path, img_dir: Path | None) -> Path:
    return img_dir or image_dir(path.absolute().parent, path.stem)


def _animal(annotation: dict, category: str, skeleton: Skeleton) -> Animal:
    values = annotation["keypoints"]
    points = {
        name: (values[3 * i], values[3 * i + 1], flag(values[3 * i + 2], name)) for i, name in enumerate(skeleton.names)
    }
    return Animal(points, tuple(annotation["bbox"]), category, annotation["area"])


def _write_yolo(
    read: Sequence[tuple[Path, list[Picture]]],
    img_dir: Path | None,
    output: Path,
    skeleton: Skeleton,
    images: str,
    overwrite: bool,
) -> str:
    splits: dict[str, Path] = {}
    categories = list(dict.fromkeys(a.category for _, own in read for picture in own for a in picture.animals))
    labels, places = {}, {}
    problems, left_out = [], []
    for path, pictures in read:
        # Ultralytics knows no other names; a file such as all.json is there to be trained on
        split = path.stem if path.stem in SPLITS else SPLITS[0]
        if split in splits:
            raise UserError(f"{splits[split]} and {path} would both be YOLO's split {split!r}")
        splits[split] = path
        for picture in pictures:
            target = check_inside(output / "images" / split, picture.names[0])
            label = (output / "labels" / split / target.relative_to(output / "images" / split)).with_suffix(".txt")
            if label in labels:
                raise UserError(f"two pictures of {path} would have the label file {label}: rename one")
            try:
                whole, outside = yolo.inside(picture)
            except Unusable as error:
                problems.append(f"{picture.where}: {error}")
                continue
            left_out += [f"{name} of {picture.names[0]}" for name in outside]
            labels[label] = yolo.write_label(whole, skeleton.names, categories)
            places[target] = picture_path(_folder(path, img_dir), picture.names[0])
    if problems:
        raise UserError("labels that YOLO cannot hold:", problems, "More about them: tools/verify_dataset.py --help")
    data_yaml = output / "data.yaml"
    check_targets("--output", [data_yaml, *labels], overwrite=overwrite)
    stale = sorted(str(path) for path in (output / "labels").rglob("*.txt") if path not in labels)
    if stale:
        raise UserError("label files of another export would stay:", stale, "Remove that folder, or choose another.")
    place(places, images, overwrite=overwrite)
    for label, lines in labels.items():
        write_text(label, lines)
    write_text(data_yaml, yolo.data_yaml(skeleton, list(splits), categories))
    written = (
        f"wrote {counted(len(labels), 'pictures')} ({', '.join(splits)}) to {output}; Ultralytics reads {data_yaml}"
    )
    if not left_out:
        return written
    shown = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
    return f"{written}\nleft out, outside the picture: {counted(len(left_out), 'points')}, {shown}"


#: Values of ``--to`` with the ending of the file that each makes.
ENDINGS = {"labelstudio": ".xml", "cvat": ".json", "picture": ".jpg"}

_NEXT = {
    "labelstudio": "In Label Studio: paste it into Settings, Labeling Interface, Code. Export as 'JSON'.",
    "cvat": "In CVAT: paste it into the tab 'Raw' of the task's or project's labels. Export as 'CVAT for images 1.1'.",
    "picture": "Give it to everybody who labels.",
}


def write_labelling_config(
    skeleton: Skeleton, to: str, output: Path, categories: Sequence[str], *, overwrite: bool = False
) -> str:
    """Writes a labelling configuration, or the picture with the numbered points.

    Args:
        skeleton: Points to label.
        to: A key of :data:`ENDINGS`.
        categories: Names of the animals.

    Returns:
        What to do with it, for the terminal.

    Raises:
        UserError: Another ending, a file that exists, or a name that the tool cannot hold.
    """
    if output.suffix.lower() != ENDINGS[to]:
        raise UserError(f"{output}: expected a name that ends in {ENDINGS[to]}")
    check_targets("--output", [output], overwrite=overwrite)
    if not all(category.strip() for category in categories):
        raise UserError("the animal needs a name", hint="Leave --category out to call it horse.")
    if len({category.strip().casefold() for category in categories}) < len(categories):
        raise UserError(f"an animal is named twice: {', '.join(categories)}")
    if to == "labelstudio":
        content = labelstudio.labelling_config(skeleton, categories).encode()
    elif to == "cvat":
        content = _cvat_labels(skeleton, categories).encode()
    else:
        from equistera.synthetic import chart

        content = chart.encode_chart(skeleton)
    with atomic_write(output, "wb") as file:
        file.write(content)
    return f"wrote {output}: the {len(skeleton)} points of {skeleton.name}\n{_NEXT[to]}"
