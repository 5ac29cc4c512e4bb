import shutil
import sys
from pathlib import Path

import pytest

from equistera.dataset import formats
from equistera.dataset.formats.records import Animal
from equistera.errors import UserError

DATA = Path(__file__).parent / "data"

SINGLE = """scorer,Anna,Anna,Anna,Anna
bodyparts,nose,nose,withers,withers
coords,x,y,x,y
labeled-data/v1/img1.png,0.25,1.25,2.25,3.25
labeled-data/v1/img2.png,4.25,5.25,,
"""

MULTI = """scorer,,,Anna,Anna,Anna,Anna,Anna,Anna,Anna,Anna
individuals,,,horse1,horse1,horse1,horse1,horse2,horse2,single,single
bodyparts,,,nose,nose,withers,withers,nose,nose,gate,gate
coords,,,x,y,x,y,x,y,x,y
labeled-data,v1,img1.png,1,2,3,4,5,6,7,8
labeled-data,v1,img2.png,,,,,9,10,,
"""


def read(tmp_path, text, name="CollectedData_Anna.csv"):
    path = tmp_path / name
    path.write_text(text)
    return formats.read(path)


def test_one_animal_with_the_picture_in_one_column(tmp_path):
    export = read(tmp_path, SINGLE)
    assert export.title == "DeepLabCut"
    assert export.keypoints == {"": ["nose", "withers"]}
    first, second = export.pictures
    assert first.names == ("labeled-data/v1/img1.png",)
    assert first.animals == (Animal({"nose": (0.25, 1.25, 2), "withers": (2.25, 3.25, 2)}),)
    assert second.animals == (Animal({"nose": (4.25, 5.25, 2), "withers": (0, 0, 0)}),)


def test_several_animals_with_the_picture_in_three_columns(tmp_path):
    export = read(tmp_path, MULTI)
    first, second = export.pictures
    assert first.names == ("labeled-data/v1/img1.png",)
    assert first.animals == (Animal({"nose": (1, 2, 2), "withers": (3, 4, 2)}), Animal({"nose": (5, 6, 2)}))
    assert second.animals == (Animal({"nose": (9, 10, 2)}),)
    assert "gate" in export.notes[0]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("img.png,,,,", "no point is labelled"),
        ("img.png,NaN,nan,,", "no point is labelled"),
        ("img.png,1,2,3", "a row has the wrong number of cells"),
        ("img.png,1,,3,4", "a coordinate is not a number"),
        ("img.png,1,left,3,4", "a coordinate is not a number"),
        ("img.png,1,inf,3,4", "a coordinate is not a number"),
    ],
)
def test_rows_that_are_skipped_and_why(tmp_path, row, reason):
    export = read(tmp_path, SINGLE + row + "\n\n")
    assert len(export.pictures) == 2
    assert [(s.what, s.reason) for s in export.skips] == [("picture", reason)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SINGLE.replace("coords,x,y,x,y\n", ""), "expected the rows scorer, individuals, bodyparts, coords"),
        (SINGLE.replace("bodyparts", "limbs"), "expected the rows scorer, individuals, bodyparts, coords"),
        (SINGLE.replace("scorer,Anna", "scorer"), "header rows have different lengths"),
        (SINGLE.replace("coords,x,y,x,y", "coords,x,y,x,x"), "column 4 of the points is 'withers' 'x'"),
        (SINGLE.replace("coords,x,y,x,y", "coords,x,y,x,likelihood"), "predictions"),
        (SINGLE.replace("withers,withers", "withers,back"), "columns x or y are missing"),
        ("scorer\nbodyparts\ncoords\n", "columns x or y are missing"),
    ],
)
def test_headers_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


def test_other_csv_files_are_not_deeplabcut(tmp_path):
    assert read(tmp_path, "a,b\n1,2\n") is None
    assert read(tmp_path, "") is None
    (tmp_path / "b.csv").write_bytes(b"scorer,\xff\xfe\n")
    assert formats.read(tmp_path / "b.csv") is None


@pytest.mark.parametrize(("name", "text"), [("single_path", SINGLE), ("multi_tuple", None)])
def test_hdf5_that_pandas_wrote(tmp_path, name, text):
    """The files were written by pandas 3.1.1 and tables 3.11.1, ``to_hdf(key="df_with_missing", mode="w")``."""
    pytest.importorskip("h5py")
    export = formats.read(DATA / f"CollectedData_{name}.h5")
    assert [p.names[0] for p in export.pictures] == ["labeled-data/v1/img1.png", "labeled-data/v1/img2.png"]
    if text is not None:
        assert [p.animals for p in export.pictures] == [p.animals for p in read(tmp_path, text).pictures]
    else:
        assert export.pictures[0].animals == (
            Animal({"nose": (0.25, 1.25, 2), "withers": (2.25, 3.25, 2)}),
            Animal({"nose": (4.25, 5.25, 2), "withers": (6.25, 7.25, 2)}),
        )


def test_hdf5_without_h5py_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match="pip install h5py"):
        formats.read(DATA / "CollectedData_single_path.h5")


def test_hdf5_cut_short(tmp_path):
    pytest.importorskip("h5py")
    data = (DATA / "CollectedData_single_path.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="cannot be read as DeepLabCut's HDF5"):
        formats.read(tmp_path / "a.h5")


def test_file_that_only_ends_in_h5(tmp_path):
    (tmp_path / "a.h5").write_text("x")
    assert formats.read(tmp_path / "a.h5") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.__delitem__("block0_values"), "needs pickles or holds no numbers"),
        (lambda table: table.__delitem__("axis1"), "axis1 is missing"),
        (lambda table: table.__delitem__("block0_items_level2"), "found 2 levels"),
        (lambda table: table.attrs.__delitem__("pandas_type"), "holds 0 tables"),
        (lambda table: table["block0_items_label1"].__setitem__(0, 99), "cannot be read"),
    ],
)
def test_hdf5_of_another_layout(tmp_path, change, message):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    shutil.copy(DATA / "CollectedData_single_path.h5", path)
    with h5py.File(path, "r+") as file:
        change(file["df_with_missing"])
    with pytest.raises(UserError, match=message):
        formats.read(path)


def test_hdf5_table_that_claims_to_be_huge(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    shutil.copy(DATA / "CollectedData_single_path.h5", path)
    with h5py.File(path, "r+") as file:
        del file["df_with_missing/block0_values"]
        file.create_dataset("df_with_missing/block0_values", (10**9, 10**3), "f8", chunks=(1000, 1000))
    with pytest.raises(UserError, match="expected a table of numbers"):
        formats.read(path)
