"""When hooves land and lift off, how long strides take, and what is refused, on horses whose strides are known."""

import numpy as np
import pytest
from going import GAITS, LENGTH, NAMES, WAY, footfalls, going

from equistera.errors import UserError
from equistera.gait.body import body_of
from equistera.gait.strides import legs_of


def legs(tracks):
    return legs_of(body_of(tracks, "animal1"))


def column(name):
    return NAMES.index(name)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("fps", [25, 30, 60])
@pytest.mark.parametrize("gait", GAITS)
def test_touch_down_and_lift_off_are_found_between_the_frames(gait, fps, hard):
    found = legs(going(gait, fps=fps, hard=hard))
    _, duty, period = GAITS[gait]
    for name, leg in found.items():
        true = footfalls(gait, name)
        for stance in leg.stances:
            nearest = true[np.abs(true[:, 0] - stance[0]).argmin()]
            assert np.abs(nearest - stance).max() < 0.02
        assert leg.duty == pytest.approx(duty, abs=0.031)
        assert leg.usual == pytest.approx(period, abs=0.002)
        # a stance covers WAY body lengths
        assert leg.length == pytest.approx(WAY / duty, rel=0.02)


@pytest.mark.parametrize(("heading", "pan"), [(1, 0.0), (1, 300.0), (-1, 60.0), (-1, -300.0)])
def test_neither_the_camera_nor_the_side_matters(heading, pan):
    for leg in legs(going(heading=heading, pan=pan)).values():
        assert leg.duty == pytest.approx(0.42, abs=0.03)
        assert leg.length == pytest.approx(WAY / 0.42, rel=0.02)


@pytest.mark.parametrize("gait", ["walk", "trot"])
def test_noise_moves_the_moments_little(gait):
    off = []
    for seed in range(4):
        for name, leg in legs(going(gait, fps=30, noise=0.01, seed=seed)).items():
            true = footfalls(gait, name)
            for stance in leg.stances:
                off.append(true[np.abs(true[:, 0] - stance[0]).argmin()] - stance)
    assert np.sqrt(np.square(off).mean()) < 0.02


def test_a_gap_is_no_stride():
    tracks = going("trot")
    points = tracks.points.copy()
    points[(tracks.times > 2.0) & (tracks.times < 3.2), 0, column("lf_hoof")] = np.nan
    found = legs(tracks.with_(points=points))
    assert not found["lf"].whole.all()
    assert found["lf"].usual == pytest.approx(0.71, abs=0.003)
    assert found["lf"].duty == pytest.approx(0.42, abs=0.03)


def test_legs_exchanged_for_a_while_are_no_short_strides():
    tracks = going("walk")
    points = tracks.points.copy()
    # the left one is always the one in front, as a model does that does not know the sides
    for pair in ("f", "h"):
        one, other = (column(f"{side}{pair}_hoof") for side in "lr")
        swapped = points[:, 0, one, 0] < points[:, 0, other, 0]
        points[np.ix_(swapped, [0], [one, other])] = points[np.ix_(swapped, [0], [other, one])]
    with pytest.raises(UserError, match=r"do not agree on the time of a stride|always in front"):
        legs(tracks.with_(points=points))


def test_legs_in_one_place_are_no_short_strides():
    tracks = going("walk")
    points = tracks.points.copy()
    for pair in ("f", "h"):
        one, other = (column(f"{side}{pair}_hoof") for side in "lr")
        points[:, :, [one, other]] = points[:, :, [one, other]].mean(axis=2, keepdims=True) + 0.01
    points += np.random.default_rng(0).normal(0, 1, points.shape)
    with pytest.raises(UserError, match=r"do not agree|not told apart|the horse stands"):
        legs(tracks.with_(points=points))


def test_who_does_not_agree_is_told():
    tracks = going("trot")
    points = tracks.points.copy()
    # one leg of another horse
    points[:, 0, column("rh_hoof")] = going("walk").points[:, 0, column("rh_hoof")]
    with pytest.raises(UserError) as refused:
        legs(tracks.with_(points=points))
    assert "left fore: 0.710 s" in str(refused.value)
    assert "right hind: 1.100 s" in str(refused.value)


def test_legs_that_carry_another_body_are_refused():
    tracks = going("trot")
    points = tracks.points.copy()
    hoof = points[:, 0, column("lf_hoof")]
    middle = (points[:, 0, column("withers"), 0] + points[:, 0, column("tail_base"), 0]) / 2 + 80
    hoof[:, 0] = middle + 0.6 * (hoof[:, 0] - middle)
    with pytest.raises(UserError, match=r"how far the horse comes in a stride") as refused:
        legs(tracks.with_(points=points))
    assert "left fore: 1.00 body lengths" in str(refused.value)
    assert "right hind: 1.66 body lengths" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"move": False}, "the horse stands"),
        ({"seconds": 1.0}, "expected 2.5 s"),
        ({"side": 0.3}, "not seen from its side"),
        ({"gait": "walk", "seconds": 3.0}, "expected 3 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(change, said):
    with pytest.raises(UserError, match=said):
        legs(going(**change))


def test_missing_points_and_animals_are_named():
    tracks = going()
    with pytest.raises(UserError, match="no animal 'x'"):
        body_of(tracks, "x")
    points = tracks.points.copy()
    points[: len(tracks) // 2, :, column("lf_hoof")] = np.nan
    with pytest.raises(UserError, match="lf_hoof: in 50% of the frames"):
        body_of(tracks.with_(points=points), "animal1")
    points[:, :, column("withers")] = np.nan
    with pytest.raises(UserError, match=r"0.0 s of track"):
        body_of(tracks.with_(points=points), "animal1")


def test_only_the_frames_that_show_the_side_count():
    tracks = going(seconds=8.0)
    points = tracks.points.copy()
    middle = points[:, :, [column("withers"), column("tail_base")], 0].mean(axis=2, keepdims=True)
    turned = tracks.times > 5.0
    points[turned, ..., 0] = (middle + 0.3 * (points[..., 0] - middle))[turned]
    body = body_of(tracks.with_(points=points), "animal1")
    assert body.times[0] == 0
    assert body.times[-1] == pytest.approx(5.0, abs=0.5)
    assert np.median(body.upright) == pytest.approx(LENGTH, rel=0.02)
