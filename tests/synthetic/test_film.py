import json

import numpy as np
import pytest

from equistera.errors import UserError
from equistera.synthetic import film_options, motion
from equistera.synthetic.film import sample_film, write_film
from equistera.tracks import files
from equistera.video import VideoFrames

SMALL = {"seconds": 0.3, "fps": 10, "size": (160, 120)}


def test_a_film_and_its_truth_agree_and_repeat(tmp_path):
    film = sample_film(3, 0, gait="walk", animals=2, **SMALL)
    paths = write_film(film, tmp_path)
    frames = list(VideoFrames(paths[0], None).frames())
    truth = files.read(paths[1])
    assert len(frames) == len(truth) == 3
    assert truth.individuals == ("animal1", "animal2")
    assert truth.size == (160, 120)
    assert np.isfinite(truth.points).all(axis=-1).any(axis=(0, 2)).all()
    told = json.loads(paths[-1].read_text())
    assert set(told["animals"]) == {"animal1", "animal2"}
    assert told["animals"]["animal1"]["gait"] == "walk"
    again = tmp_path / "again"
    again.mkdir()
    for path, same in zip(paths, write_film(film, again), strict=True):
        assert path.read_bytes() == same.read_bytes()


def test_any_number_of_processes_gives_the_same_bytes(tmp_path):
    film = sample_film(3, 0, gait="walk", **SMALL | {"seconds": 0.9})
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    for one, two in zip(write_film(film, alone, workers=1), write_film(film, both, workers=2), strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_the_picture_shows_the_horse_where_the_truth_says(tmp_path):
    film = sample_film(3, 1, gait="walk", **SMALL)
    paths = write_film(film, tmp_path)
    first = next(VideoFrames(paths[0], None).frames()).image.astype(float)
    truth = files.read(paths[1])
    visible = truth.confidence[0, 0] == 1
    points = np.rint(truth.points[0, 0, visible]).astype(int)
    background = np.median(first[: first.shape[0] // 8].reshape(-1, 3), axis=0)
    on_horse = np.abs(first[points[:, 1], points[:, 0]] - background).sum(axis=1)
    assert np.median(on_horse) > 20


def test_the_gaits_and_parts_of_the_options_are_those_of_the_motion():
    assert tuple(motion.GAITS) == film_options.GAITS
    assert tuple(name for name, going in motion.GAITS.items() if going.even) == film_options.EVEN
    assert tuple(motion.PARTS) == film_options.PARTS


def test_the_truth_tells_the_asymmetry_by_stride(tmp_path):
    film = sample_film(3, 2, gait="trot", seconds=2.0, fps=1, size=(64, 64), asymmetry={"croup": 0.02})
    told = json.loads(write_film(film, tmp_path)[-1].read_text())["animals"]["animal1"]
    symmetry, falls = told["symmetry"], told["footfalls"]["lf_hoof"]
    assert symmetry["strides"]
    assert [down for down, _ in symmetry["strides"]] == [down for down, _ in falls[: len(symmetry["strides"])]]
    assert symmetry["croup"]["set"] == 0.02
    assert symmetry["croup"]["MinDiff"] == pytest.approx([0.02] * len(symmetry["strides"]), rel=0.05)
    assert symmetry["head"]["set"] == 0
    # heights are told frame by frame, of the same horse
    assert len(told["heights"]["tail_base"]) == 2


def test_a_camera_that_stands_still_shows_one_place(tmp_path):
    films = [sample_film(3, 0, gait="walk", pans=pans, **SMALL) for pans in (False, True)]
    assert [film.pans for film in films] == [False, True]
    still, moving = ([film.view(time).axes for time in film.times] for film in films)
    assert all(np.array_equal(still[0], view) for view in still)
    assert not np.array_equal(moving[0], moving[-1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gait": "hop"}, "gait hop, expected walk"),
        ({"animals": 3}, "3 animals, expected 1 or 2"),
        ({"seconds": 0.0}, "0 seconds, expected"),
        ({"seconds": float("nan")}, "nan seconds, expected"),
        ({"seconds": 0.01}, "have no frame"),
        ({"fps": 0}, "0 frames a second"),
        ({"size": (161, 120)}, "size 161x120, expected even sides"),
        ({"size": (0, 0)}, "size 0x0"),
        ({"seed": -1}, "seed -1"),
        ({"gait": "canter", "asymmetry": {"head": 0.01}}, "only there MinDiff is defined"),
    ],
)
def test_what_cannot_be_filmed_is_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        sample_film(**{"seed": 3, "number": 0, "gait": "trot"} | wrong)
