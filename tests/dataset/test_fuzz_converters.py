"""Damaged and hostile annotation files: whatever they hold, converting them ends in a data set or a UserError.

Files of every format are mutated from a valid one as bytes (flips, cuts, insertions) and, to get past the parser, as
values: the numbers of a text, anything in a JSON file (types, missing and extra fields).
"""

import copy
import json
import random
import re
from pathlib import Path

import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import export_annotations
from equistera.errors import UserError

HORSE = skeleton.load("horse26")
DATA = Path(__file__).parent / "formats" / "data"

ODD = [
    None, True, -1, 0, 1, 2, 0.5, 1e308, -1e308, 10**400, float("nan"), float("inf"), "", "0", "nan", "../a.png",
    "/etc/passwd", "C:\\x.png", "nose", "horse", "é\ud800", "\0", [], {}, [[]], [1, 2], {"a": 1}, [None], "x" * 300,
]  # fmt: skip
NUMBERS = [b"0", b"1", b"-1", b"2", b"0.5", b"29.99", b"1e308", b"-1e-320", b"nan", b"inf", b"1e999", b"", b"x", b"1_0"]
BYTES = [
    b"",
    b"\0",
    b"\xff",
    b"<",
    b">",
    b'"',
    b",",
    b"{",
    b"[",
    b"-",
    b"1e999",
    b"nan",
    b"&a;",
    b"*a",
    b"\n",
    b"9" * 50,
]


def seed_files(folder):
    """One valid file of each format, of two horses on picture a.png; by format, the file to convert."""
    points = {"nose": (10, 12), "neck": (20, 22), "back": (30, 14)}
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "horse", "keypoints": list(HORSE.names)}],
        "annotations": [],
    }
    for i in (1, 2):
        flat = [v for name in HORSE.names for v in ((*points[name], i) if name in points else (0, 0, 0))]
        annotation = {"id": i, "image_id": 1, "category_id": 1, "keypoints": flat, "bbox": [5, 5, 30, 20], "area": 600}
        coco["annotations"].append(annotation)
    (folder / "coco.json").write_text(json.dumps(coco))
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    for to, name in (("labelstudio", "labelstudio.json"), ("cvat", "cvat.xml"), ("yolo", "yolo")):
        export_annotations([folder / "coco.json"], to, folder / name, HORSE, img_dir=folder, images="copy")
    record = {"id": 1, "image": "a.png", "annotation_id": 2, "box": [], "kp": []}
    for result in json.loads((folder / "labelstudio.json").read_text())[0]["annotations"][0]["result"][:4]:
        record["box" if "rectanglelabels" in result["value"] else "kp"].append(result["value"])
    (folder / "labelstudio_min.json").write_text(json.dumps([record]))
    nested = [[*points.get(name, (0, 0)), int(name in points)] for name in HORSE.names]
    animalpose = {
        "images": {"1": "a.png"},
        "categories": coco["categories"],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [5, 5, 35, 25], "keypoints": nested}],
    }
    (folder / "animalpose.json").write_text(json.dumps(animalpose))
    (folder / "deeplabcut.csv").write_text(
        "scorer,A,A,A,A,A,A\nindividuals,h1,h1,h1,h1,h2,h2\nbodyparts,nose,nose,neck,neck,nose,nose\n"
        "coords,x,y,x,y,x,y\na.png,1,2,13,14,5,6\nb.png,7,8,,,,\n"
    )
    for name in ("img1.png", "img2.png"):
        (folder / "labeled-data/v1").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30)).save(folder / "labeled-data/v1" / name)
    (folder / "deeplabcut.h5").write_bytes((DATA / "CollectedData_multi_tuple.h5").read_bytes())
    return {
        "labelstudio": folder / "labelstudio.json",
        "labelstudio-min": folder / "labelstudio_min.json",
        "cvat": folder / "cvat.xml",
        "coco": folder / "coco.json",
        "animalpose": folder / "animalpose.json",
        "deeplabcut-csv": folder / "deeplabcut.csv",
        "deeplabcut-h5": folder / "deeplabcut.h5",
        "yolo": folder / "yolo/data.yaml",
        "yolo-label": folder / "yolo/labels/train/a.txt",
    }


