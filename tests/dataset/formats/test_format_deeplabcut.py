import pickle
import shlex
import shutil
from pathlib import Path

import pytest

from equistera.dataset import formats
from equistera.dataset.formats.records import Animal, NotLabels
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
        ("img.png,1,,,", "a coordinate is not a number"),
        ("img.png,1,left,,", "a coordinate is not a number"),
        ("img.png,1,inf,,", "a coordinate is not a number"),
        ("img.png,NA,#N/A,none,null", "no point is labelled"),
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
        (SINGLE.replace("coords,x,y,x,y", "coords,x,y,x,likelihood"), "columns x or y are missing"),
        (SINGLE.replace("withers,withers", "withers,back"), "columns x or y are missing"),
        (SINGLE.replace("withers,withers", ",Unnamed: 3_level_1"), "without a name:\n  - ''\n  - 'Unnamed: 3_level_1'"),
        (SINGLE.replace("Anna,Anna\n", "Bert,Bert\n"), "the labels of 2 scorers: Anna, Bert"),
        ("scorer\nbodyparts\ncoords\n", "columns x or y are missing"),
    ],
)
def test_headers_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "\0\xff", "scorers,a\n"])
def test_other_csv_files_are_not_deeplabcut(tmp_path, text):
    with pytest.raises(NotLabels, match="no annotations of a known format"):
        read(tmp_path, text)


def test_an_encoding_that_is_not_known_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "CollectedData_A.csv").write_bytes(SINGLE.replace("v1", "Höfe").encode("cp1252"))
    with pytest.raises(UserError, match=r"not text in UTF-8(.|\n)*CSV UTF-8"):
        formats.read(tmp_path / "CollectedData_A.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_that_excel_wrote(tmp_path, separator, encoding):
    """Many countries separate cells by semicolons and decimals by commas; 'Unicode text' has tabs, in UTF-16."""
    path = tmp_path / "CollectedData_Anna.csv"
    path.write_bytes(SINGLE.replace(",", separator).replace(".25", ",25").encode(encoding))
    assert formats.read(path).pictures == read(tmp_path, SINGLE).pictures


def test_excels_line_that_names_the_separator(tmp_path):
    text = "sep=;\r\n" + SINGLE.replace(",", ";").replace("\n", "\r\n")
    assert read(tmp_path, text).pictures == read(tmp_path, SINGLE).pictures


LIKELIHOOD = """scorer,Anna,Anna,Anna
bodyparts,nose,nose,nose
coords,x,y,likelihood
img1.png,0.25,1.25,0.9
img2.png,4.25,5.25,
"""


def test_labels_that_kept_the_likelihood_of_predictions(tmp_path):
    """napari-deeplabcut leaves the column in what was put right by hand."""
    export = read(tmp_path, LIKELIHOOD)
    assert [dict(picture.animals[0].points) for picture in export.pictures] == [
        {"nose": (0.25, 1.25, 2)},
        {"nose": (4.25, 5.25, 2)},
    ]
    assert len(export.notes) == 1
    with pytest.raises(NotLabels, match="predictions"):
        read(tmp_path, LIKELIHOOD, "walkDLC_resnet50.csv")


def test_lightning_poses_visibility(tmp_path):
    """COCO's flags in a column of their own."""
    rows = "a.png,1,2,1.0\nb.png,1,2,2\nc.png,,,0\nd.png,5,6,0\ne.png,1,2,7\nf.png,1,2,\ng.png,,,1\n"
    export = read(tmp_path, LIKELIHOOD[: LIKELIHOOD.index("img1")].replace("likelihood", "visible") + rows)
    assert [(p.names[0], p.animals[0].points["nose"]) for p in export.pictures] == [
        ("a.png", (1, 2, 1)),
        ("b.png", (1, 2, 2)),
    ]
    assert [(skip.where[-5:], skip.reason) for skip in export.skips] == [
        ("c.png", "no point is labelled"),
        ("d.png", "no point is labelled"),
        ("e.png", "a visibility flag is not 0, 1 or 2"),
        ("f.png", "a coordinate is not a number"),
        ("g.png", "a coordinate is not a number"),
    ]


def test_one_point_that_is_wrong_leaves_the_others(tmp_path):
    export = read(tmp_path, SINGLE + "labeled-data/v1/img3.png,1,2,x,3\n")
    assert export.pictures[2].animals[0].points == {"nose": (1, 2, 2), "withers": (0, 0, 0)}
    assert [(skip.what, skip.reason) for skip in export.skips] == [("point", "a coordinate is not a number")]


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


def test_hdf5_cut_short(tmp_path):
    pytest.importorskip("h5py")
    data = (DATA / "CollectedData_single_path.h5").read_bytes()
    for name, message in (
        ("CollectedData_A", "cannot be read as DeepLabCut's HDF5"),
        ("a", "not called CollectedData"),
    ):
        (tmp_path / f"{name}.h5").write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=message):
            formats.read(tmp_path / f"{name}.h5")


