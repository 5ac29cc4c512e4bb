import dataclasses
import itertools
import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from training_cases import CSPNEXT, strategy

from equistera.errors import UserError
from equistera.training.fit import (
    EVALUATION_SHARE,
    MOST_MOVED,
    Costs,
    Fit,
    StepTime,
    fit_to_time,
    parse_duration,
    replanned,
    run_seconds,
)
from equistera.training.schedule import length_problems, make_schedule

HOUR = 3600


def evaluations_of(fit):
    return -(-fit.epochs // fit.val_interval)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("10m30s", 630),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("45s", 45),
        ("2d", 172800),
        ("1d 2h 3m 4.5s", 93784.5),
        (" 2 H ", 7200),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "h", "2", "2.5", "two hours", "-2h", "2h2h", "30s10m", "2h30", "1e3s", "٢h", "2x"]
)
def test_no_duration(text):
    with pytest.raises(UserError, match="is no time"):
        parse_duration(text)


def test_a_missing_unit_is_named():
    with pytest.raises(UserError, match="'600' is no time \\(a unit is missing\\): expected for example 2h"):
        parse_duration("600")


@pytest.mark.parametrize("text", ["0s", "0h0m", "366d", "9" * 400 + "h"])
def test_duration_out_of_range(text):
    with pytest.raises(UserError, match="out of range"):
        parse_duration(text)


@given(st.text(alphabet="0123456789.dhms -", max_size=12))
@settings(max_examples=150)
def test_any_text_is_a_duration_or_refused(text):
    try:
        seconds = parse_duration(text)
    except UserError:
        return
    assert 0 < seconds <= 365 * 86400


def test_run_seconds_by_hand():
    costs = Costs((StepTime(0, 1.0), StepTime(0.5, 2.0)), evaluation=10, epoch=0.5, start_up=7)
    # 7 + 5 epochs x 3 steps x 1 s + 5 x 3 x 2 s + 10 x 0.5 s + evaluations after 4, 8 and 10 epochs
    assert run_seconds(costs, 10, 3, 4) == 7 + 15 + 30 + 5 + 30
    # from epoch 6 on, 100 s after the start: 4 x 3 x 2 s + 4 x 0.5 s + evaluations after 8 and 10
    assert run_seconds(costs, 10, 3, 4, done=6, elapsed=100) == 100 + 24 + 2 + 20


def test_fit_by_hand():
    costs = Costs((StepTime(0, 0.5),), evaluation=5, start_up=10)
    fit = fit_to_time(1000, costs, steps_per_epoch=10)
    # 980 s are planned, of which 98 s allow 19 evaluations; the rest holds about 175 epochs of 5 s
    assert fit == Fit(1000, costs, epochs=176, steps_per_epoch=10, val_interval=10)
    assert (fit.seconds, evaluations_of(fit)) == (980.0, 18)


def test_a_fit_is_the_same_from_a_file():
    fit = Fit(100, Costs((StepTime(0, 1.0), StepTime(0.5, 2.0)), evaluation=4.0), 20, 4, 5)
    content = json.loads(json.dumps(dataclasses.asdict(fit)))
    assert Fit.from_json(content) == fit
    for damaged in ({**content, "epochs": "20"}, {**content, "costs": None}, [content], {}):
        with pytest.raises(ValueError, match="Fit"):
            Fit.from_json(damaged)


def test_a_few_steps_make_few_epochs_with_a_handful_each():
    fit = fit_to_time(51.1, Costs((StepTime(0, 1.0),), evaluation=0), steps_per_epoch=40, least_epochs=3)
    # 50 steps: 10 x 5 rather than 25 x 2
    assert (fit.epochs, fit.steps_per_epoch) == (10, 5)


def test_one_evaluation_takes_place_even_if_it_costs_more_than_its_share():
    fit = fit_to_time(1000, Costs((StepTime(0, 0.5),), evaluation=300), steps_per_epoch=10)
    assert evaluations_of(fit) == 1
    assert 950 <= fit.seconds <= 1000


def test_whole_epochs_too_coarse():
    """312 steps of 1 s do not go into 10 minutes twice, so the epochs are made shorter."""
    fit = fit_to_time(600, Costs((StepTime(0, 1.0),), evaluation=20), steps_per_epoch=312, least_epochs=3)
    # 588 s are planned, of which 40 go into two evaluations
    assert (fit.epochs, fit.steps_per_epoch, evaluations_of(fit)) == (39, 14, 2)
    assert fit.seconds == 39 * 14 + 40