FORMATS = ("labelstudio", "labelstudio-min", "cvat", "coco", "animalpose", "deeplabcut-csv", "deeplabcut-h5", "yolo")
FORMATS += ("yolo-label",)


def mutate_bytes(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at:at] = rng.choice(BYTES)
        elif kind == 2:
            del data[at : at + rng.randrange(1, 40)]
        elif kind == 3:
            data[at : at + rng.randrange(1, 8)] = rng.choice(BYTES)
        else:
            part = data[at : at + rng.randrange(1, 200)]
            data[at:at] = part
    return bytes(data)


def mutate_numbers(data, rng):
    """Replaces numbers in a text by other words."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    for match in sorted(rng.sample(numbers, rng.choice([1, 1, 2, 4])), key=lambda m: -m.start()):
        data = data[: match.start()] + rng.choice(NUMBERS) + data[match.end() :]
    return data


def places(value, path=()):
    """The path of every value inside of a JSON value."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for i in range(len(value)):
            yield from places(value[i], (*path, i))


def mutate_json(content, rng):
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 2, 4])):
        path = rng.choice(list(places(content)))
        if not path:
            continue
        holder = content
        for key in path[:-1]:
            holder = holder[key]
        action = rng.randrange(4)
        if action == 0:
            del holder[path[-1]]
        elif action == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(ODD))
    return content


def fuzz(tmp_path, name, rounds):
    """Converts mutated files; anything but a UserError fails the test. Returns how many were converted."""
    rng = random.Random(f"converters {name}")
    target = seed_files(tmp_path)[name]
    source = tmp_path / "yolo/data.yaml" if name == "yolo-label" else target
    original = target.read_bytes()
    parsed = json.loads(original) if target.suffix == ".json" else None
    out, converted = tmp_path / "out/annotations", 0
    for _ in range(rounds):
        if parsed is not None and rng.random() < 0.7:
            target.write_text(json.dumps(mutate_json(parsed, rng)), encoding="utf-8", errors="surrogatepass")
        elif target.suffix != ".h5" and rng.random() < 0.5:
            target.write_bytes(mutate_numbers(original, rng))
        else:
            target.write_bytes(mutate_bytes(original, rng))
        request = Request(source, out, HORSE, split=None, overwrite=True, images=rng.choice(["none", "link"]))
        try:
            convert_dataset(request)
        except UserError:
            continue
        converted += 1
        check_written(out / "all.json")
    return converted


def check_written(path):
    """What is written is sound, whatever was read."""
    content = json.loads(path.read_text(), parse_constant=lambda word: pytest.fail(f"{word} in the output"))
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    assert content["annotations"]
    for annotation in content["annotations"]:
        width, height = sizes[annotation["image_id"]]
        x, y, w, h = annotation["bbox"]
        assert min(x, y) >= 0
        assert min(w, h) > 0
        assert x + w <= width + 0.01
        assert y + h <= height + 0.01
        assert annotation["area"] > 0
        assert len(annotation["keypoints"]) == 78
        assert set(annotation["keypoints"][2::3]) <= {0, 1, 2}
    for image in content["images"]:
        assert ".." not in image["file_name"]
        assert not image["file_name"].startswith("/")


@pytest.mark.parametrize("name", FORMATS)
def test_a_few_mutated_files(tmp_path, name):
    if name == "deeplabcut-h5":
        pytest.importorskip("h5py")
    assert fuzz(tmp_path, name, 50) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_two_thousand_mutated_files(tmp_path, name):
    if name == "deeplabcut-h5":
        pytest.importorskip("h5py")
    assert fuzz(tmp_path, name, 2000) > 0
