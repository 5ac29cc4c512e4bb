import runpy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import CSPNEXT, strategy

from equistera.errors import UserError
from equistera.training.config_shape import strategy_problems
from equistera.training.schedule import make_schedule
from equistera.training.stages import Stage

PHASE = {"name": "only", "start": 0, "lr_factor": 1.0, "augmentation": "light"}


def test_the_shipped_strategy_is_in_order():
    shipped = runpy.run_path(str(Path(__file__).parents[2] / "configs/_base_/schedules/three_phase.py"))["strategy"]
    assert strategy_problems(shipped, CSPNEXT) == []
    assert strategy_problems(strategy(), CSPNEXT) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"reference_lr": 0}, "strategy.reference_lr: expected a number above 0, found 0"),
        ({"reference_lr": True}, "strategy.reference_lr: expected a number above 0, found True"),
        ({"ramp_share": 0.3}, "strategy.ramp_share: expected a number at least 0 and at most 0.2, found 0.3"),
        ({"final_ratio": "5%"}, "strategy.final_ratio: expected a number at least 0 and at most 1, found '5%'"),
        ({"reference_batch": 0}, "strategy.reference_batch: expected a whole number of at least 1, found 0"),
        ({"scale_lr_with_batch": "no"}, "strategy.scale_lr_with_batch: expected True or False, found 'no'"),
        ({"tier_lr": 1e-3}, "strategy.tier_lr: expected dict(head=LR, middle=LR), found 0.001"),
        ({"tier_lr": {"head": 1e-3, "midle": 1e-4}}, "strategy.tier_lr: unknown field 'midle', did you mean 'middle'?"),
        ({"tier_lr": {"middle": 1e-4}}, "strategy.tier_lr: 'head' is missing"),
        (
            {"tier_lr": {"head": 1e-3, "middle": -1}},
            "strategy.tier_lr.middle: expected a number above 0, found -1",
        ),
        (
            {"tier_lr": {"head": 1e-3}},
            "stage 'stage4' opens, but strategy.tier_lr has no LR for its tier 'middle'",
        ),
        ({"warmup": 10}, "strategy.warmup: expected dict(share=, at_least=, at_most=), found 10"),
        ({"warmup": {"share": 0.1, "at_least": 1}}, "strategy.warmup: 'at_most' is missing"),
        (
            {"warmup": {"share": 1, "at_least": 1, "at_most": 2}},
            "strategy.warmup.share: expected a number at least 0 and below 1, found 1",
        ),
        (
            {"warmup": {"share": 0.1, "at_least": 1.5, "at_most": 2}},
            "strategy.warmup.at_least: expected a whole number of at least 0, found 1.5",
        ),
        (
            {"warmup": {"share": 0.1, "at_least": 1, "at_most": 2, "epochs": -1}},
            "strategy.warmup.epochs: expected a number at least 0, found -1",
        ),
        (
            {"warmup": {"share": 0.1, "at_least": 9, "at_most": 5}},
            "strategy.warmup: at_least=9 is over at_most=5",
        ),
        ({"opens_at": ["head"]}, "strategy.opens_at: expected dict(stage=share of the run), found ['head']"),
        (
            {"opens_at": {"head": 0, "stage2": 1.0}},
            "strategy.opens_at.stage2: expected a number at least 0 and below 1, found 1.0",
        ),
        (
            {"opens_at": {"head": 0, "layer2": 0}},
            "strategy.opens_at: no stage 'layer2', the network has stem, stage1, stage2, stage3, stage4, head",
        ),
        ({"opens_at": {"head": 0.2}}, "strategy.opens_at: no stage opens at 0, so nothing would train at first"),
        ({"opens_at": {}}, "strategy.opens_at: no stage opens at 0, so nothing would train at first"),
        (
            {"opens_at": {"head": 0, "stem": 0.5}},
            "stage 'stem' opens, but strategy.tier_lr has no LR for its tier 'early'",
        ),
        (
            {"phases": []},
            "strategy.phases: expected a list of dict(name=, start=, lr_factor=, augmentation=), found []",
        ),
        (
            {"phases": ["one"]},
            "strategy.phases.0: expected dict(name=, start=, lr_factor=, augmentation=), found 'one'",
        ),
        (
            {"phases": [{**PHASE, "augmentaton": "light"}]},
            "strategy.phases.0: unknown field 'augmentaton', did you mean 'augmentation'?",
        ),
        ({"phases": [{**PHASE, "name": ""}]}, "strategy.phases.0.name: expected a name, found ''"),
        ({"phases": [{**PHASE, "start": 0.1}]}, "the first phase must start at 0, not at 0.1"),
        (
            {"phases": [{**PHASE, "start": "a third"}]},
            "strategy.phases.0.start: expected a number at least 0 and below 1, found 'a third'",
        ),
        (
            {"phases": [{**PHASE, "lr_factor": 0}]},
            "strategy.phases.0.lr_factor: expected a number above 0, found 0",
        ),
        (
            {"phases": [PHASE, {**PHASE, "name": "b", "start": 0.6}, {**PHASE, "name": "c", "start": 0.5}]},
            "phase 'c' starts at 0.5, not after 'b' at 0.6",
        ),
        (
            {"phases": [PHASE, {**PHASE, "name": "b", "start": 0.6, "lr_factor": 2}]},
            "phase 'b' has lr_factor 2 after 1: a learning rate must not rise after its ramp",
        ),
        (
            {"phases": [{**PHASE, "augmentation": "agressive"}]},
            "strategy.phases.0.augmentation: no augmentation preset 'agressive', did you mean 'aggressive'?",
        ),
        (
            {"phases": [{**PHASE, "augmentation": {"preset": "light", "flip": 2}}]},
            "strategy.phases.0.augmentation: flip: expected a number from 0 to 1, found 2",
        ),
        (
            {"phases": [{**PHASE, "augmentation": None}]},
            "strategy.phases.0.augmentation: expected a preset's name or dict(preset=name, field=value, ...), "
            "found None",
        ),
    ],
)
def test_each_mistake_is_named(changes, problem):
    broken = strategy(**changes)
    assert problem in strategy_problems(broken, CSPNEXT)
    with pytest.raises(UserError, match="the training strategy cannot work"):
        make_schedule(broken, CSPNEXT, 300, 40)


