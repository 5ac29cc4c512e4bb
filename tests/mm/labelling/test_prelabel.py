"""tools/prelabel.py on a real checkpoint of a tiny run."""

import json
import shutil

import pytest

from equistera.errors import UserError
from equistera.labelling.prelabelling import PrelabelOptions, settled
from equistera.mm.labelling.prelabel import prelabel
from equistera.mm.prediction import search
from equistera.mm.prediction.visualize import UnreadableError

DEMO = "configs/demo_rtmpose_t.py"


@pytest.fixture(autouse=True)
def a_short_search(monkeypatch):
    """A model of a minute finds nothing, and looking for that in all sizes takes long."""
    monkeypatch.setattr(search, "SIDES", (1.0,))


def run(trained, tiny, *pictures, out, **options):
    given = {"to": "labelstudio", "conf": 0.0, "cfg_options": tiny(), **options}
    words = [DEMO, str(trained / "best.pth"), *map(str, pictures)]
    return prelabel(settled(PrelabelOptions(words=words, out=str(out), **given)))


def test_boxes_of_a_file_become_predictions_the_least_sure_first(horses, trained, tiny, tmp_path, capsys):
    boxes = horses / "annotations/test.json"
    assert run(trained, tiny, horses / "images/test", out=tmp_path / "a.json", ann_file=str(boxes)) == 0
    tasks = json.loads((tmp_path / "a.json").read_text())
    content = json.loads(boxes.read_text())
    assert len(tasks) == len(content["images"]) == 4
    scores = [task["predictions"][0]["score"] for task in tasks]
    assert scores == sorted(scores)
    assert {task["predictions"][0]["model_version"][:5] for task in tasks} == {"tiny "}
    rectangles = [r for task in tasks for r in task["predictions"][0]["result"] if r["type"] == "rectanglelabels"]
    assert len(rectangles) == len(content["annotations"])
    said = capsys.readouterr().out
    # calibrated, if another test has fitted one for the shared model
    assert "are left out" in said.splitlines()[0] or "points below 0 are left out" in said
    assert "the least sure first" in said


def test_what_the_model_finds_by_itself_and_what_cannot_be_read(horses, trained, tiny, tmp_path, capsys):
    folder = shutil.copytree(horses / "images/test", tmp_path / "photos")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(UnreadableError, match=r"1 of 5 pictures[^$]*broken\.jpg"):
        run(trained, tiny, folder, out=tmp_path / "a.xml", to="cvat")
    assert (tmp_path / "a.xml").read_text().count("<image ") == 4
    assert (tmp_path / "a_labels.json").is_file()
    assert "the pose model itself looks" in capsys.readouterr().out


def test_boxes_of_other_pictures_are_refused(horses, trained, tiny, tmp_path):
    with pytest.raises(UserError, match=r"same names|knows none"):
        run(
            trained, tiny, horses / "images/test", out=tmp_path / "a.json",
            ann_file=str(horses / "annotations/train.json"),
        )  # fmt: skip
