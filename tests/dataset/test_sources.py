"""Which files of a folder are taken for labels, and what is said of the others."""

import json
import shutil
from pathlib import Path

import pytest

from equistera.dataset.sources import annotation_files, read_all
from equistera.errors import UserError

LABELS = "scorer,A,A\nbodyparts,nose,nose\ncoords,x,y\na.png,1,2\n"
PREDICTIONS = "scorer,A,A,A\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\na.png,1,2,0.5\n"
H5 = Path(__file__).parent / "formats/data/CollectedData_multi_tuple.h5"


def label_studio(path):
    result = [{"type": "keypointlabels", "value": {"x": 1, "y": 2, "keypointlabels": ["nose"]}}]
    path.write_text(json.dumps([{"data": {"image": "a.png"}, "annotations": [{"result": result}]}]))


def found(folder, name="auto"):
    return [path.relative_to(folder).as_posix() for path in annotation_files(folder, name)]


def test_a_table_hides_no_other_export(tmp_path):
    """Label Studio exports project-1.json and project-1.csv of one project."""
    for suffix in ("json", "xml", "yaml"):
        (tmp_path / f"project-1.{suffix}").touch()
    (tmp_path / "project-1.csv").write_text(LABELS)
    assert found(tmp_path) == ["project-1.csv", "project-1.json", "project-1.xml", "project-1.yaml"]


@pytest.mark.parametrize("suffix", ["h5", "hdf5", "H5"])
def test_a_table_stands_for_the_hdf5_file_of_the_same_labels(tmp_path, suffix):
    (tmp_path / f"CollectedData_A.{suffix}").touch()
    (tmp_path / "CollectedData_A.csv").write_text(LABELS)
    (tmp_path / f"CollectedData_B.{suffix}").touch()
    assert found(tmp_path) == ["CollectedData_A.csv", f"CollectedData_B.{suffix}"]


def test_a_table_that_is_not_deeplabcuts_hides_nothing(tmp_path):
    pytest.importorskip("h5py")
    shutil.copy(H5, tmp_path / "CollectedData_A.h5")
    (tmp_path / "CollectedData_A.csv").write_text("frame,nose\n0,1\n")
    assert found(tmp_path) == ["CollectedData_A.csv", "CollectedData_A.h5"]
    for name, says in (("auto", "no annotations of a known format"), ("deeplabcut", "left out:")):
        exports, notes = read_all(annotation_files(tmp_path, name), name)
        assert [export.path.suffix for export in exports] == [".h5"]
        assert any(says in note and "CollectedData_A.csv" in note for note in notes)


@pytest.mark.parametrize(
    "name",
    [
        ".ipynb_checkpoints/labels-checkpoint.json",
        "._labels.json",
        "__MACOSX/labels.json",
        "__MACOSX/raw/._labels.json",
        "day1/.labels.json",
        ".trash/day1/labels.json",
    ],
)
def test_what_programs_keep_for_themselves_is_not_read(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "labels.json").touch()
    assert found(tmp_path) == ["labels.json"]


def test_a_hidden_folder_that_is_asked_for_is_read(tmp_path):
    folder = tmp_path / ".work"
    folder.mkdir()
    (folder / "labels.json").touch()
    assert found(folder) == ["labels.json"]


def test_predictions_among_labels_are_left_out_and_named(tmp_path):
    """A DeepLabCut project holds both."""
    (tmp_path / "video1DLC_resnet50.csv").write_text(PREDICTIONS)
    with pytest.raises(UserError, match="DeepLabCut's predictions"):
        read_all(annotation_files(tmp_path), "auto")
    (tmp_path / "CollectedData_A.csv").write_text(LABELS)
    exports, notes = read_all(annotation_files(tmp_path), "auto")
    assert [export.path.name for export in exports] == ["CollectedData_A.csv"]
    assert [note.startswith("left out: ") and "video1DLC_resnet50.csv" in note for note in notes] == [True]


def test_files_of_other_formats_than_the_one_asked_for(tmp_path):
    label_studio(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    exports, notes = read_all(annotation_files(tmp_path, "labelstudio"), "labelstudio")
    assert [export.path.name for export in exports] == ["a.json"]
    assert len(notes) == 1
    assert "b.json: not Label Studio JSON: an empty object" in notes[0]
    with pytest.raises(UserError, match=r"a\.json: not COCO keypoints but Label Studio JSON") as error:
        read_all(annotation_files(tmp_path, "coco"), "coco")
    assert len(error.value.problems) == 1
    assert "b.json: not COCO keypoints: an empty object" in error.value.problems[0]
    assert "--format labelstudio" in error.value.hint


def test_a_damaged_file_still_stops_everything(tmp_path):
    label_studio(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("[{")
    with pytest.raises(UserError, match="1 of 2 files cannot be read"):
        read_all(annotation_files(tmp_path), "auto")


def test_a_whole_deeplabcut_project(tmp_path):
    """Labels are read; predictions that no name and no layout can pass off as labels are told, each kind once."""
    h5py = pytest.importorskip("h5py")
    (tmp_path / "CollectedData_A.csv").write_text(LABELS)
    for i in range(7):
        with h5py.File(tmp_path / f"walk{i}DLC_resnet50_horse.h5", "w") as file:
            file.create_group("df_with_missing/table").parent.attrs["pandas_type"] = "frame_table"
    (tmp_path / "config.yaml").write_text("Task: horse\n")
    exports, notes = read_all(annotation_files(tmp_path), "auto")
    assert [export.path.name for export in exports] == ["CollectedData_A.csv"]
    assert ["config.yaml" in note for note in notes] == [True, False]
    assert "walk4DLC_resnet50_horse.h5 and 2 more: not called CollectedData..." in notes[1]


@pytest.mark.parametrize(
    ("name", "text", "says", "advice"),
    [
        ("a.json", '{"shapes": [], "imagePath": "a.jpg"}', "labelme's JSON", "X-AnyLabeling"),
        ("notes.json", '{"categories": [], "info": {}}', "Label Studio's YOLO export", "format 'JSON'"),
        ("a.csv", "image,id,kp,annotator,annotation_id\n", "Label Studio's table", "format 'JSON'"),
        ("a.xml", "<annotation><object></object></annotation>", "Pascal VOC", "CVAT for images"),
        ("a.json", '[{"b": 1}]', "no annotations of a known format: a list of an object with b", "Expected:"),
        ("a.yaml", "b: 1", "no annotations of a known format: a text that starts 'b: 1'", "with kpt_shape"),
        ("a.csv", "", "no annotations of a known format: no text", "rows start scorer"),
    ],
)
def test_files_of_other_programs_are_known_and_no_hint_leads_back(tmp_path, name, text, says, advice):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as error:
        read_all(annotation_files(tmp_path), "auto")
    assert says in error.value.summary
    assert advice in error.value.hint
    assert "--format" not in error.value.hint
