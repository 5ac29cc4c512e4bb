import math
import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import CSPNEXT, HRNET, schedule, strategy

from equistera.errors import UserError
from equistera.training.scaling import scale_lr
from equistera.training.schedule import least_epochs, length_problems, make_schedule

SHIPPED = runpy.run_path(str(Path(__file__).parents[2] / "configs/_base_/schedules/three_phase.py"))["strategy"]

# (step, LR of head, stage 4, stage 3, stage 2) with 640 animals in batches of 16, so 40 steps an epoch. Worked out
# with a script of its own from the formula of the module's docstring, not with the code under test.
TRAJECTORIES = {
    10: [
        (0, 8.33333e-05, 8.33333e-06, 8.33333e-06, 0),  # first
        (5, 0.0005, 5e-05, 5e-05, 0),  # middle of the warm-up
        (11, 0.001, 0.0001, 0.0001, 0),  # last of the warm-up
        (12, 0.001, 0.0001, 0.0001, 0),  # peak
        (119, 0.00083261, 8.3261e-05, 8.3261e-05, 0),  # last of phase 1
        (120, 0.000829669, 8.29669e-05, 8.29669e-05, 1.23831e-06),  # stage 2 opens
        (153, 0.00072264, 7.2264e-05, 7.2264e-05, 3.66713e-05),  # half its ramp
        (186, 0.000601585, 6.01585e-05, 6.01585e-05, 6.01585e-05),  # its ramp is over
        (279, 0.000260305, 2.60305e-05, 2.60305e-05, 2.60305e-05),  # last of phase 2
        (280, 0.00012856, 1.2856e-05, 1.2856e-05, 1.2856e-05),  # first of phase 3
        (399, 2.50078e-05, 2.50078e-06, 2.50078e-06, 2.50078e-06),  # last
    ],
    300: [
        (0, 2.77778e-06, 2.77778e-07, 2.77778e-07, 0),  # first
        (179, 0.0005, 5e-05, 5e-05, 0),  # middle of the warm-up
        (359, 0.001, 0.0001, 0.0001, 0),  # last of the warm-up
        (2000, 0.000954223, 9.54223e-05, 9.54223e-05, 0),  # middle of phase 1
        (3999, 0.000788736, 7.88736e-05, 7.88736e-05, 0),  # last of phase 1
        (4000, 0.000788629, 7.88629e-05, 7.88629e-05, 3.94315e-08),  # stage 2 opens
        (4999, 0.000673854, 6.73854e-05, 6.73854e-05, 3.36927e-05),  # half its ramp
        (5999, 0.000548195, 5.48195e-05, 5.48195e-05, 5.48195e-05),  # its ramp is over
        (7999, 0.000301058, 3.01058e-05, 3.01058e-05, 3.01058e-05),  # last of phase 2
        (8000, 0.000150473, 1.50473e-05, 1.50473e-05, 1.50473e-05),  # first of phase 3
        (11999, 2.5e-05, 2.5e-06, 2.5e-06, 2.5e-06),  # last
    ],
    500: [
        (0, 1.66667e-06, 1.66667e-07, 1.66667e-07, 0),  # first
        (599, 0.001, 0.0001, 0.0001, 0),  # last of the warm-up
        (6679, 0.00078784, 7.8784e-05, 7.8784e-05, 0),  # last of phase 1
        (6680, 0.000787776, 7.87776e-05, 7.87776e-05, 2.36356e-08),  # stage 2 opens
        (10012, 0.000547145, 5.47145e-05, 5.47145e-05, 5.47145e-05),  # its ramp is over
        (13319, 0.000301918, 3.01918e-05, 3.01918e-05, 3.01918e-05),  # last of phase 2
        (13320, 0.000150925, 1.50925e-05, 1.50925e-05, 1.50925e-05),  # first of phase 3
        (19999, 2.5e-05, 2.5e-06, 2.5e-06, 2.5e-06),  # last
    ],
}

