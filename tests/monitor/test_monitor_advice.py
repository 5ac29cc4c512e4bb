from pathlib import Path

import numpy as np
import pytest
from monitor_lines import epochs, train, val

from equistera.monitor.advice import advise
from equistera.monitor.plan import Plan
from equistera.monitor.run import Point, Run, Start
from equistera.monitor.summary import Summary


def findings(run, silent_seconds=1.0):
    return {finding.kind: finding for finding in advise(Summary(run, now=run.last_write + silent_seconds))}


def course(values, train_subset=None, losses=None, interval=1, **more):
    """Lines of a run that is evaluated every ``interval`` epochs."""
    lines = []
    for i, value in enumerate(values):
        loss = losses[i] if losses is not None else 1.0
        lines += epochs(i * interval + 1, (i + 1) * interval, loss=float(loss), **more)
        line = val((i + 1) * interval, AP=float(value))
        if train_subset is not None:
            line["train_subset/AP"] = float(train_subset[i])
        lines.append(line)
    return lines


def noisy(values, seed=0, scale=0.01):
    return np.asarray(values) + np.random.default_rng(seed).normal(0, scale, len(values))


RISING = 0.8 * (1 - np.exp(-np.arange(1, 31) / 8))


def test_healthy_run_gets_no_advice(make_run):
    healthy = course(noisy(RISING[:15]), noisy(RISING[:15] + 0.03, 1), np.linspace(1, 0.2, 15))
    assert findings(make_run(healthy, max_epochs=30)) == {}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_loss_that_is_no_number(make_run, tmp_path, loss):
    lines = [*epochs(1, 4), *epochs(5, 6, loss=loss)]
    found = findings(make_run(lines, max_epochs=9))
    assert list(found) == ["diverged"]
    assert f"the loss is {loss} since epoch 4.5" in found["diverged"].message
    assert "a tenth of the learning rate" in found["diverged"].advice
    assert "--amp" in found["diverged"].advice


def test_nan_from_the_first_step(make_run):
    assert "since epoch 0.5" in findings(make_run(epochs(1, 3, loss=float("nan"))))["diverged"].message


def test_tenth_of_the_learning_rate_as_a_command(make_run, tmp_path):
    make_run(epochs(1, 3, loss=float("nan")))
    from equistera.monitor.log import read_run

    config = tmp_path / "run" / "20260101_120000" / "vis_data" / "config.py"
    config.write_text("optim_wrapper = dict(optimizer=dict(lr=0.004))")
    advice = findings(read_run(tmp_path / "run"))["diverged"].advice
    assert "--cfg-options optim_wrapper.optimizer.lr=0.0004" in advice


def test_single_nan_that_passed_is_no_divergence(make_run):
    assert findings(make_run([*epochs(1, 9), train(10, 19, float("nan")), train(10, 20)])) == {}


def test_loss_that_rises_again(make_run):
    losses = [*np.linspace(1, 0.2, 20), *np.linspace(0.2, 0.9, 20)]
    found = findings(make_run([train(i + 1, i + 1, loss) for i, loss in enumerate(losses)]))
    assert "the loss rose from 0.2" in found["diverged"].message


def test_noisy_falling_loss_is_no_divergence(make_run):
    losses = np.linspace(1, 0.3, 200) * np.random.default_rng(0).lognormal(0, 0.3, 200)
    assert findings(make_run([train(i + 1, i + 1, loss) for i, loss in enumerate(losses)])) == {}


def test_overfitting_by_the_gap(make_run):
    values = [*RISING[:12], *np.linspace(RISING[11], 0.5, 12)]
    subset = [*(RISING[:12] + 0.02), *np.linspace(RISING[11], 0.97, 12)]
    found = findings(make_run(course(noisy(values), noisy(subset, 1)), max_epochs=100))
    assert "overfitting" in found
    assert "on the training subset is" in found["overfitting"].message
    for word in ("augmentation", "dropout", "weight decay", "more data"):
        assert word in found["overfitting"].advice


def test_wide_gap_while_validation_improves_is_no_overfitting(make_run):
    found = findings(make_run(course(RISING[:15], np.minimum(1, RISING[:15] * 1.4)), max_epochs=100))
    assert "overfitting" not in found


def test_overfitting_without_a_training_subset(make_run):
    values = [*RISING[:12], *np.linspace(RISING[11], 0.5, 12)]
    falling, flat = np.linspace(1, 0.1, 24), np.full(24, 0.5)
    assert (
        "loss went on falling" in findings(make_run(course(noisy(values), losses=falling), "a"))["overfitting"].message
    )
    assert "overfitting" not in findings(make_run(course(noisy(values), losses=flat), "b"))


def test_plateau(make_run):
    values = noisy([*RISING[:20], *[RISING[19]] * 30], scale=0.003)
    phases = [{"name": "head", "start": 0, "end": 60}, {"name": "full", "start": 60, "end": 100}]
    found = findings(make_run(course(values), max_epochs=100, phases=phases))
    assert "plateau" in found
    assert "Phase 'full' begins at epoch 60" in found["plateau"].advice


def test_plateau_of_an_annealed_learning_rate_is_what_the_schedule_wants(make_run):
    values = noisy([*RISING[:20], *[RISING[19]] * 30], scale=0.003)
    lines = course(values)
    for line in lines:
        if "lr" in line and line["epoch"] > 30:
            line["lr"] = 1e-5
    assert "plateau" not in findings(make_run(lines, max_epochs=100))


