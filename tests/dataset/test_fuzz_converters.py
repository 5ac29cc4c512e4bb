"""Damaged and hostile annotation files: whatever they hold, converting them ends in a data set or a UserError.

Files of every format are mutated from a valid one as bytes and, to get past the parser, as values.
"""

import contextlib
import json
import random
import re
from pathlib import Path

import mutants
import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset.convert import Request, convert_dataset
from equistera.dataset.export import export_annotations
from equistera.errors import UserError

HORSE, AP10K = skeleton.load("horse26"), skeleton.load("ap10k")
DATA = Path(__file__).parent / "formats" / "data"
#: Small files that unfold to what no memory holds, lead out, or ask a parser to run something.
BOMBS = [
    b"[" * 100_000, b'{"a":' * 100_000, b"<a>" * 100_000, b"- " * 100_000,
    b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(ord("b"), ord("k"))
    ),
    b"names: !!python/object/apply:os.system ['touch ran']\n", b"path: ../outside\ntrain: .\nkpt_shape: [26, 3]\n",
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "' + b"x" * 1000 + b'">' + b"".join(
        b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 20) for c in range(ord("b"), ord("k"))
    ) + b"]><annotations>&j;</annotations>",
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotations>&a;</annotations>',
    b"scorer," + b"A," * 1_000_000 + b"\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 500, b"0 " + b"9" * 100_000, b"\0" * 1000,
]  # fmt: skip


def seed_files(folder, wanted):
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
    (folder / "yolo/train.txt").write_text("./images/train/a.png\n")
    if wanted == "yolo-list":
        data = (folder / "yolo/data.yaml").read_text()
        (folder / "yolo/data.yaml").write_text(re.sub(r"train: .*", "train: train.txt", data))
    (folder / "labelstudio_yolo/labels").mkdir(parents=True)
    label = (folder / "yolo/labels/train/a.txt").read_text()
    (folder / "labelstudio_yolo/labels/a.txt").write_text(label)
    notes = {"categories": [{"id": 0, "name": "horse", "keypoints": list(HORSE.names)}], "info": {}}
    (folder / "labelstudio_yolo/notes.json").write_text(json.dumps(notes))
    Image.new("RGB", (40, 30)).save(folder / "labelstudio_yolo/a.png")
    ap10k = {**coco, "categories": [{**coco["categories"][0], "keypoints": list(AP10K.names)}], "annotations": []}
    for annotation in coco["annotations"]:
        flat = [value for i in range(len(AP10K)) for value in (5 + i, 6 + i, i % 3)]
        ap10k["annotations"].append({**annotation, "keypoints": flat})
    (folder / "ap10k.json").write_text(json.dumps(ap10k))
    return {
        "ap10k": folder / "ap10k.json",
        "yolo-list": folder / "yolo/train.txt",
        "labelstudio": folder / "labelstudio.json",
        "labelstudio-min": folder / "labelstudio_min.json",
        "cvat": folder / "cvat.xml",
        "coco": folder / "coco.json",
        "animalpose": folder / "animalpose.json",
        "deeplabcut-csv": folder / "deeplabcut.csv",
        "deeplabcut-h5": folder / "deeplabcut.h5",
        "labelstudio-yolo": folder / "labelstudio_yolo/notes.json",
        "yolo": folder / "yolo/data.yaml",
        "yolo-label": folder / "yolo/labels/train/a.txt",
    }


FORMATS = ("labelstudio", "labelstudio-min", "cvat", "coco", "animalpose", "deeplabcut-csv", "deeplabcut-h5", "yolo")
FORMATS += ("yolo-label", "yolo-list", "labelstudio-yolo", "ap10k")


def attempt_on(folder, name):
    """Gives the converter mutants of one format; what it writes is checked."""
    target = seed_files(folder, name)[name]
    source = folder / "yolo/data.yaml" if name.startswith("yolo") else target
    original = target.read_bytes()
    parsed = json.loads(original) if target.suffix == ".json" else None
    out = folder / "out/annotations"

    def attempt(rng):
        if parsed is not None and rng.random() < 0.7:
            target.write_text(json.dumps(mutants.mutate_tree(parsed, rng)), encoding="utf-8", errors="surrogatepass")
        elif target.suffix != ".h5" and rng.random() < 0.5:
            target.write_bytes(mutants.mutate_numbers(original, rng))
        elif rng.random() < 0.02:
            target.write_bytes(rng.choice(BOMBS))
        else:
            target.write_bytes(mutants.mutate_bytes(original, rng))
        convert_dataset(Request(source, out, HORSE, split=None, overwrite=True, images=rng.choice(["none", "link"])))
        check_written(out / "all.json")

    return attempt


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
    rng, attempt, converted = random.Random(f"converters {name}"), attempt_on(tmp_path, name), 0
    for _ in range(50):
        with contextlib.suppress(UserError):
            attempt(rng)
            converted += 1
    assert converted > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_mutants(tmp_path, name):
    if name == "deeplabcut-h5":
        pytest.importorskip("h5py")
    folder = mutants.folder_with_traps(tmp_path)
    (folder / "link").unlink()  # links are the user's own, and are followed to where the pictures are
    assert mutants.survive(attempt_on(folder, name), folder, name, 2000)["accepted"] > 0
