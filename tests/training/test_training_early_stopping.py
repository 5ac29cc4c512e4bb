import math

import pytest
from training_cases import schedule

from equistera.training.early_stopping import should_stop, stale_epochs

# stages open and phases begin after 100, 150 and 200 epochs
RUN = schedule(300, opens_at={"head": 0, "stage4": 0, "stage3": 1 / 3, "stage2": 1 / 2})


@pytest.mark.parametrize(
    ("scores", "min_delta", "stale"),
    [
        ([], 0, 0),
        ([(5, 0.1)], 0, 0),
        ([(5, 0.1), (10, 0.2)], 0, 0),
        ([(5, 0.2), (10, 0.1), (15, 0.2)], 0, 10),
        ([(5, 0.200), (10, 0.201), (15, 0.202)], 0.01, 10),
        ([(5, 0.200), (10, 0.205), (15, 0.211)], 0.01, 0),
        ([(5, 0.2), (10, math.nan)], 0, 5),
        ([(5, math.nan), (10, math.nan)], 0, 10),
        ([(10, 0.5), (100, 0.4)], 0, 90),
        # the phase that begins after epoch 100 counts anew
        ([(10, 0.5), (100, 0.4), (105, 0.4)], 0, 5),
        ([(10, 0.5), (155, 0.4)], 0, 5),
        ([(210, 0.5), (290, 0.4)], 0, 80),
    ],
)
def test_stale_epochs(scores, min_delta, stale):
    assert stale_epochs(scores, RUN, min_delta) == stale


def test_should_stop():
    scores = [(210, 0.5), (220, 0.4), (230, 0.4)]
    assert not should_stop(scores, RUN, patience=None)
    assert not should_stop(scores, RUN, patience=21)
    assert should_stop(scores, RUN, patience=20)
    assert not should_stop([(210, 0.5), (230, 0.51)], RUN, patience=20)
    assert should_stop([(210, 0.5), (230, 0.51)], RUN, patience=20, min_delta=0.02)


def test_scores_of_a_resumed_run_give_the_same_answer():
    scores = [(epoch, 0.3) for epoch in range(205, 260, 5)]
    stopped = [epoch for i, (epoch, _) in enumerate(scores) if should_stop(scores[: i + 1], RUN, 30)]
    assert stopped == [235, 240, 245, 250, 255]