def test_no_plateau_after_two_evaluations(make_run):
    assert findings(make_run(course([0.5, 0.5]), max_epochs=10)) == {}


def test_not_learning(make_run):
    found = findings(make_run(course(np.full(12, 0.01)), max_epochs=100))
    assert "best AP is 0.010" in found["not learning"].message
    assert "longer warm-up" in found["not learning"].advice
    assert "not learning" not in findings(make_run(course(np.full(5, 0.01)), "early", max_epochs=100))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([-1.0], True), ([-1.0] * 6, True), ([0.0] * 6, False), ([0, 0.1], False), ([float("nan")], False)],
)
def test_nothing_evaluated(make_run, values, expected):
    found = findings(make_run(course(values), max_epochs=100))
    assert ("nothing evaluated" in found) is expected
    if expected:
        assert "verify_dataset.py" in found["nothing evaluated"].advice


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("length", [6, 1000])
def test_zero_is_a_value_and_says_that_nothing_is_learnt_yet(make_run, count, length):
    found = findings(make_run(course([0.0] * count), max_epochs=length))
    assert found.keys() == {"not learning"}
    assert found["not learning"].message == f"AP is 0 in all of {count} evaluations: nothing has been learnt yet"
    assert ("Usual at the beginning" in found["not learning"].advice) is (length == 1000)
    assert "verify_dataset.py" in found["not learning"].advice


GUESS = {"constant_guess_AP": 0.05, "constant_guess_PCK@0.1": 0.3, "constant_guess_median_px": 20.0}


@pytest.mark.parametrize(
    ("values", "length", "said"),
    [
        ({"AP": 0.02, "PCK@0.1": 0.2, "median_px": 25.0}, 4, True),
        ({"AP": 0.0, "PCK@0.1": 0.2, "median_px": 25.0}, 4, True),
        ({"AP": 0.2, "PCK@0.1": 0.5, "median_px": 12.0}, 4, False),
        ({"AP": 0.02, "PCK@0.1": 0.2, "median_px": 25.0}, 400, False),  # early
        ({"AP": 0.02, "PCK@0.1": 0.2}, 4, True),  # nothing within reach has a median
    ],
)
def test_weights_no_better_than_a_constant_guess_are_said_as_test_says_it(make_run, values, length, said):
    run = make_run([*epochs(1, 4), val(2, **values, **GUESS), val(4, **values, **GUESS)], max_epochs=length)
    found = findings(run)
    assert ("constant guess" in found) is said
    if said:
        about = found["constant guess"]
        assert "of epoch 4, are not better than a constant guess" in about.message
        assert "PCK@0.1 0.200 against 0.300" in about.message
        assert about.advice.startswith("Do not use this model")
        assert "not learning" not in found
    assert "constant guess" not in findings(make_run([*epochs(1, 4), val(4, **values)], "foreign", max_epochs=4))


def test_still_improving_at_the_end(make_run):
    found = findings(make_run(course(np.linspace(0.1, 0.7, 20)), max_epochs=20))
    assert "Train longer" in found["still improving"].advice
    assert "still improving" not in findings(make_run(course([*RISING[:10], *[0.6] * 10]), "flat", max_epochs=20))


def test_weak_keypoints_are_named(make_run):
    keypoints = {f"PCK@0.1/k{i}": 0.9 for i in range(8)} | {"PCK@0.1/l_eye": 0.2}
    found = findings(make_run([*epochs(1, 2), val(2, AP=0.6, **keypoints)]))
    assert "l_eye 0.20" in found["weak keypoints"].message
    assert "k0" not in found["weak keypoints"].message


def test_slow_data(make_run):
    assert "60%" in findings(make_run(epochs(1, 9, time=1.0, data_time=0.6)))["slow data"].message
    assert findings(make_run(epochs(1, 9, time=1.0, data_time=0.1), "fast")) == {}


def test_stopped(make_run):
    run = make_run(epochs(1, 2), max_epochs=9)
    assert "--resume" in findings(run, silent_seconds=7200)["stopped"].advice
    assert findings(run) == {}


def simulated_run(seed, memorised):
    """60 evaluations with the scatter of a small validation split; past epoch 120 ``memorised`` is lost every epoch."""
    random = np.random.default_rng(seed)
    training, evaluations = [], []
    for epoch in range(1, 301):
        loss = (0.15 * np.exp(-epoch / 60) + 0.03) * random.lognormal(0, 0.15)
        training.append(Point(float(epoch), {"loss": loss, "lr": 1e-3 * (1 - epoch / 301)}))
        if epoch % 5 == 0:
            learned = 0.8 * (1 - np.exp(-epoch / 40))
            val_score = learned + random.normal(0, 0.02) - max(0, epoch - 120) * memorised
            subset = min(1.0, learned + 0.03 + epoch * (0.0001 + memorised) + random.normal(0, 0.005))
            evaluations.append(Point(float(epoch), {"val/AP": val_score, "train_subset/AP": subset}))
    plan = Plan(max_epochs=300, steps_per_epoch=1)
    return Run(Path("run"), plan, tuple(training), tuple(evaluations), (Start(0, None),), 0, 1e9)


@pytest.mark.parametrize(("memorised", "at_least", "at_most"), [(0.0, 0, 1), (0.0006, 29, 30)])
def test_overfitting_is_told_from_scatter(memorised, at_least, at_most):
    told = sum("overfitting" in findings(simulated_run(seed, memorised)) for seed in range(30))
    assert at_least <= told <= at_most
