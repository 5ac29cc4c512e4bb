"""tools/pick_frames.py on real videos and pictures, without a model."""

import csv
import itertools
import json
import re
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from equistera.errors import UserError
from equistera.labelling.pick import IncompleteError, pick
from equistera.labelling.picking import PickOptions, settled
from equistera.video_writer import VideoWriter

SIZE = (160, 120)


def scene(seed):
    """A picture with something on it: rectangles of all colours."""
    rng = np.random.default_rng(seed)
    image = np.full((SIZE[1], SIZE[0], 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(25):
        x, y = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1])
        cv2.rectangle(image, (int(x), int(y)), (int(x) + 30, int(y) + 20), rng.integers(0, 255, 3).tolist(), -1)
    return image


def write_video(path, seconds=4, rate=10, blurred=(), seed=0):
    """A new scene every half second; some frames blurred."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = VideoWriter(path, Fraction(rate), SIZE)
    for t in range(seconds * rate):
        image = scene(1000 * seed + t // (rate // 2))
        writer.write(cv2.blur(image, (13, 1)) if t in blurred else image, Fraction(t, rate))
    writer.close()
    return path


@pytest.fixture
def media(tmp_path):
    """A folder with two videos and a folder of five pictures."""
    folder = tmp_path / "media"
    for number in (1, 2):
        write_video(folder / f"v{number}.mp4", seed=number)
    (folder / "photos").mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / "photos" / f"p{number}.png"), scene(90 + number))
    return folder


@pytest.fixture
def run(tmp_path):
    def call(*words, **options):
        out = tmp_path / options.pop("out", "out")
        assert pick(settled(PickOptions(words=[str(word) for word in words], out=str(out), **options))) == 0
        return rows_of(out)

    return call


def rows_of(out):
    with (out / "chosen.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert (out / row["file"]).is_file()
        assert row["reasons"]
    assert {row["file"] for row in rows} == {f"images/{p.name}" for p in (out / "images").glob("[!.]*")}
    return rows


def test_every_video_and_folder_has_its_share_and_no_stride_gives_two(run, media, tmp_path, capsys):
    rows = run(media, n=9)
    by_group = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    assert sorted(map(len, by_group.values())) == [3, 3, 3]
    for own in by_group.values():
        times = sorted(float(row["time"]) for row in own if row["time"])
        assert all(b - a >= 0.7 for a, b in itertools.pairwise(times))
    page = (tmp_path / "out" / "chosen.html").read_text()
    assert page.count("<img") == 9
    assert "v1.mp4" in page
    assert "chosen: 9 pictures of 3 of 3 groups, 3 to 3 of each" in capsys.readouterr().out
    for row in rows:
        if row["source"].endswith(".mp4"):
            assert row["file"] == f"images/{Path(row['source']).stem}_{int(row['frame']):06d}.jpg"
            assert float(row["time"]) == pytest.approx(int(row["frame"]) / 10)
            written = cv2.imread(str(tmp_path / "out" / row["file"]))[..., ::-1].astype(int)
            true = scene(1000 * int(Path(row["source"]).stem[1:]) + int(row["frame"]) // 5)
            assert np.abs(written - true).mean() < 12
        else:
            assert (tmp_path / "out" / row["file"]).read_bytes() == Path(row["source"]).read_bytes()


def test_the_same_call_chooses_the_same(run, media):
    assert [r["reasons"] for r in run(media, n=6)] == [r["reasons"] for r in run(media, n=6, out="again")]


def test_blurred_frames_are_left_out_and_counted(run, tmp_path, capsys):
    video = write_video(tmp_path / "v.mp4", seconds=3, blurred=range(0, 30, 3))
    rows = run(video, n=30, every=0, gap=0)
    assert not [row for row in rows if int(row["frame"]) % 3 == 0]
    assert "left out: 10 blurred" in capsys.readouterr().out
    assert len(run(video, n=30, every=0, gap=0, blurred=0.0, out="all")) == 30


def test_what_is_labelled_is_neither_chosen_nor_near_to_it(run, media, tmp_path, capsys):
    first = run(media, n=6)
    names = [Path(row["file"]).name for row in first]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": [{"id": n, "file_name": name} for n, name in enumerate(names)]}))
    second = run(media, n=9, out="second", ann_file=[str(labels)], img_dir=str(tmp_path / "out" / "images"))
    assert "6 pictures are labelled already" in capsys.readouterr().out
    assert second
    assert not {row["source"] for row in second if row["source"].endswith(".png")} & {row["source"] for row in first}
    for row in second:
        for old in first:
            if row["time"] and row["source"] == old["source"]:
                assert abs(float(row["time"]) - float(old["time"])) >= 0.7
    labels.write_text(json.dumps({"images": [{"id": n, "file_name": f"p{n}.png"} for n in range(5)]}))
    photos = media / "photos"
    with pytest.raises(IncompleteError, match="nothing left to choose"):
        run(photos, out="none", ann_file=[str(labels)], img_dir=str(photos))
    assert not (tmp_path / "none").exists()
    labels.write_text(json.dumps({"images": [{"id": 1, "file_name": "gone.png"}]}))
    with pytest.raises(UserError, match="cannot be compared"):
        run(media, n=3, out="third", ann_file=[str(labels)], img_dir=str(media))


def test_the_same_picture_twice_is_chosen_once(run, media, capsys):
    shutil.copy(media / "photos" / "p1.png", media / "photos" / "copy.png")
    mirrored = np.ascontiguousarray(cv2.imread(str(media / "photos" / "p2.png"))[:, ::-1])
    cv2.imwrite(str(media / "photos" / "mirrored.png"), mirrored)
    assert len(run(media / "photos", n=9)) == 5
    said = capsys.readouterr().out
    assert "left out: 2 of a stride that has one, or nearly the same" in said
    assert "9 were wanted: no more are left" in said


def test_a_limit_for_each_group_holds(run, media):
    rows = run(media, n=9, most_per_group=1)
    assert len(rows) == len({row["group"] for row in rows}) == 3
    rows = run(media, n=4, group_by=r"(v|photos)", out="two")
    assert sorted(row["group"] for row in rows) == ["photos", "photos", "v", "v"]


def test_what_is_broken_is_named_and_the_rest_done(media, tmp_path, run, capsys):
    whole = write_video(tmp_path / "whole.mp4", seconds=20).read_bytes()
    (media / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (media / "text.mp4").write_text("no video")
    (media / "photos" / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(IncompleteError) as caught:
        run(media, n=6)
    for name in ("cut.mp4", "text.mp4", "bad.jpg"):
        assert str(caught.value).count(name) == 1
    assert len(rows_of(tmp_path / "out")) == 6
    capsys.readouterr()
    with pytest.raises(IncompleteError, match="nothing to choose from"):
        run(media / "text.mp4", n=6, out="none")
    # nothing was read of it, so no line of progress says that it was
    assert "text.mp4" not in capsys.readouterr().err


def test_names_that_other_systems_do_not_take(media, tmp_path, run, capsys):
    """A stick for the clinic's Windows; what is labelled of such a video is known by the new name."""
    video = (media / "v1.mp4").rename(media / "Stute 12:30.mp4")
    first = run(video, n=2)
    assert all(row["file"].startswith("images/Stute 12_30_0") and row["source"] == str(video) for row in first)
    assert "2 pictures have _ in their names for signs that Windows does not take" in capsys.readouterr().out
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"images": [{"file_name": Path(row["file"]).name} for row in first]}))
    for row in run(video, n=2, out="second", ann_file=[str(labels)], img_dir=str(tmp_path / "out/images")):
        assert min(abs(float(row["time"]) - float(one["time"])) for one in first) >= 0.7


