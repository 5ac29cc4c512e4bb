"""tools/analyze.py's work on real videos with a tiny model."""

import json
from fractions import Fraction

import numpy as np
import pytest

from equistera.analyzing import AnalyzeOptions, settled
from equistera.errors import UserError
from equistera.mm.prediction.analyze import UnfinishedError, analyze
from equistera.tracks import files
from equistera.video_writer import VideoWriter

DEMO = "configs/demo_rtmpose_t.py"


def write_video(path, frames=6, size=(160, 120), rate=Fraction(10)):
    writer = VideoWriter(path, rate, size)
    rng = np.random.default_rng(0)
    for t in range(frames):
        image = rng.integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
        writer.write(image, t / rate)
    writer.close()
    return path


@pytest.fixture
def given(trained, tiny, tmp_path):
    def options(*videos, **changes):
        words = [DEMO, str(trained / "best.pth"), *map(str, videos)]
        # the tiny model is sure of nothing: points of any confidence count
        out = str(tmp_path / "out")
        return AnalyzeOptions(**{"words": words, "out": out, "cfg_options": tiny(), "batch_size": 4, **changes})

    return options


def test_a_video_becomes_all_kinds_of_tables_a_page_and_a_drawing(given, tmp_path, capsys):
    video = write_video(tmp_path / "trot:1.mp4")
    formats = ["csv", "parquet", "dlc-csv", "dlc-h5", "coco"]
    assert analyze(settled(given(video, format=formats, draw=True))) == 0
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert {"trot:1.csv", "trot:1.parquet", "trot:1.quality.html", "trot:1.drawn.mp4", "trot:1.analysis.json"} <= names
    assert len(names) >= 8
    tracks = files.read(out / "trot:1.csv", "horse26")
    assert len(tracks) == 6
    assert tracks.times.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert tracks.size == (160, 120)
    assert "6 frames" in capsys.readouterr().out


def test_what_is_finished_is_not_done_again_and_an_unfinished_video_is_the_same(given, tmp_path, capsys):
    videos = [write_video(tmp_path / "in" / name) if (tmp_path / "in").mkdir(exist_ok=True) is None else None
              for name in ("a.mp4", "b.mp4")]  # fmt: skip
    assert analyze(settled(given(*videos))) == 0
    out = tmp_path / "out"
    before = {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")}
    # as a kill before the last step of the second video leaves it
    (out / "b.analysis.json").unlink()
    changed = (out / "a.csv").stat().st_mtime_ns
    job = settled(given(*videos))
    assert [task.name for task in job.tasks] == ["b"]
    assert analyze(job) == 0
    assert (out / "a.csv").stat().st_mtime_ns == changed
    assert {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")} == before
    assert "1 video analysed before" in capsys.readouterr().out


def test_other_settings_or_another_video_are_not_taken_for_finished(given, tmp_path):
    video = write_video(tmp_path / "a.mp4")
    analyze(settled(given(video)))
    with pytest.raises(UserError, match="other settings: smooth"):
        settled(given(video, smooth="none"))
    assert len(settled(given(video, smooth="none", overwrite=True)).tasks) == 1
    write_video(video, frames=7)
    with pytest.raises(UserError, match="another video"):
        settled(given(video))


def test_every_bad_video_is_named_and_the_good_one_done(given, tmp_path):
    good = write_video(tmp_path / "good.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    cut = tmp_path / "cut.mp4"
    whole = write_video(tmp_path / "whole.mp4", frames=60).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnfinishedError) as caught:
        analyze(settled(given(good, text, cut)))
    said = str(caught.value)
    assert "text.mp4" in said
    assert "cut.mp4" in said
    assert "good.mp4" not in said
    assert (tmp_path / "out" / "good.analysis.json").exists()
    assert not (tmp_path / "out" / "text.analysis.json").exists()


def test_odd_rates_are_kept(given, tmp_path):
    video = write_video(tmp_path / "fast.mp4", rate=Fraction(196263, 1000))
    assert analyze(settled(given(video, draw=True))) == 0
    tracks = files.read(tmp_path / "out" / "fast.csv", "horse26")
    assert tracks.fps == pytest.approx(196.263, rel=0.01)


def test_a_folder_is_mirrored_and_what_is_no_video_is_counted(given, tmp_path):
    for name in ("x.mp4", "cam1/x.mp4", "cam2/x.mp4", "out/old.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name)
    (tmp_path / "cam2" / "x.mp4").rename(tmp_path / "cam2" / "x.ts")
    (tmp_path / "notes.txt").write_text("none")
    job = settled(given(tmp_path))
    out = tmp_path / "out"
    markers = {out / "x.analysis.json", out / "cam1" / "x.analysis.json", out / "cam2" / "x.analysis.json"}
    assert {task.marker for task in job.tasks} == markers
    assert job.notes == ["1 file of other kinds left out: .txt"]
    assert not job.problems


def test_what_is_missing_of_a_finished_video_is_told_again(given, tmp_path, capsys):
    cut = tmp_path / "cut.avi"
    whole = write_video(tmp_path / "whole.avi", frames=60).read_bytes()
    cut.write_bytes(whole[: 2 * len(whole) // 3])
    said = []
    for _ in range(2):
        with pytest.raises(UnfinishedError) as caught:
            analyze(settled(given(cut)))
        said.append(str(caught.value))
    assert "1 video analysed before" in capsys.readouterr().out
    assert said[0] == said[1]


def test_videos_of_one_name_and_a_folder_without_videos_are_refused(given, tmp_path):
    for folder in ("a", "b", "empty"):
        (tmp_path / folder).mkdir()
    first, second = (write_video(tmp_path / folder / "x.mp4") for folder in ("a", "b"))
    job = settled(given(first, second))
    assert [task.path for task in job.tasks] == [first]
    assert [str(second) in line and "the names of those of" in line for line in job.problems] == [True]
    with pytest.raises(UserError, match="no video in"):
        settled(given(tmp_path / "empty"))
    with pytest.raises(UserError, match="no such video or folder"):
        settled(given(tmp_path / "nowhere.mp4"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"animals": 0}, "--animals"),
        ({"batch_size": 0}, "--batch-size"),
        ({"max_gap": -1.0}, "--max-gap"),
        ({"max_gap": float("inf")}, "--max-gap"),
        ({"max_gap": float("nan")}, "--max-gap"),
        ({"det_thr": 0.5}, "--det"),
        ({"smooth": "magic"}, "--smooth"),
    ],
)
def test_options_that_cannot_be_followed_are_refused(given, tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        settled(given(write_video(tmp_path / "a.mp4"), **change))


def test_the_summary_is_in_the_marker(given, tmp_path):
    analyze(settled(given(write_video(tmp_path / "a.mp4"))))
    content = json.loads((tmp_path / "out" / "a.analysis.json").read_text())
    assert content["summary"]["frames"] == 6
    assert content["settings"]["smooth"] == "kalman"