def test_too_short():
    with pytest.raises(UserError, match=r"1 min 00 s are too short: 50 s have gone by .* needs 3 epochs") as error:
        fit_to_time(60, Costs((StepTime(0, 1.0),), evaluation=20, start_up=50), steps_per_epoch=40, least_epochs=3)
    # 50 s + 3 steps + 1 evaluation = 73 s, of which 98 % are planned with
    assert error.value.hint.startswith("--max-time must be at least 75s")


costs_of_a_run = st.builds(
    lambda first, rises, evaluation, epoch, start_up: Costs(
        tuple(
            StepTime(share, first * rise) for share, rise in zip((0, 1 / 3, 1 / 2), (1, *sorted(rises)), strict=True)
        ),
        evaluation,
        epoch,
        start_up,
    ),
    first=st.floats(0.02, 2),
    rises=st.tuples(st.floats(1, 2), st.floats(1, 2)),
    evaluation=st.floats(0, 60),
    epoch=st.floats(0, 0.5),
    start_up=st.floats(0, 60),
)


SEVEN_OR_EIGHT = Costs((StepTime(0, 1.865), StepTime(1 / 3, 1.865), StepTime(1 / 2, 3.4827)), 0.25, 0.375, 2.0)
RARE = Costs((StepTime(0, 2.0), StepTime(1 / 3, 2.0), StepTime(1 / 2, 4.0)), evaluation=9.0)


@given(st.floats(0.25 * HOUR, 20 * HOUR), costs_of_a_run, st.integers(1, 400))
@example(900.0, RARE, 95)  # three whole epochs are the most steps, but leave an eighth of the time unused
@example(900.0, SEVEN_OR_EIGHT, 8)  # 39 epochs of 8 steps end 5.1 % early, 40 too late; 45 of 7 fit
@settings(max_examples=100)
def test_a_fitted_run_takes_the_time_within_five_percent(budget, costs, steps):
    fit = fit_to_time(budget, costs, steps, least_epochs=3)
    assert 0.95 * budget <= fit.seconds <= budget
    assert fit.seconds == run_seconds(costs, fit.epochs, fit.steps_per_epoch, fit.val_interval)
    assert evaluations_of(fit) * costs.evaluation <= max(EVALUATION_SHARE * budget, costs.evaluation)
    assert 1 <= fit.steps_per_epoch <= steps
    assert length_problems(make_schedule(strategy(), CSPNEXT, fit.epochs, fit.steps_per_epoch)) == []