# stages, the config's reference LR, optimizer.lr, factor on every rate
NETWORKS = {
    "RTMPose": (CSPNEXT, 0.004, 0.004, 1.0),
    "RTMPose, half the LR": (CSPNEXT, 0.004, 0.002, 0.5),
    "HRNet": (HRNET, 0.0005, 0.0005, 1.0),
    "HRNet, a tenth of the LR": (HRNET, 0.0005, 0.00005, 0.1),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("epochs", TRAJECTORIES)
def test_trajectories(network, epochs):
    stages, reference, lr, factor = NETWORKS[network]
    scaling = scale_lr("AdamW", lr, reference, total_batch=16)
    run = make_schedule(SHIPPED, stages, epochs, 40, scaling.factor)
    for step, *expected in TRAJECTORIES[epochs]:
        rates = [run.lr(stage, step) for stage in ("head", "stage4", "stage3", "stage2")]
        assert rates == pytest.approx([factor * value for value in expected], rel=1e-5), step
        assert run.lr("stem", step) == run.lr("stage1", step) == 0


@pytest.mark.parametrize(
    ("epochs", "warmup", "ramp", "phases", "stage2"),
    [
        (10, 12, 67, [(0, 3), (3, 7), (7, 10)], 3),
        (300, 360, 2000, [(0, 100), (100, 200), (200, 300)], 100),
        (500, 600, 3333, [(0, 167), (167, 333), (333, 500)], 167),
    ],
)
def test_one_number_rescales_everything(epochs, warmup, ramp, phases, stage2):
    run = make_schedule(SHIPPED, CSPNEXT, epochs, 40)
    assert run.total_steps == 40 * epochs
    assert (run.warmup_steps, run.ramp_steps) == (warmup, ramp)
    assert [(phase.start, phase.end) for phase in run.phases] == phases
    assert run.opens_at == {"head": 0, "stage4": 0, "stage3": 0, "stage2": stage2}


def test_from_scratch_opens_all_at_the_heads_rate():
    run = schedule(from_scratch=True)
    assert run.opens_at == dict.fromkeys(("stem", "stage1", "stage2", "stage3", "stage4", "head"), 0)
    for step in (0, 359, 4000, 11999):
        assert {run.lr(stage.name, step) for stage in CSPNEXT} == {run.lr("head", step)}
    assert run.lr("stem", 359) == pytest.approx(1e-3)
    assert [phase.augmentation for phase in run.phases] == ["aggressive", "balanced", "light"]


def test_from_scratch_needs_no_stage_of_the_strategy():
    run = schedule(from_scratch=True, opens_at={"layer9": 0})
    assert run.is_open("stage1", 0)


def test_phase_factor():
    halved, plain = schedule(), schedule(phases=[{**phase, "lr_factor": 1.0} for phase in strategy()["phases"]])
    assert halved.lr("head", 7999) == plain.lr("head", 7999)
    assert halved.lr("head", 8000) == pytest.approx(plain.lr("head", 8000) / 2)


def test_what_holds_at_an_epoch():
    run = schedule()
    assert [run.phase_at(epoch).name for epoch in (-1, 0, 99, 100, 200, 299, 300)] == [
        "head adaptation",
        "head adaptation",
        "head adaptation",
        "fine-tuning",
        "full training",
        "full training",
        "full training",
    ]
    assert [run.is_open("stage2", epoch) for epoch in (99, 100)] == [False, True]
    assert not run.is_open("stem", 299)
    assert [run.last_change(epoch) for epoch in (0, 99, 100, 199, 200, 299)] == [0, 0, 100, 100, 200, 200]


@pytest.mark.parametrize(
    ("steps", "warmup", "expected"),
    [
        (1000, {"share": 0.03, "at_least": 10, "at_most": 1000}, 30),
        (100, {"share": 0.03, "at_least": 10, "at_most": 1000}, 10),  # the floor
        (50_000, {"share": 0.03, "at_least": 10, "at_most": 1000}, 1000),  # the ceiling
        (20, {"share": 0.03, "at_least": 10, "at_most": 1000}, 4),  # the floor gives way in a smoke test
        (3, {"share": 0.03, "at_least": 10, "at_most": 1000}, 0),
        (100, {"share": 0.03, "at_least": 60, "at_most": 1000}, 60),  # asked for; the plan refuses it
        (100, {"share": 0.5, "at_least": 0, "at_most": 1000}, 50),
        (100, {"share": 0.0, "at_least": 0, "at_most": 0}, 0),
        (1000, {"share": 0.03, "at_least": 10, "at_most": 1000, "epochs": None}, 30),
        (1000, {"share": 0.03, "at_least": 10, "at_most": 20, "epochs": 60}, 60),  # one step an epoch here
        (1000, {"share": 0.03, "at_least": 10, "at_most": 1000, "epochs": 0}, 0),
    ],
)
def test_warmup_steps(steps, warmup, expected):
    assert schedule(epochs=steps, steps=1, warmup=warmup).warmup_steps == expected


def test_warmup_in_epochs_is_so_many_whatever_their_steps():
    assert schedule(300, 40, warmup={**strategy()["warmup"], "epochs": 5}).warmup_steps == 200
    assert schedule(300, 7, warmup={**strategy()["warmup"], "epochs": 2.5}).warmup_steps == round(2.5 * 7)


@pytest.mark.parametrize("stages", [CSPNEXT, HRNET])
def test_the_phases_train_what_the_guide_says(stages):
    run = make_schedule(SHIPPED, stages, 300, 40)

    def frozen(epoch):
        return [name for name in run.stages if not run.is_open(name, epoch)]

    # phase 1 freezes the early blocks and stage 2; phases 2 and 3 train all but the early blocks
    assert frozen(0) == frozen(99) == ["stem", "stage1", "stage2"]
    assert frozen(100) == frozen(299) == ["stem", "stage1"]
    # gradually: a tenth of the rate of stage 3 after five epochs, the same after fifty
    assert run.lr("stage2", 105 * 40) / run.lr("stage3", 105 * 40) == pytest.approx(0.1, abs=0.01)
    assert run.lr("stage2", 150 * 40) == run.lr("stage3", 150 * 40)


def test_opening_one_stage_after_the_other_is_an_option():
    run = schedule(opens_at={"head": 0, "stage4": 0, "stage3": 1 / 3, "stage2": 1 / 2}, ramp_share=0.02)
    assert run.opens_at == {"head": 0, "stage4": 0, "stage3": 100, "stage2": 150}
    # worked out as TRAJECTORIES were
    expected = {3999: (0, 0), 4000: (3.28596e-07, 0), 4239: (7.62611e-05, 0), 6000: (5.48067e-05, 2.28361e-07)}
    for step, rates in expected.items():
        assert [run.lr("stage3", step), run.lr("stage2", step)] == pytest.approx(rates, rel=1e-5)


def test_no_warmup_and_no_ramp():
    run = schedule(warmup={"share": 0, "at_least": 0, "at_most": 0}, ramp_share=0)
    assert run.lr("head", 0) == pytest.approx(1e-3)
    assert run.lr("stage2", 4000) == pytest.approx(run.lr("stage4", 4000))


@st.composite
def runs(draw):
    shares = st.floats(0, 0.95)
    starts = sorted(draw(st.sets(st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 2 / 3, 0.8, 0.9]), max_size=4)))
    factors = sorted((draw(st.floats(0.05, 3)) for _ in range(len(starts) + 1)), reverse=True)
    phases = [
        {"name": str(start), "start": start, "lr_factor": factor, "augmentation": "light"}
        for start, factor in zip([0, *starts], factors, strict=True)
    ]
    at_least = draw(st.integers(0, 30))
    changed = strategy(
        phases=phases,
        opens_at={"head": 0, "stage4": draw(shares), "stage3": draw(shares), "stage2": draw(shares)},
        ramp_share=draw(st.floats(0, 0.2)),
        warmup={
            "share": draw(st.floats(0, 0.5)),
            "at_least": at_least,
            "at_most": at_least + draw(st.integers(0, 100)),
        },
        final_ratio=draw(st.floats(0, 1)),
    )
    scratch = draw(st.booleans())
    return make_schedule(changed, CSPNEXT, draw(st.integers(1, 40)), draw(st.integers(1, 7)), 1.0, scratch)


