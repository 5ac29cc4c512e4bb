import warnings

import cv2
import numpy as np
import pytest
from mmpose.registry import TRANSFORMS

from equistera.errors import UserError
from equistera.mm.data.from_albumentations import FromAlbumentations

SIZE = 96
CODEC = {"input_size": (SIZE, SIZE)}
#: A grid of points with room around them for a dot.
POINTS = np.stack(np.meshgrid(np.linspace(20, 75, 4), np.linspace(20, 75, 4)), -1).reshape(-1, 2).astype(np.float32)
MOVES = [
    {"type": "Perspective", "scale": (0.02, 0.08), "p": 1.0},
    {"type": "Affine", "shear": (-12, 12), "rotate": (-20, 20), "scale": (0.8, 1.2), "p": 1.0},
    {"type": "SafeRotate", "limit": 25, "p": 1.0},
    {"type": "ShiftScaleRotate", "p": 1.0},
    {"type": "GridDistortion", "distort_limit": (-0.15, 0.15), "p": 1.0},
    {"type": "OpticalDistortion", "distort_limit": (-0.5, 0.5), "p": 1.0},
    {"type": "ThinPlateSpline", "scale_range": (0.05, 0.1), "p": 1.0},
    {"type": "ElasticTransform", "alpha": 150, "sigma": 10, "p": 1.0},
    {"type": "RandomRotate90", "p": 1.0},
]


def sample(points=POINTS, seed=0):
    """One bright dot for each keypoint on a dark crop."""
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(float(x) * 16), round(float(y) * 16)), 40, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return {
        "img": picture,
        "transformed_keypoints": np.array(points, dtype=np.float32)[None],
        "keypoints_visible": np.ones((1, len(points)), np.float32),
        "rng": np.random.default_rng(seed),
    }


@pytest.mark.parametrize("settings", MOVES, ids=lambda settings: settings["type"])
def test_points_are_found_again_where_the_keypoints_say(settings):
    with warnings.catch_warnings():
        # albumentations calls its own transform a special case of another
        warnings.filterwarnings("ignore", message="ShiftScaleRotate is a special case")
        transform = FromAlbumentations(CODEC, [settings])
    errors, moved = [], []
    for seed in range(6):
        done = transform.transform(sample(seed=seed))
        grey = done["img"][..., 0].astype(float)
        moved.append(np.abs(done["transformed_keypoints"][0] - POINTS).max())
        for x, y in done["transformed_keypoints"][0][done["keypoints_visible"][0] > 0]:
            left, top = round(float(x)) - 6, round(float(y)) - 6
            if min(left, top) < 0 or max(left, top) + 13 > SIZE:
                continue  # a dot that is cut off has its middle elsewhere
            window = grey[top : top + 13, left : left + 13]
            rows, columns = np.indices(window.shape)
            assert window.sum() > 0, "no dot where the keypoint should be"
            found = (window * columns).sum() / window.sum() + left, (window * rows).sum() / window.sum() + top
            errors.append(np.hypot(found[0] - x, found[1] - y))
    assert max(moved) > 2
    assert len(errors) > 40
    assert max(errors) < 1


def test_points_that_leave_are_no_longer_labelled_and_keep_their_place_in_the_list():
    points = np.array([[5.0, 48], [48, 48], [90, 48], [-3, 48]])
    settings = {"type": "Affine", "translate_px": {"x": 10, "y": 0}, "p": 1.0}
    done = FromAlbumentations(CODEC, [settings]).transform(sample(points))
    assert done["transformed_keypoints"][0] == pytest.approx(points + np.array([10, 0]), abs=1e-3)
    # the last one comes from outside of the crop: the picture does not show it
    assert done["keypoints_visible"][0].tolist() == [1, 1, 0, 0]