def test_file_that_only_ends_in_h5(tmp_path):
    (tmp_path / "a.h5").write_text("x")
    with pytest.raises(NotLabels, match="no annotations of a known format"):
        formats.read(tmp_path / "a.h5")


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
    path = tmp_path / "CollectedData_A.h5"
    shutil.copy(DATA / "CollectedData_single_path.h5", path)
    with h5py.File(path, "r+") as file:
        change(file["df_with_missing"])
    with pytest.raises(UserError, match=message):
        formats.read(path)


def test_the_way_out_of_hdf5_that_cannot_be_read(tmp_path):
    """Beside the same labels as CSV it is that; else what writes it, where pandas is."""
    pytest.importorskip("h5py")
    path = tmp_path / "CollectedData_A.h5"
    path.write_bytes((DATA / "CollectedData_single_path.h5").read_bytes()[:1000])
    with pytest.raises(UserError, match="read_hdf") as error:
        formats.read(path)
    command = shlex.split(error.value.hint.split(": ", 1)[1])
    compile(command[-1], "hint", "exec")
    assert command[:2] == ["python", "-c"]
    (tmp_path / "CollectedData_A.csv").write_text(SINGLE)
    with pytest.raises(UserError, match=r"Convert the same labels in .*CollectedData_A\.csv"):
        formats.read(path)


def test_hdf5_table_that_claims_to_be_huge(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "CollectedData_A.h5"
    shutil.copy(DATA / "CollectedData_single_path.h5", path)
    with h5py.File(path, "r+") as file:
        del file["df_with_missing/block0_values"]
        file.create_dataset("df_with_missing/block0_values", (10**9, 10**3), "f8", chunks=(1000, 1000))
    with pytest.raises(UserError, match="expected a table of numbers"):
        formats.read(path)


def with_table_layout(path, index, columns, key="df_with_missing"):
    """As DeepLabCut's first versions and its video analysis write; ``columns``: the pickled names."""
    h5py = pytest.importorskip("h5py")
    import numpy as np

    rows = np.zeros(len(index), dtype=[("index", np.asarray(index).dtype), ("values_block_0", "f8", (4,))])
    rows["index"] = index
    rows["values_block_0"] = [[0.25, 1.25, 2.25, 3.25], [4.25, 5.25, np.nan, np.nan]]
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        table = group.create_dataset("table", data=rows)
        table.attrs["values_block_0_kind"] = np.bytes_(columns)


def test_hdf5_of_the_first_versions(tmp_path):
    names = [("Anna", "nose", "x"), ("Anna", "nose", "y"), ("Anna", "withers", "x"), ("Anna", "withers", "y")]
    path = tmp_path / "CollectedData_Anna.h5"
    with_table_layout(path, [b"labeled-data/v1/img1.png", b"labeled-data/v1/img2.png"], pickle.dumps(names, 0))
    expected = read(tmp_path, SINGLE).pictures
    assert [(p.names, p.animals) for p in formats.read(path).pictures] == [(p.names, p.animals) for p in expected]


class Evil:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (pickle.dumps([Evil()], 0), "asks for .*print, which is not run here"),
        (pickle.dumps([("a", "nose", "x"), ("a", "nose")], 0), "columns with several names"),
        (pickle.dumps([("a", "nose", 1)] * 4, 0), "texts as names"),
        (pickle.dumps("abc", 0), "columns with several names"),
        (pickle.dumps([("a", "nose", "x")] * 3, 0), "4\\) numbers for 2 rows and 3 columns"),
        (b"(lp0", "cannot be read"),
    ],
)
def test_pickles_in_hdf5_are_not_run(tmp_path, columns, message, capsys):
    path = tmp_path / "CollectedData_Anna.h5"
    with_table_layout(path, [b"a", b"b"], columns)
    with pytest.raises(UserError, match=message):
        formats.read(path)
    assert not capsys.readouterr().out
