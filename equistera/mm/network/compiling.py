"""A backbone compiled by torch.compile, which goes on without where that fails."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import torch
from mmengine.dist import is_main_process
from torch import nn
from torch._functorch import config as lowering


class CompiledBackbone:
    """Calls a backbone compiled; the first failure to compile it is told, and from then on it is called as it is.

    A set of frozen stages, or a size of batch, that comes up for the first time is compiled for itself. On a GPU the
    compiled kernels are replayed as a CUDA graph, which spares the host's part of small batches.

    Args:
        backbone: Stays the owner of its weights; nothing of its state changes.
        cuda_graphs: False where gradients of several steps are added up: a graph keeps them in its own memory, which
            its next replay overwrites.
        options: Of ``torch.compile``; by default those that suit the device.

    Attributes:
        compiled: What is called; None since compiling it has failed.
    """

    def __init__(self, backbone: nn.Module, cuda_graphs: bool = True, **options: object):
        self._plain = backbone
        if not options and cuda_graphs and torch.cuda.is_available():
            options = {"mode": "reduce-overhead"}
        # the backward pass together with the forward pass: a failure must come while this class can catch it
        lowering.force_non_lazy_backward_lowering = True
        # the function, not the module: a compiled module would stand in the network's state once more
        self.compiled: Callable | None = torch.compile(backbone.forward, dynamic=False, **options)

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.compiled is not None:
            try:
                with _quiet():
                    if inputs.is_cuda:
                        # what the last step left may be overwritten
                        torch.compiler.cudagraph_mark_step_begin()
                    return self.compiled(inputs)
            except Exception as error:
                # whatever is wrong with the compiler: an error of the network itself comes again below
                self.compiled = None
                if is_main_process():
                    print(
                        f"--compile: {type(error).__name__}: {_reason(str(error))}\n"
                        "  going on without; torch.compile needs a C++ compiler, and triton on a GPU",
                        flush=True,
                    )
        return self._plain(inputs)


def _reason(message: str) -> str:
    """The lines of a compiler's long message that say something."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # the first line names the part of the compiler, the second what it met, unless g++ says it later
    found = next((line for line in lines if " error: " in line), " ".join(lines[1:2]))
    return f"{' '.join(lines[:1])} {found}".strip()[:300]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of torch's compiler, which speak to its developers."""
    loggers = [logging.getLogger(name) for name in ("torch._dynamo", "torch._inductor")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
