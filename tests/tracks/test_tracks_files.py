"""Files of tracks: what is written is read back, and what is damaged is named."""

import json

import numpy as np
import pandas
import pytest
from moving import HORSE, same

from equistera.errors import UserError
from equistera.skeleton import SkeletonError
from equistera.tracks import deeplabcut, files, tidy


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_round_trip_is_exact(two_horses, tmp_path, kind):
    path = files.files_of(tmp_path, "ride", kind)[0]
    files.write(two_horses, path, kind)
    assert same(files.read(path), two_horses)
    assert same(files.read(path, "horse26"), two_horses)


@pytest.mark.parametrize("kind", files.FORMATS)
def test_same_tracks_give_same_bytes_in_the_files_that_are_named(two_horses, tmp_path, kind):
    for folder in (tmp_path / "a", tmp_path / "b"):
        files.write(two_horses, files.files_of(folder, "ride", kind)[0], kind)
        assert sorted(folder.iterdir()) == sorted(files.files_of(folder, "ride", kind))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_csv_is_a_plain_tidy_table(two_horses, tmp_path):
    path = tmp_path / "ride.csv"
    files.write(two_horses, path, "csv")
    table = pandas.read_csv(path)
    assert table.columns.to_list() == [
        "frame", "time", "individual", "keypoint", "x", "y", "confidence", "x_raw", "y_raw", "changed", "spread",
    ]  # fmt: skip
    row = table[(table.frame == 7) & (table.individual == "Bella") & (table.keypoint == "lf_hoof")].iloc[0]
    k = HORSE.index["lf_hoof"]
    assert [row.x, row.y] == pytest.approx(two_horses.points[7, 0, k].tolist())
    assert row.time == two_horses.times[7]
    side = json.loads((tmp_path / "ride.csv.json").read_text())
    assert (side["size"], side["source"]) == ([1280, 480], "moving.mp4")


def test_rows_in_another_order_and_without_the_side_file(two_horses, tmp_path):
    path = tmp_path / "ride.csv"
    files.write(two_horses, path, "csv")
    pandas.read_csv(path).sample(frac=1, random_state=0).to_csv(path, index=False)
    (tmp_path / "ride.csv.json").unlink()
    tracks = files.read(path, "horse26")
    assert tracks.size is None
    assert sorted(tracks.individuals) == sorted(two_horses.individuals)
    first = tracks.individuals.index("Bella")
    assert np.array_equal(tracks.points[:, first], two_horses.points[:, 0], equal_nan=True)


def test_a_table_of_others_needs_six_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("frame,time,individual,keypoint,x,y\n0,0,a,nose,1,2\n0,0,a,tail,3,4\n1,0.1,a,nose,5,6\n")
    tracks = files.read(path)
    assert tracks.points[:, 0, 0].tolist() == [[1, 2], [5, 6]]
    assert np.isnan(tracks.points[1, 0, 1]).all()
    assert np.array_equal(tracks.raw, tracks.points, equal_nan=True)
    assert np.isnan(tracks.confidence).all()