def test_the_same_seed_makes_the_same_sample():
    transform = FromAlbumentations(
        CODEC,
        [MOVES[0], {"type": "OneOf", "transforms": [MOVES[1], {"type": "ElasticTransform"}], "p": 0.5},
         {"type": "GaussNoise", "p": 0.5}],
    )  # fmt: skip
    first, again, other = (transform.transform(sample(seed=seed)) for seed in (4, 4, 5))
    assert np.array_equal(first["img"], again["img"])
    assert np.array_equal(first["transformed_keypoints"], again["transformed_keypoints"])
    assert first["drawn"] == again["drawn"]
    assert not np.array_equal(first["transformed_keypoints"], other["transformed_keypoints"])


def test_nothing_drawn_is_nothing_changed():
    before = sample()
    done = FromAlbumentations(CODEC, [{**settings, "p": 0.0} for settings in MOVES[:3]]).transform(sample())
    assert np.array_equal(done["img"], before["img"])
    assert np.array_equal(done["transformed_keypoints"], before["transformed_keypoints"])
    assert done["drawn"] == {}


def test_pixels_only_is_fine_and_silent(recwarn):
    done = FromAlbumentations(CODEC, [{"type": "MotionBlur", "p": 1.0}]).transform(sample())
    assert np.array_equal(done["transformed_keypoints"][0], POINTS)
    assert done["drawn"] == {"MotionBlur": True}
    assert not recwarn.list


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"type": "Perspectiv"}, "transforms.0: no transform 'Perspectiv', did you mean 'Perspective'?"),
        ({"type": "Perspective", "skale": 1}, "Perspective has no argument 'skale', did you mean 'scale'?"),
        ({"type": "GaussNoise", "var_limit": 9}, "transforms.0: GaussNoise has no argument 'var_limit'"),
        ({"type": "Perspective", "scale": "x"}, "transforms.0: Perspective refuses its arguments: scale: Input"),
        ({"type": "OneOf", "transforms": [{"type": "Affine", "sheer": 3}]}, "transforms.0.transforms.0: Affine has no"),
        ({"type": "OneOf"}, "OneOf needs transforms=[...]"),
        ({"type": "Compose"}, "Compose needs transforms=[...]"),
        ({"type": "load"}, "no transform 'load'"),
        ({"scale": 2}, "transforms.0: expected dict(type=NAME, ...), found {'scale': 2}"),
        ({"type": "HorizontalFlip"}, "HorizontalFlip: mirrors the crop"),
        ({"type": "D4", "p": 0.01}, "D4: mirrors the crop"),
        ({"type": "OneOf", "transforms": [{"type": "Transpose"}]}, "OneOf: mirrors the crop"),
        ({"type": "Resize", "height": 8, "width": 9}, "Resize: changes the size of the crop from 96x96 to 9x8"),
        ({"type": "MaskDropout"}, "MaskDropout: cannot be applied to a picture with keypoints"),
    ],
)
def test_what_is_not_known_or_does_not_fit_is_an_error(settings, finding):
    with pytest.raises(UserError) as caught:
        FromAlbumentations(CODEC, [settings])
    assert finding in str(caught.value)


def test_all_findings_come_at_once():
    with pytest.raises(UserError) as caught:
        FromAlbumentations(CODEC, [{"type": "Perspectiv"}, MOVES[0], {"type": "Affine", "sheer": 1, "skale": 2}])
    assert len(caught.value.problems) == 3


def test_mmposes_own_transform_takes_the_words_of_its_configs():
    """albumentations 2 would warn of max_holes and make other holes."""
    holes = dict(max_holes=1, max_height=0.4, max_width=0.4, min_holes=1, min_height=0.2, min_width=0.2, p=1.0)
    built = TRANSFORMS.build(dict(type="Albumentation", transforms=[dict(type="CoarseDropout", **holes)]))
    (dropout,) = built.aug.transforms
    assert (dropout.num_holes_range, dropout.hole_height_range) == ((1, 1), (0.2, 0.4))
    with pytest.raises(UserError, match="GaussNoise has no argument 'var_limit'"):
        TRANSFORMS.build(dict(type="Albumentation", transforms=[dict(type="GaussNoise", var_limit=10)]))
