"""What is said of parts that cannot be built."""

import errno

import pytest

from equistera.errors import MachineFailure, UserError
from equistera.mm import config as configs
from equistera.mm.run.network_check import as_config_says, build_checked


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_failure_of_the_machine_is_not_laid_on_the_config(error):
    with pytest.raises(MachineFailure), as_config_says("the run cannot be put together:"):
        raise error


def test_what_else_fails_is():
    with pytest.raises(UserError, match="cannot be put together") as caught, as_config_says("cannot be put together:"):
        raise TypeError("no such argument")
    assert not isinstance(caught.value, MachineFailure)


def test_how_each_weight_begins_is_not_told_at_the_terminal(capfd, tiny, horses):
    network = build_checked(configs.load("configs/demo_rtmpose_t.py", tiny(), data_root=str(horses)))
    assert network.is_init
    said = capfd.readouterr()
    assert not said.out + said.err
