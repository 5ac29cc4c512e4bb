import pytest

from equistera.errors import UserError
from equistera.training.stages import LAYOUTS, Stage, assign, layout_for


@pytest.mark.parametrize(
    ("backbone", "parameter", "stage", "tier"),
    [
        ("CSPNeXt", "backbone.stem.0.conv.weight", "stem", "early"),
        ("CSPNeXt", "backbone.stage1.0.conv.weight", "stage1", "early"),
        ("CSPNeXt", "backbone.stage2.1.main_conv.bn.bias", "stage2", "middle"),
        ("CSPNeXt", "backbone.stage3.0.bn.weight", "stage3", "middle"),
        ("CSPNeXt", "backbone.stage4.1.attention.fc.weight", "stage4", "middle"),
        ("CSPNeXt", "head.gau.uv.weight", "head", "head"),
        ("HRNet", "backbone.conv1.weight", "stem", "early"),
        ("HRNet", "backbone.bn2.bias", "stem", "early"),
        ("HRNet", "backbone.layer1.0.downsample.0.weight", "stage1", "early"),
        ("HRNet", "backbone.transition1.0.0.weight", "stage2", "middle"),
        ("HRNet", "backbone.stage2.0.branches.1.3.conv2.weight", "stage2", "middle"),
        ("HRNet", "backbone.transition2.2.0.0.weight", "stage3", "middle"),
        ("HRNet", "backbone.transition3.3.0.0.weight", "stage4", "middle"),
        ("HRNet", "backbone.stage4.2.fuse_layers.0.1.0.weight", "stage4", "middle"),
        ("HRNet", "head.final_layer.bias", "head", "head"),
    ],
)
def test_known_layouts(backbone, parameter, stage, tier):
    owners = [s for s in layout_for(backbone) if s.owns(parameter)]
    assert [(s.name, s.tier) for s in owners] == [(stage, tier)]


@pytest.mark.parametrize(
    ("parameter", "stage", "tier", "after"),
    [
        ("backbone.pos_embed", "stem", "early", 0),
        ("backbone.patch_embed.projection.bias", "stem", "early", 0),
        ("backbone.layers.0.ln1.weight", "stage1", "early", 2),
        ("backbone.layers.1.ln1.weight", "stage1", "early", 1),
        ("backbone.layers.5.attn.qkv.weight", "stage2", "middle", 0),
        ("backbone.layers.9.attn.qkv.weight", "stage4", "middle", 3),
        ("backbone.layers.11.attn.qkv.weight", "stage4", "middle", 1),
        ("backbone.ln1.bias", "stage4", "middle", 0),
        ("head.deconv_layers.0.weight", "head", "head", 0),
    ],
)
def test_a_transformers_blocks_are_layers_of_four_stages(parameter, stage, tier, after):
    owners = [s for s in layout_for("VisionTransformer", blocks=12) if s.owns(parameter)]
    assert [(s.name, s.tier, s.layers_after(parameter)) for s in owners] == [(stage, tier, after)]


def test_a_prefix_is_a_module_and_not_the_start_of_a_word():
    stage = Stage("stage1", "early", ("backbone.stage1",))
    assert stage.owns("backbone.stage1")
    assert stage.owns("backbone.stage1.weight")
    assert not stage.owns("backbone.stage10.weight")


def test_assign_gives_every_parameter_its_stage():
    stages = (Stage("body", "middle", ("backbone",)), Stage("head", "head", ("head",)))
    assert assign(["backbone.a.weight", "head.b"], stages) == {"backbone.a.weight": stages[0], "head.b": stages[1]}


def test_assign_names_leftovers_overlaps_and_empty_stages_together():
    stages = (
        Stage("body", "middle", ("backbone",)),
        Stage("eye", "middle", ("backbone.eye",)),
        Stage("head", "head", ("head",)),
    )
    with pytest.raises(UserError) as error:
        assign(["backbone.eye.weight", "neck.conv.weight"], stages)
    assert error.value.problems == [
        "backbone.eye.weight: in ['body', 'eye']",
        "neck.conv.weight: in no stage",
        "stage 'body' has no parameter",
        "stage 'eye' has no parameter",
        "stage 'head' has no parameter",
    ]


def test_unknown_backbone_says_how_to_name_stages():
    with pytest.raises(UserError, match=r"ResNet.*CSPNeXt, HRNet") as error:
        layout_for("ResNet")
    assert "model.stages=[dict(name='stem'" in error.value.hint


def test_stages_of_the_config():
    custom = [
        {"name": "body", "tier": "middle", "prefixes": ["backbone"]},
        {"name": "head", "tier": "head", "prefixes": ("head",)},
    ]
    stages = layout_for("ResNet", custom)
    assert stages == (Stage("body", "middle", ("backbone",)), Stage("head", "head", ("head",)))
    assert layout_for("CSPNeXt", custom) == stages
    assert layout_for("CSPNeXt") == LAYOUTS["CSPNeXt"]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"name": "body", "tier": "middle"}, "{'name': 'body', 'tier': 'middle'}"),
        ({"name": "body", "tier": "centre", "prefixes": ["backbone"]}, "centre"),
        ({"name": "body", "tier": ["middle"], "prefixes": ["backbone"]}, r"\['middle'\]"),
        ({"name": "body", "tier": "middle", "prefixes": "backbone"}, "'backbone'"),
        ({"name": "body", "tier": "middle", "prefixes": [3]}, r"\[3\]"),
        ({"name": 3, "tier": "middle", "prefixes": ["backbone"]}, "3"),
        ("body", "found 'body'"),
        (7, "found 7"),
    ],
)
def test_malformed_stage(entry, found):
    with pytest.raises(UserError, match=found):
        layout_for("ResNet", [entry, {"name": "head", "tier": "head", "prefixes": ["head"]}])


def test_stage_named_twice_and_no_stage():
    head = {"name": "head", "tier": "head", "prefixes": ["head"]}
    with pytest.raises(UserError, match="stage 'head' is named twice"):
        layout_for("ResNet", [head, head])
    with pytest.raises(UserError, match="it is empty"):
        layout_for("ResNet", [])
