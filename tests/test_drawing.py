import io
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from equistera import skeleton
from equistera.drawing import contact_sheet, draw_box, draw_pose, plain

HORSE = skeleton.load("horse26")


def picture():
    return np.full((200, 300, 3), 128, np.uint8)


def points():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.uniform(40, 260, 26), rng.uniform(30, 170, 26)])


def test_visible_points_have_the_schemas_colour():
    image = picture()
    draw_pose(image, points(), HORSE, visible=np.full(26, 2))
    k = HORSE.index["tail_end"]
    x, y = np.round(points()[k]).astype(int)
    assert image[y, x].tolist() == list(HORSE.keypoints[k].color)


def test_points_without_a_label_are_not_drawn():
    image = picture()
    draw_pose(image, points(), HORSE, visible=np.zeros(26))
    assert np.array_equal(image, picture())


def test_uncertain_points_are_dimmer():
    changed = []
    for score in (0.9, 0.1):
        image = picture()
        draw_pose(image, points(), HORSE, scores=np.full(26, score), threshold=0.3)
        changed.append(np.abs(image.astype(int) - 128).sum())
    assert 0 < changed[1] < 0.7 * changed[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e12, -1e12])
def test_wild_predictions_do_not_crash(value):
    wild = points()
    wild[3] = value
    image = picture()
    draw_pose(image, wild, HORSE)
    assert not np.array_equal(image, picture())


def test_boxes_are_drawn_where_they_are():
    image = picture()
    draw_box(image, [50, 40, 100, 80])
    assert image[40, 100].tolist() == [255, 255, 255]
    assert image[80, 100].tolist() == [128, 128, 128]


def test_sheet_keeps_proportions_and_order():
    red, blue = np.zeros((50, 100, 3), np.uint8), np.zeros((100, 100, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = contact_sheet([red, blue], columns=2, cell=(100, 100), gap=10)
    assert sheet.shape == (100, 210, 3)
    assert sheet[50, 50].tolist() == [255, 0, 0]
    assert sheet[10, 50].tolist() == [255, 255, 255]
    assert sheet[10, 150].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    "text", ["run$_$1", "a$b", "$$", r"\$x$", "_hidden", "конь", "Nüstern", "x\0\n<b>&", "x" * 300]
)
@pytest.mark.parametrize("kind", ["png", "svg"])
def test_any_text_is_drawn_without_a_word(text, kind):
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], label=plain(text))
    axes.set_yticks([0], [plain(text)])
    assert len(axes.legend().get_texts()) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format=kind)


def test_what_can_be_shown_stays():
    assert plain("Nüstern, left") == "Nüstern, left"
    assert plain("конь 2") == "???? 2"