@given(runs())
@settings(max_examples=60)
def test_a_rate_rises_only_in_warmup_and_ramp(run):
    for stage in run.stages:
        rates = [run.lr(stage, step) for step in range(run.total_steps)]
        opened = run.opens_at.get(stage, math.inf) * run.steps_per_epoch
        assert all(math.isfinite(rate) and rate >= 0 for rate in rates)
        assert all((rate > 0) <= (step >= opened) for step, rate in enumerate(rates))
        # without a ramp a stage opens in one step
        settled = max(run.warmup_steps, opened + max(1, run.ramp_steps) if opened else 0)
        for step in range(1, run.total_steps):
            if step >= settled:
                assert rates[step] <= rates[step - 1] * (1 + 1e-12)
        highest = max((phase.lr_factor for phase in run.phases), default=1)
        assert max(rates) <= run.stage_lrs.get(stage, 0) * highest * (1 + 1e-12)


@given(runs(), st.data())
@settings(max_examples=30)
def test_every_epoch_lies_in_the_one_phase_that_spans_it(run, data):
    epoch = data.draw(st.integers(0, run.max_epochs - 1))
    spanning = [phase for phase in run.phases if phase.start <= epoch < phase.end]
    assert spanning == [run.phase_at(epoch)]


@given(st.integers(1, 40), st.integers(1, 7), st.data(), st.sampled_from([0.1, 0.5, 2.0]))
@settings(max_examples=30)
def test_the_scale_scales_every_rate(epochs, steps, data, factor):
    step = data.draw(st.integers(0, epochs * steps - 1))
    plain = schedule(epochs, steps)
    scaled = make_schedule(strategy(), CSPNEXT, epochs, steps, factor)
    for stage in plain.stages:
        assert scaled.lr(stage, step) == pytest.approx(factor * plain.lr(stage, step))


