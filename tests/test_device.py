import pytest

from equistera import device
from equistera.errors import UserError


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.setattr(device, "_chosen", None)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (None, None, None),
        (None, "2,3", "2,3"),
        ("cuda", "2,3", "2,3"),
        ("cpu", None, ""),
        ("cpu", "2,3", ""),
        ("cuda:1", None, "1"),
        ("cuda:1", "2,3", "3"),
        ("cuda:0", "GPU-8f2a, GPU-11", "GPU-8f2a"),
    ],
)
def test_only_the_device_asked_for_is_visible_however_often_it_is_asked_for(name, before, after):
    environment = {} if before is None else {device.VISIBLE: before}
    for _ in range(3):
        device.choose(name, environment)
        assert environment.get(device.VISIBLE) == after
    # what has no wish of its own takes what was chosen
    device.choose(None, environment)
    assert environment.get(device.VISIBLE) == after


@pytest.mark.parametrize(
    ("name", "before", "finding"),
    [
        ("tpu", None, "--device tpu: expected cpu, cuda or cuda:N"),
        ("mps", None, "--device mps: expected cpu, cuda or cuda:N\n  Computes on NVIDIA's GPUs"),
        ("cuda:", None, "expected cpu, cuda or cuda:N"),
        ("cuda:-1", None, "expected cpu, cuda or cuda:N"),
        ("cpu:0", None, "expected cpu, cuda or cuda:N"),
        ("", None, "expected cpu, cuda or cuda:N"),
        ("cuda:2", "2,3", "--device cuda:2: CUDA_VISIBLE_DEVICES=2,3 leaves 2 GPUs"),
        ("cuda:0", "", "leaves 0 GPUs"),
        ("cuda:1", "0,-1,1", "leaves 1 GPU,"),
    ],
)
def test_no_such_device(name, before, finding):
    environment = {} if before is None else {device.VISIBLE: before}
    with pytest.raises(UserError, match=finding):
        device.choose(name, environment)
    assert environment.get(device.VISIBLE) == before


def test_a_process_computes_on_one_device():
    device.choose("cuda:1", {})
    with pytest.raises(UserError, match="--device cpu: this process computes on cuda:1 already"):
        device.choose("cpu", {})
