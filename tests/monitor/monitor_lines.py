"""Lines of a log as MMEngine writes them."""


def train(epoch: int, iteration: int, loss: float = 1.0, **more: float) -> dict:
    return {"lr": 0.001, "data_time": 0.01, "loss": loss, "time": 0.5, "epoch": epoch, "iter": iteration, **more}


def epochs(first: int, last: int, steps: int = 2, **more: float) -> list[dict]:
    """One line a step of the epochs ``first`` to ``last``."""
    return [
        train(epoch, (epoch - 1) * steps + i, **more) for epoch in range(first, last + 1) for i in range(1, steps + 1)
    ]


def val(epoch: int, **metrics: float) -> dict:
    """A validation line; ``AP=0.5`` stands for ``val/AP``."""
    return {**{f"val/{name}": value for name, value in metrics.items()}, "step": epoch}
