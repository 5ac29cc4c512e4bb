import numpy as np
import pytest

from equistera.synthetic import anatomy
from equistera.synthetic.motion import GAITS, LEGS, Asymmetry, make_motion


def motion(gait, **options):
    rng = np.random.default_rng(4)
    return make_motion(rng, anatomy.sample_build(rng, "warmblood"), gait, **options)


@pytest.mark.parametrize("gait", GAITS)
def test_hooves_stand_where_they_landed(gait):
    going = motion(gait)
    for leg, falls in zip(LEGS, going.footfalls(1.2 * going.period), strict=True):
        down, off = falls[0]
        places = [going.horse(t).keypoints[f"{leg}_hoof"] for t in np.linspace(down + 0.02, off - 0.02, 5)]
        assert np.ptp([place[0] for place in places]) < 0.005
        assert np.ptp([place[1] for place in places]) < 0.005
        # the body rises and sinks evenly, so that a hoof presses into the ground a little, or stands just above it
        assert max(place[2] for place in places) < (0.2 if gait == "canter" else 0.15)


def test_hooves_land_in_the_order_of_the_gait():
    def order(gait):
        going = motion(gait)
        first = {leg: (fall[0][0] / going.period) % 1 for leg, fall in zip(LEGS, going.footfalls(5), strict=True)}
        start = first["lh"]
        return sorted(first, key=lambda leg: round((first[leg] - start) % 1, 3) % 1), first

    assert order("walk")[0] == ["lh", "lf", "rh", "rf"]
    _, trot = order("trot")
    assert trot["lf"] == pytest.approx(trot["rh"])
    assert trot["rf"] == pytest.approx(trot["lh"])


def test_faster_gaits_are_faster_and_strides_repeat():
    speeds = [motion(gait).speed for gait in GAITS]
    assert speeds == sorted(speeds)
    # walk and trot of a grown horse (Hobbs et al. 2014: about 1.4 and 3.5 m/s)
    assert 0.8 < speeds[0] < 2.0
    assert 2.5 < speeds[1] < 4.5
    going = motion("trot")
    one, next_one = going.horse(0.1).keypoints, going.horse(0.1 + going.period).keypoints
    along = np.array([going.speed * going.period, 0, 0])
    assert np.allclose(one["withers"] + along, next_one["withers"], atol=1e-6)


def test_an_uneven_horse_nods_once_a_stride():
    def heights(asymmetry):
        going = motion("trot", asymmetry=asymmetry)
        return np.array([going.horse(t).keypoints["nose"][2] for t in np.arange(24) / 24 * going.period])

    even, uneven = (np.abs(np.fft.rfft(heights(Asymmetry(head_deg=deg)))) for deg in (0.0, 4.0))
    assert even[1] < 0.2 * even[2]
    assert uneven[1] > 3 * even[1]
