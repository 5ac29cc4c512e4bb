import copy

import numpy as np
import pytest
import torch
from functorch.compile import make_boxed_func
from mmpose.registry import MODELS
from torch._dynamo.backends.common import aot_autograd

from equistera.mm import config as configs
from equistera.mm.network import compiling
from equistera.mm.network import model as models
from equistera.mm.run.train import TrainOptions, train


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def network(tiny):
    network = MODELS.build(configs.load("configs/demo_rtmpose_t.py", tiny()).model)
    network.init_weights()
    return network.train()


INPUTS = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32))


def gradients(network):
    network.zero_grad()
    (features,) = network.extract_feat(INPUTS)
    features.square().mean().backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def test_compiled_training_is_the_same_training_whatever_is_frozen(network):
    plain = copy.deepcopy(network)
    # without code generation, which takes minutes: the graphs are captured and differentiated all the same
    compiled = network.compile_backbone(backend="aot_eager")
    for frozen in ((), ("stem", "stage1")):
        for model in (plain, network):
            model.freeze(frozen)
        ours, theirs = gradients(network), gradients(plain)
        assert set(ours) == set(theirs)
        for name, gradient in theirs.items():
            torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6)
    assert compiled.compiled
    assert set(network.state_dict()) == set(plain.state_dict())
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_where_nothing_can_be_compiled_it_goes_on_and_says_so(network, capsys):
    def no_compiler(graph, inputs):
        raise RuntimeError("no C++ compiler here\nand a long story")

    plain = copy.deepcopy(network)
    compiled = network.compile_backbone(backend=no_compiler)
    ours, theirs = gradients(network), gradients(plain)
    assert compiled.compiled is None
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    said = capsys.readouterr().out
    assert said.count("--compile: ") == 1
    assert "no C++ compiler here" in said
    assert "going on without" in said
    gradients(network)
    assert capsys.readouterr().out == ""


def test_a_backward_pass_that_cannot_be_compiled_is_found_in_the_forward_pass(network, capsys):
    def no_backward(graph, inputs):
        raise RuntimeError(
            "CppCompileError: C++ compile error\n\nCommand:\ng++ a.cpp\n\na.cpp:3:1: error: no tmp9\nmore"
        )

    plain = copy.deepcopy(network)
    compiled = network.compile_backbone(backend=aot_autograd(fw_compiler=make_boxed_func_of, bw_compiler=no_backward))
    ours, theirs = gradients(network), gradients(plain)
    assert compiled.compiled is None
    assert "raised: a.cpp:3:1: error: no tmp9\n" in capsys.readouterr().out
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def make_boxed_func_of(graph, inputs):
    return make_boxed_func(graph.forward)


def test_an_error_of_the_network_itself_is_not_hidden(network):
    network.compile_backbone(backend="aot_eager")
    with pytest.raises(RuntimeError, match="channels"):
        network.extract_feat(torch.zeros(2, 5, 64, 64))


@pytest.mark.parametrize(("accumulated", "asked"), [(1, {"mode": "reduce-overhead"}), (2, {})])
def test_gradients_that_are_added_up_are_not_left_to_a_cuda_graph(
    horses, tiny, tmp_path, monkeypatch, accumulated, asked
):
    class Started(Exception):
        pass

    def compiler(function, dynamic, **options):
        assert options == asked
        raise Started

    def on_a_gpu(*arguments, **options):
        with monkeypatch.context() as gpu:
            gpu.setattr(torch.cuda, "is_available", lambda: True)
            gpu.setattr(torch, "compile", compiler)
            return compiling.CompiledBackbone(*arguments, **options)

    monkeypatch.setattr(models, "CompiledBackbone", on_a_gpu)
    options = tiny(**{"optim_wrapper.accumulative_counts": accumulated})
    with pytest.raises(Started):
        train(
            TrainOptions(
                "configs/demo_rtmpose_t.py",
                work_dir=str(tmp_path / "run"),
                data_root=str(horses),
                cfg_options=options,
                compile=True,
            )
        )


def test_evaluation_is_not_compiled(network):
    def never(graph, inputs):
        raise AssertionError

    compiled = network.compile_backbone(backend=never)
    network.eval().extract_feat(INPUTS)
    assert compiled.compiled
