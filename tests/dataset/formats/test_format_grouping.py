"""Which boxes are animals', in every format that draws boxes beside points."""

import json

import pytest
from PIL import Image

from equistera import skeleton
from equistera.dataset import formats
from equistera.dataset.convert import Request, convert_dataset

NAMES = ("nose", "withers", "back", "tail_base", "lf_hoof", "rh_hoof")
WIDE, HIGH = 200, 100


def horse_at(x, y, names=NAMES):
    """Points of a horse of 60 x 40 pixels."""
    return [(name, x + 12 * i, y + (40 if "hoof" in name else 8 * (i % 2))) for i, name in enumerate(names)]


def saved(tmp_path, kind, pictures):
    """Pictures of (points, boxes); a box is label, x, y, width, height."""
    if kind == "labelstudio":
        tasks = []
        for number, (points, boxes) in enumerate(pictures):
            results = []
            for i, (name, x, y) in enumerate(points):
                value = {"x": 100 * x / WIDE, "y": 100 * y / HIGH, "keypointlabels": [name]}
                results.append({"id": f"p{i}", "type": "keypointlabels", "to_name": "image", "value": value})
            for i, (label, x, y, w, h) in enumerate(boxes):
                value = {"x": 100 * x / WIDE, "y": 100 * y / HIGH, "width": 100 * w / WIDE, "height": 100 * h / HIGH}
                value["rectanglelabels"] = [label]
                results.append({"id": f"b{i}", "type": "rectanglelabels", "to_name": "image", "value": value})
            tasks.append({"data": {"image": f"{number}.jpg"}, "annotations": [{"result": results}]})
        path = tmp_path / "tasks.json"
        path.write_text(json.dumps(tasks))
        return path
    lines = ["<annotations>"]
    for number, (points, boxes) in enumerate(pictures):
        lines.append(f'<image name="{number}.jpg" width="{WIDE}" height="{HIGH}">')
        shapes = [f'<points label="{name}" points="{x},{y}"/>' for name, x, y in points]
        lines += ["<skeleton label='horse'>", *shapes, "</skeleton>"] if kind == "cvat skeletons" else shapes
        lines += [f'<box label="{n}" xtl="{x}" ytl="{y}" xbr="{x + w}" ybr="{y + h}"/>' for n, x, y, w, h in boxes]
        lines.append("</image>")
    path = tmp_path / "annotations.xml"
    path.write_text("".join([*lines, "</annotations>"]))
    return path


def boxes_of(export):
    scale = (WIDE, HIGH, WIDE, HIGH)
    return [
        [
            a.box and tuple(round(v * (s if p.relative else 1)) for v, s in zip(a.box, scale, strict=True))
            for a in p.animals
        ]
        for p in export.pictures
    ]


KINDS = ("labelstudio", "cvat", "cvat skeletons")
BOX = (15, 25, 75, 60)
SADDLE, RIDER, STALL = ("saddle", 40, 26, 15, 12), ("rider", 30, 2, 30, 45), ("stall", 0, 0, 190, 98)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [SADDLE, RIDER, STALL])
def test_a_box_of_another_thing_is_never_the_horses(tmp_path, kind, other):
    horse = horse_at(20, 30)
    # with the horse's own rectangle, and without
    export = formats.read(saved(tmp_path, kind, [(horse, [other, ("horse", *BOX)]), (horse, [other])]))
    assert boxes_of(export) == [[BOX], [None]]
    assert [len(p.animals[0].points) for p in export.pictures] == [6, 6]
    assert not export.skips
    assert f"left out: {other[0]!r} 2" in export.notes[-1]
    export = formats.read(saved(tmp_path, kind, [(horse, [other])]))
    assert boxes_of(export) == [[None]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_box_of_an_unknown_word_that_holds_the_horse_is_taken_and_said(tmp_path, kind):
    pictures = [(horse_at(20, 30), [SADDLE, ("Pferd", *BOX)])] * 3
    export = formats.read(saved(tmp_path, kind, pictures))
    assert boxes_of(export) == [[BOX]] * 3
    assert "rectangles 'Pferd' are taken for the animals' boxes" in export.notes[0]
    # a word of the user's is evidence enough
    export = formats.read(saved(tmp_path, kind, pictures), wanted=["pferd"])
    assert boxes_of(export) == [[BOX]] * 3
    assert "Pferd" not in "".join(export.notes)


@pytest.mark.parametrize("kind", ["labelstudio", "cvat"])
def test_mare_and_foal_of_two_words_are_two_animals(tmp_path, kind):
    foal = ("foal", 110, 35, 75, 60)
    pictures = [([*horse_at(20, 30), *horse_at(115, 40)], [("horse", *BOX), SADDLE, foal])] * 2
    export = formats.read(saved(tmp_path, kind, pictures))
    assert [[(a.category, len(a.points)) for a in p.animals] for p in export.pictures] == [
        [("horse", 6), ("foal", 6)]
    ] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_rectangle_without_points_is_counted(tmp_path, kind):
    export = formats.read(saved(tmp_path, kind, [(horse_at(20, 30), [("horse", *BOX), ("horse", 120, 30, 60, 50)])]))
    assert boxes_of(export) == [[BOX]]
    assert "left out: 'horse' 1" in export.notes[0]


def test_a_group_of_cvat_with_two_rectangles(tmp_path):
    shapes = [f'<points label="{n}" points="{x},{y}" group_id="1"/>' for n, x, y in horse_at(20, 30)]
    boxes = '<box label="{}" xtl="{}" ytl="25" xbr="90" ybr="85" group_id="1"/>'
    text = f'<annotations><image name="a.jpg">{"".join(shapes)}{boxes.format("saddle", 40)}{boxes.format("horse", 15)}'
    (tmp_path / "a.xml").write_text(f"{text}<polygon points='1,1;2,2;3,3'/></image></annotations>")
    export = formats.read(tmp_path / "a.xml")
    assert boxes_of(export) == [[BOX]]
    assert export.pictures[0].animals[0].category == "horse"
    assert "regions of other kinds, left out: polygon 1" in export.notes[-1]


def test_the_users_word_reaches_the_reader(tmp_path):
    """A head in the horse's rectangle fills too little of it to be told from a head in a stall."""
    head = [("nose", 20, 30), ("l_eye", 24, 28), ("l_ear", 27, 24), ("r_ear", 29, 24)]
    path = saved(tmp_path, "labelstudio", [(head, [("Pferd", *BOX)])])
    Image.new("RGB", (WIDE, HIGH)).save(tmp_path / "0.jpg")
    boxes = []
    for words in ((), ("pferd",)):
        output = tmp_path / f"out{len(words)}"
        convert_dataset(Request(path, output, skeleton.load("horse26"), categories=words, split=None))
        [annotation] = json.loads((output / "all.json").read_text())["annotations"]
        boxes.append(annotation["bbox"])
    assert boxes[0] != list(BOX)
    assert boxes[1] == list(BOX)