HEAD = "frame,time,individual,keypoint,x,y,confidence\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "no columns frame, time"),
        ("frame;time;individual;keypoint;x;y\n0;0;a;nose;1;2\n", "no columns"),
        (HEAD + "0,0,a,nose,1,2,0.5\n0,0,a,nose,1,2,0.5\n", "stands in 2 rows"),
        (HEAD + "0,0,a,nose,1,2,0.5\n0,1,a,tail,1,2,0.5\n", "times 0 and 1"),
        (HEAD + "0,1,a,nose,1,2,0.5\n1,0.5,a,nose,1,2,0.5\n", "time does not rise"),
        (HEAD + "0,0,a,nose,1,,0.5\n", "one is empty"),
        (HEAD + "0,0,a,nose,1,inf,0.5\n", "finite"),
        (HEAD + "0,0,a,nose,1,2,1.5\n", "from 0 to 1, found 1.5"),
        (HEAD + "0,0,a,nose,left,2,0.5\n", "x: expected numbers"),
        (HEAD + "0,,a,nose,1,2,0.5\n", "time: empty in row 2"),
        (HEAD + "0,0,,nose,1,2,0.5\n", "individual: empty"),
        ("frame,time,individual,keypoint,x,y,changed\n0,0,a,nose,1,2,9\n", "whole number to 7"),
        ("", "cannot be read"),
        (HEAD + "0,0,a\n", "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        files.read(path)


def test_files_that_hold_no_tracks(tmp_path, two_horses):
    (tmp_path / "x.parquet").write_bytes(b"nothing")
    (tmp_path / "x.txt").write_text("nothing")
    files.write(two_horses, tmp_path / "x.csv", "csv")
    (tmp_path / "x.csv.json").write_text('{"size": [0, 5]}')
    for name, said in (("x.parquet", "cannot be read"), ("x.txt", "no kind"), ("x.csv", "size"), ("y.csv", "no such")):
        with pytest.raises(UserError, match=said):
            files.read(tmp_path / name)
    with pytest.raises(UserError, match="did you mean 'parquet'"):
        files.write(two_horses, tmp_path / "x", "parket")


def test_other_keypoints_than_the_skeletons(tmp_path, two_horses):
    files.write(two_horses, tmp_path / "x.csv", "csv")
    with pytest.raises(SkeletonError, match="only in the file: l_ear, r_ear"):
        files.read(tmp_path / "x.csv", "ap10k")


def test_deeplabcut_table_cell_by_cell(two_horses, tmp_path):
    path = tmp_path / "ride.h5"
    files.write(two_horses, path, "dlc-h5")
    with pandas.HDFStore(path, "r") as store:
        assert store.keys() == ["/df_with_missing"]
        assert store.get_storer("df_with_missing").is_table
        # else pandas 2 cannot read it
        assert store.get_node("df_with_missing")._v_attrs.pandas_version == "0.15.2"
    table = pandas.read_hdf(path)
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert table.index.to_list() == list(range(40))
    for a, individual in enumerate(two_horses.individuals):
        for k, name in enumerate(HORSE.names):
            cells = table[deeplabcut.SCORER][individual][name]
            assert cells.columns.to_list() == ["x", "y", "likelihood"]
            expected = np.column_stack([two_horses.points[:, a, k], two_horses.confidence[:, a, k]])
            assert np.array_equal(cells.to_numpy(), expected, equal_nan=True)
    files.write(two_horses, path.with_suffix(".csv"), "dlc-csv")
    lines = path.with_suffix(".csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[:5]] == ["scorer", "individuals", "bodyparts", "coords", "0"]
    read = pandas.read_csv(path.with_suffix(".csv"), header=[0, 1, 2, 3], index_col=0)
    assert np.array_equal(read.to_numpy(), table.to_numpy(), equal_nan=True)
    assert read.columns.to_list() == table.columns.to_list()


def test_a_single_animal_has_no_row_of_individuals(two_horses, tmp_path):
    one = two_horses.with_(
        individuals=("animal1",),
        **{name: getattr(two_horses, name)[:, :1] for name in ("points", "confidence", "raw", "changed", "spread")},
    )
    files.write(one, tmp_path / "one.csv", "dlc-csv")
    lines = (tmp_path / "one.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[:4]] == ["scorer", "bodyparts", "coords", "0"]
    assert lines[1].split(",")[1:4] == ["nose"] * 3
    files.write(one, tmp_path / "one.h5", "dlc-h5")
    assert pandas.read_hdf(tmp_path / "one.h5").columns.names == ["scorer", "bodyparts", "coords"]


def test_more_names_than_hdf5_takes_in_one_attribute(tmp_path, two_horses):
    times = 40
    many = two_horses.with_(
        individuals=tuple(f"horse number {n}" for n in range(times)),
        **{
            name: np.repeat(getattr(two_horses, name)[:, :1], times, axis=1)
            for name in ("points", "confidence", "raw", "changed", "spread")
        },
    )
    files.write(many, tmp_path / "many.h5", "dlc-h5")
    table = pandas.read_hdf(tmp_path / "many.h5")
    assert np.array_equal(table.to_numpy(), deeplabcut.data_frame(many).to_numpy(), equal_nan=True)


def test_coco_results_are_those_that_tests_score(two_horses, tmp_path):
    from equistera.evaluation.ground_truth import check_results

    files.write(two_horses, tmp_path / "ride.coco.json", "coco")
    results = json.loads((tmp_path / "ride.coco.json").read_text())
    assert len(results) == 80
    truth = {"images": [{"id": n} for n in range(40)], "categories": [{"id": 1}], "annotations": []}
    check_results(results, truth, HORSE)
    assert {(result["track_id"], result["individual"]) for result in results} == {(1, "Bella"), (2, "Zoé, the grey")}
    eye = np.array(results[2 * 4]["keypoints"]).reshape(-1, 3)[2]
    assert eye.tolist() == [0, 0, 0]


@pytest.mark.parametrize("kind", ["dlc-csv", "dlc-h5"])
@pytest.mark.parametrize("count", [1, 2])
def test_tracks_of_deeplabcut_are_read(two_horses, tmp_path, kind, count):
    some = two_horses.with_(
        individuals=two_horses.individuals[:count],
        **{name: getattr(two_horses, name)[:, :count] for name in ("points", "confidence", "raw", "changed", "spread")},
    )
    path = files.files_of(tmp_path, "ride", kind)[0]
    files.write(some, path, kind)
    read = files.read(path, "horse26", fps=50)
    assert np.array_equal(read.raw, some.points, equal_nan=True)
    assert np.array_equal(read.confidence, some.confidence, equal_nan=True)
    assert read.times.tolist() == [frame / 50 for frame in range(40)]
    assert read.individuals == (some.individuals if count > 1 else ("animal1",))
    assert read.source == "rideDLC_equistera"
    with pytest.raises(UserError, match="how many frames a second"):
        files.read(path)


def test_times_in_a_table_are_not_overruled(two_horses, tmp_path):
    files.write(two_horses, tmp_path / "x.csv", "csv")
    with pytest.raises(UserError, match="50 frames a second are not asked for"):
        files.read(tmp_path / "x.csv", fps=50)


DLC = "scorer,s,s,s\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DLC + "labeled-data/v/img1.png,1,2,0.5\n", "holds labels of pictures"),
        (DLC + "0,1,2,0.5\n0,1,2,0.5\n", "frame 0 stands in two rows"),
        (DLC + "0,1,2\n", "2 cells, expected 3"),
        (DLC + "0,1,two,0.5\n", "expected a number, found 'two'"),
        (DLC + "0,1,inf,0.5\n", "expected a finite number"),
        (DLC + "0,1,,0.5\n", "only one of x and y"),
        (DLC + "0,1,2,7\n", "likelihoods should be from 0 to 1, found 7"),
        (DLC.replace("x,y", "x,z") + "0,1,2,0.5\n", "expected x, y and likelihood"),
        (DLC.replace("x,y", "x,x") + "0,1,2,0.5\n", "expected x, y and likelihood"),
    ],
)
def test_what_is_wrong_in_tracks_of_deeplabcut(tmp_path, text, said):
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        files.read(tmp_path / "v.csv", fps=30)


def test_frames_that_deeplabcut_left_out_keep_their_times(tmp_path):
    (tmp_path / "v.csv").write_text(DLC + "7,1,2,0.5\n3,3,4,\n")
    tracks = files.read(tmp_path / "v.csv", fps=10)
    assert tracks.times.tolist() == [0.3, 0.7]
    assert tracks.points[:, 0, 0].tolist() == [[3, 4], [1, 2]]
    assert np.isnan(tracks.confidence[0, 0, 0])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_video_without_an_animal_has_no_rows_and_its_frames(nobody, tmp_path, kind):
    path = files.files_of(tmp_path, "ride", kind)[0]
    files.write(nobody, path, kind)
    assert same(files.read(path), nobody)
    if kind == "csv":
        assert len(path.read_text().splitlines()) == 1


@pytest.mark.parametrize("times", ["[0, 0]", "[true]", "3", "[[1]]", '["a"]'])
def test_times_that_are_none_are_refused(nobody, tmp_path, times):
    path = tmp_path / "ride.csv"
    files.write(nobody, path, "csv")
    tidy.side_file(path).write_text(f'{{"times": {times}}}')
    with pytest.raises(UserError, match="times should be numbers that rise"):
        files.read(path)


@pytest.mark.parametrize("kind", ["dlc-csv", "dlc-h5"])
def test_deeplabcuts_files_of_a_video_without_an_animal_have_its_frames(nobody, tmp_path, kind):
    path = files.files_of(tmp_path, "ride", kind)[0]
    files.write(nobody, path, kind)
    tracks = files.read(path, fps=25)
    assert (len(tracks), tracks.keypoints) == (len(nobody), HORSE.names)
    assert not tracks.seen.any()


@pytest.mark.slow
def test_movement_reads_the_same_coordinates(two_horses, nobody, tmp_path):
    """neuroinformatics-unit/movement, installed by ``pip install -e .[interop]``."""
    load_poses = pytest.importorskip("movement.io.load_poses", reason="movement is not installed")
    for kind in ("dlc-h5", "dlc-csv"):
        path = files.files_of(tmp_path, "ride", kind)[0]
        files.write(two_horses, path, kind)
        data = load_poses.from_dlc_file(path, fps=25)
        position = data.position.transpose("time", "individuals", "keypoints", "space")
        assert tuple(data.individuals.values) == two_horses.individuals
        assert tuple(data.keypoints.values) == HORSE.names
        assert np.array_equal(position.values, two_horses.points, equal_nan=True)
        confidence = data.confidence.transpose("time", "individuals", "keypoints").values
        assert np.array_equal(confidence, two_horses.confidence, equal_nan=True)
        files.write(nobody, path, kind)
        data = load_poses.from_dlc_file(path, fps=25)
        assert (data.sizes["time"], data.sizes["keypoints"]) == (len(nobody), len(HORSE))
        assert np.isnan(data.position.values).all()


@pytest.mark.slow
def test_keypoint_moseq_reads_the_same_coordinates(two_horses, tmp_path):
    """dattalab/keypoint-moseq 0.8; it asks for jax, and is not in the extra ``interop``."""
    io = pytest.importorskip("keypoint_moseq.io", reason="keypoint-moseq is not installed")
    for kind in ("dlc-h5", "dlc-csv"):
        path = files.files_of(tmp_path, "ride", kind)[0]
        files.write(two_horses, path, kind)
        coordinates, confidences, _ = io.load_keypoints(str(path), "deeplabcut")
        for a, individual in enumerate(two_horses.individuals):
            name = f"{path.stem}_{individual}"
            # pandas 2 reads decimals to the last bit but one
            assert np.allclose(coordinates[name], two_horses.points[:, a], rtol=1e-12, atol=0, equal_nan=True)
            assert np.allclose(confidences[name], two_horses.confidence[:, a], rtol=1e-12, atol=0, equal_nan=True)