def test_nothing_of_the_users_is_replaced(media, tmp_path, run):
    first = run(media, n=6)
    with pytest.raises(UserError, match="not overwritten"):
        run(media, n=3)
    second = run(media, n=3, overwrite=True)
    assert len(second) < len(first)
    assert (media / "photos" / "p0.png").is_file()
    own = tmp_path / "out" / "images" / Path(second[0]["file"]).name
    own.unlink()
    own.write_bytes(b"mine now")
    with pytest.raises(UserError, match="did not put there"):
        run(media, n=3, overwrite=True)
    assert own.read_bytes() == b"mine now"


def test_files_of_one_name_all_get_their_own(tmp_path, run):
    for number, place in enumerate(("a/x/p.png", "b/x/p.png", "b/x/P.PNG", "c/p.png")):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / place), scene(number))
    names = [row["file"].removeprefix("images/") for row in run(tmp_path / "in", n=9)]
    assert len({name.lower() for name in names}) == 4
    assert all(re.search(r"p(-\d+)?\.png$", name, re.I) for name in names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "--n must be"),
        ({"n": 3, "budget_hours": 2.0}, "--n and --budget-hours"),
        ({"minutes_per_picture": 2.0}, "without --budget-hours"),
        ({"budget_hours": 1.0, "minutes_per_picture": 2.0, "minutes_from": "x.json"}, "give one of them"),
        ({"budget_hours": -1.0}, "--budget-hours must be above 0"),
        ({"every": float("nan")}, "--every must be"),
        ({"gap": -1.0}, "--gap must be"),
        ({"blurred": 1.0}, "--blurred must be"),
        ({"most_per_group": 0}, "--most-per-group"),
        ({"det": "rtmdet"}, "--det without a model"),
        ({"device": "cpu", "skeleton": "ap10k"}, "--skeleton and --device without a model"),
        ({"img_dir": "images"}, "--img-dir names the pictures of --ann-file"),
        ({"ann_file": ["no.json"]}, "no such file: no.json"),
        ({"checkpoint": ["no_run"]}, "no such work dir or checkpoint"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(options, said, media, tmp_path):
    with pytest.raises(UserError, match=said):
        settled(PickOptions(words=[str(media)], out=str(tmp_path / "out"), **options))
    assert not (tmp_path / "out").exists()


def test_hours_say_how_many(media, tmp_path):
    def count(**options):
        job = settled(PickOptions(words=[str(media)], out=str(tmp_path / "out"), **options))
        return job.count, " ".join(job.notes)

    export = tmp_path / "export.json"
    export.write_text(json.dumps([{"annotations": [{"lead_time": 180}]}]))
    assert count()[0] == 200
    assert count(budget_hours=1.0) == (15, "1 h at 4 minutes a picture (a guess; --minutes-per-picture or "
                                           "--minutes-from says it better): 15 pictures")  # fmt: skip
    assert count(budget_hours=1.0, minutes_per_picture=2.0)[0] == 30
    assert count(budget_hours=1.0, minutes_from=str(export)) == (
        20, "1 h at 3 minutes a picture (measured: the median of 1 annotation): 20 pictures"
    )  # fmt: skip


def test_without_a_model_torch_is_not_imported(media, tmp_path, monkeypatch):
    import runpy

    for name in [name for name in sys.modules if name.startswith("equistera.mm")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "equistera.mm", None)
    main = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "pick_frames.py"))["main"]
    assert main([str(media), "--n", "3", "--out", str(tmp_path / "out")]) == 0
    assert len(rows_of(tmp_path / "out")) == 3