@given(st.integers(3, 2000))
@settings(max_examples=30)
def test_three_epochs_or_more_give_every_phase_one(epochs):
    assert length_problems(make_schedule(SHIPPED, CSPNEXT, epochs, 1)) == []


@pytest.mark.parametrize(
    ("epochs", "problems"),
    [
        (2, ["phase 'fine-tuning' gets none of 2 epochs"]),
        # a third of one epoch rounds to 0, two thirds to 1
        (1, ["phase 'head adaptation' gets none of 1 epoch", "phase 'full training' gets none of 1 epoch"]),
    ],
)
def test_too_few_epochs(epochs, problems):
    run = schedule(epochs)
    assert length_problems(run) == problems
    assert run.least_epochs == 3


def test_a_stage_that_would_never_open():
    run = schedule(10, opens_at={"head": 0, "stage2": 0.97})
    assert length_problems(run) == ["stage 'stage2' opens after the last of 10 epochs"]
    assert run.least_epochs == 17
    assert length_problems(schedule(17, opens_at={"head": 0, "stage2": 0.97})) == []


def test_least_epochs():
    assert least_epochs(strategy()) == 3
    assert least_epochs(strategy(phases=strategy()["phases"][:1], opens_at={"head": 0})) == 1
    late = strategy(opens_at={"head": 0, "stage2": 0.97})
    assert (least_epochs(late), least_epochs(late, from_scratch=True)) == (17, 3)
    with pytest.raises(UserError, match="a stage that opens too late") as error:
        least_epochs(strategy(opens_at={"head": 0, "stage2": 0.99999}))
    assert "0.99999" in error.value.hint


@pytest.mark.parametrize("changes", [[(60, 240)], [(60, 400)], [(20, 200), (90, 180), (150, 260)], [(299, 301)]])
def test_a_run_whose_length_changes_never_raises_a_rate_outside_of_its_ramp(changes):
    run = schedule(steps=4)
    lrs, previous = {name: [] for name in run.stages}, 0
    for n, end in enumerate([*(done for done, _ in changes), changes[-1][1]]):
        run = schedule(steps=4, later=changes[:n])
        for step in range(previous * 4, end * 4):
            for name in run.stages:
                lrs[name].append(run.lr(name, step))
        previous = end
    assert len(lrs["head"]) == 4 * run.max_epochs
    for name, opened in run.opens_at.items():
        risen = [step for step in range(1, len(lrs[name])) if lrs[name][step] > lrs[name][step - 1]]
        may_rise = max(run.warmup_steps, opened * 4 + run.ramp_steps)
        assert max(risen) <= may_rise
    # it ends where any run ends
    final = run.stage_lrs["head"] * run.final_ratio * run.phases[-1].lr_factor
    assert lrs["head"][-1] == pytest.approx(final, rel=0.02)


def test_what_remains_is_shortened_evenly_and_what_is_over_stays():
    run = schedule()
    short = schedule(later=[(120, 210)])
    assert [(phase.start, phase.end) for phase in short.phases] == [(0, 100), (100, 160), (160, 210)]
    assert short.opens_at == {"head": 0, "stage4": 0, "stage3": 0, "stage2": 100}
    assert short.share_at(120) == run.share_at(120) == 0.4
    assert short.share_at(165) == pytest.approx(0.7)
    assert short.share_at(210) == 1.0
    assert short.lr("head", 120 * 40) == pytest.approx(run.lr("head", 120 * 40))
    # too short for the last phase: nothing breaks, the run is one epoch longer than it was
    assert schedule(later=[(120, 121)]).phases[-1].end == 121


# stages open and phases begin after 100, 150 and 200 epochs
LATE = schedule(300, opens_at={"head": 0, "stage4": 0, "stage3": 1 / 3, "stage2": 1 / 2})


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
    assert LATE.stale_epochs(scores, min_delta) == stale


def test_rates_fall_from_layer_to_layer_if_the_strategy_says_so():
    decayed = schedule(layer_decay=0.5)
    assert [decayed.lr(name, 2000) / schedule().lr(name, 2000) for name in ("head", "stage4", "stage3")] == [1, 1, 0.5]
    assert decayed.lr("stage2", 8000) == pytest.approx(schedule().lr("stage2", 8000) / 4)
    assert decayed.lr("stage4", 2000, layers_after=2) == pytest.approx(decayed.lr("stage4", 2000) / 4)
    assert schedule(layer_decay=0.5, from_scratch=True).lr("stem", 2000, 2) == schedule().lr("head", 2000)
    with pytest.raises(UserError, match="cannot work"):
        schedule(layer_decay=1.5)
