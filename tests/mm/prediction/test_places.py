import numpy as np

from equistera.mm.prediction.places import animals_shown


def test_what_is_found_beside_an_animal_is_that_animal():
    followed = [np.array([100, 100, 80, 60.0]), np.array([300, 100, 80, 60.0])]
    boxes = np.array([[155, 100, 90, 66.0], [300, 105, 80, 60], [240, 100, 80, 60]])
    assert animals_shown(boxes, followed) == [0, 1, None]
    # a small one is another animal, and so is one that is far off
    assert animals_shown(np.array([[140, 100, 30, 20.0], [190, 100, 80, 60]]), followed[:1]) == [None, None]