@given(st.floats(0.25 * HOUR, 5 * HOUR), costs_of_a_run, st.integers(1, 400), st.floats(0.8, 1.25))
@settings(max_examples=50)
def test_corrections_keep_the_time_on_a_machine_of_another_speed(budget, costs, steps, slower):
    """Every tenth of the run the costs turn out ``slower`` times what was measured, and the run is fitted anew."""
    fit = first = fit_to_time(budget, costs, steps, least_epochs=3)
    real = Costs(
        tuple(StepTime(step.start, step.seconds * slower) for step in costs.steps),
        costs.evaluation * slower,
        costs.epoch * slower,
        costs.start_up,
    )
    done, elapsed = 0, real.start_up
    while done < fit.epochs:
        until = min(fit.epochs, done + max(1, fit.epochs // 10))
        whole = run_seconds(real, fit.epochs, fit.steps_per_epoch, fit.val_interval, done, elapsed)
        rest = run_seconds(real, fit.epochs, fit.steps_per_epoch, fit.val_interval, until, 0.0)
        # the evaluation at the end is over as well
        rest = 0.0 if until == fit.epochs else rest
        done, elapsed = until, whole - rest
        if done < fit.epochs:
            epochs = replanned(fit, [slower], [real.evaluation], done, elapsed, fit.epochs)
            fit = dataclasses.replace(fit, epochs=epochs)
    assert (fit.steps_per_epoch, fit.val_interval) == (first.steps_per_epoch, first.val_interval)
    epoch = max(step.seconds for step in real.steps) * fit.steps_per_epoch + real.epoch + real.evaluation
    assert abs(elapsed - budget) <= max(0.05 * budget, 0.02 * budget + epoch)


def test_replanned_by_hand():
    fit = fit_to_time(1000, Costs((StepTime(0, 1.0),), evaluation=0), steps_per_epoch=10)
    assert fit.epochs == 98
    # 480 s are left of the 980 planned with: 38 epochs of 12.5 s
    assert replanned(fit, [1.25], [], done=40, elapsed=500, told=98) == 78
    assert replanned(fit, [0.5], [], done=40, elapsed=200, told=150) == 196
    # a third more than was told is the most, a third less the least
    assert replanned(fit, [0.5], [], done=40, elapsed=200, told=98) == 130
    assert replanned(fit, [1.25], [], done=60, elapsed=990, told=98) == 66
    # nothing is left: one more epoch, after which the run is over
    assert replanned(fit, [1.25], [], done=60, elapsed=990, told=90) == 61


class Machine:
    """Time passes where work is done, faster or slower than what was measured; for a while something else is busy.

    Args:
        slower: How many times as long as measured all takes.
        busy: Seconds from when to when something else takes its part.
        times: How many times as long all takes then.
        noise: Share by which each piece of work may be off.
    """

    def __init__(self, slower, busy, times, noise, seed):
        self.now, self.slower, self.busy, self.times = 0.0, slower, busy, times
        self.noise, self.random = noise, random.Random(seed)

    def work(self, seconds):
        seconds *= self.slower * self.random.uniform(1 - self.noise, 1 + self.noise)
        begin, end = self.busy
        quiet = min(seconds, max(0.0, begin - self.now))
        hindered = min(seconds - quiet, max(0.0, end - max(begin, self.now)) / self.times)
        took = seconds + hindered * (self.times - 1)
        self.now += took
        return took


def kept_to_time(budget, costs, steps, machine):
    """Runs as a training does; the time it took and the numbers of epochs that a person was told."""
    fit = fit_to_time(budget, costs, steps, least_epochs=3)
    machine.now, done, told = costs.start_up, 0, [fit.epochs]
    paces, evaluations = [], []
    while done < fit.epochs:
        step = [step for step in costs.steps if round(step.start * fit.epochs) <= done][-1].seconds
        expected = step * fit.steps_per_epoch + costs.epoch
        paces.append(machine.work(expected) / expected)
        done += 1
        if done % fit.val_interval == 0 or done == fit.epochs:
            evaluations.append(machine.work(costs.evaluation))
            told.append(fit.epochs)
        if done < fit.epochs:
            epochs = replanned(fit, paces, evaluations, done, machine.now, told[-1])
            fit = dataclasses.replace(fit, epochs=epochs)
    return machine.now, told


@given(
    budget=st.sampled_from([300.0, 1800.0, 7200.0]),
    epoch=st.floats(1 / 400, 1 / 80),
    evaluation=st.floats(0, 0.01),
    slower=st.floats(0.75, 1.33),
    begin=st.floats(0, 1),
    length=st.one_of(st.just(60.0), st.floats(0, 0.2)),
    times=st.floats(1, 2),
    noise=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 9),
)
@example(300.0, 3 / 256, 0.0, 1.0, 0.6875, 60.0, 2.0, 0.0, 0)  # ended 7 % early
@settings(max_examples=60)
def test_a_busy_while_neither_swings_a_run_nor_makes_it_late(
    budget, epoch, evaluation, slower, begin, length, times, noise, seed
):
    """All lengths are shares of the budget but for the minute."""
    step = epoch * budget / 10
    costs = Costs((StepTime(0, step), StepTime(1 / 3, 1.5 * step)), evaluation * budget, 0.0, 5.0)
    busy = begin * budget, begin * budget + (length if length > 1 else length * budget)
    took, told = kept_to_time(budget, costs, 10, Machine(slower, busy, times, noise, seed))
    assert 0.95 * budget <= took <= 1.05 * budget
    assert all(abs(now - before) <= MOST_MOVED * before for before, now in itertools.pairwise(told))


def test_a_minute_that_is_twice_as_slow_moves_a_run_of_five_by_the_time_it_took():
    costs = Costs((StepTime(0, 0.02),), evaluation=2.0, start_up=10.0)
    took, told = kept_to_time(300.0, costs, 10, Machine(1.0, (120, 180), 2.0, 0.0, 0))
    assert 285 <= took <= 300
    assert max(told) <= told[0] < 1.2 * min(told)