def test_all_mistakes_together():
    broken = strategy(ramp_share=-1, final_ratio=2, tier_lr={"head": 0})
    assert len(strategy_problems(broken, CSPNEXT)) == 3


def test_missing_and_unknown_fields():
    broken = strategy(rampshare=0.1)
    del broken["ramp_share"]
    assert strategy_problems(broken, CSPNEXT) == [
        "strategy: 'ramp_share' is missing",
        "strategy: unknown field 'rampshare', did you mean 'ramp_share'?",
    ]


def test_another_network_is_told_how_to_replace_the_stages():
    stages = (Stage("body", "middle", ("backbone",)), Stage("head", "head", ("head",)))
    assert any("_delete_=True" in problem for problem in strategy_problems(strategy(), stages))
    assert strategy_problems(strategy(), stages, from_scratch=True) == []
    assert strategy_problems(strategy(opens_at={"head": 0, "body": 0.5}), stages) == []


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["share", "head", "start"]), inner),
    max_leaves=4,
)


@given(st.sampled_from(sorted(strategy())), junk, st.booleans())
@settings(max_examples=100)
def test_whatever_stands_in_a_field_is_used_or_refused_in_words(field, value, from_scratch):
    try:
        run = make_schedule(strategy(**{field: value}), CSPNEXT, 30, 4, from_scratch=from_scratch)
    except UserError:
        return
    assert all(run.lr(stage, step) >= 0 for stage in run.stages for step in range(120))


@given(st.sampled_from(["name", "start", "lr_factor", "augmentation"]), junk)
@settings(max_examples=50)
def test_whatever_stands_in_a_phase_is_used_or_refused_in_words(field, value):
    phases = strategy()["phases"]
    phases[1][field] = value
    try:
        run = make_schedule(strategy(phases=phases), CSPNEXT, 30, 4)
    except UserError:
        return
    assert run.phases[1].end > run.phases[1].start
