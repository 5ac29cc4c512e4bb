"""The only part that imports mmengine, mmcv, mmpose and mmdet.

Importing :mod:`equistera.mm.register` registers everything that configs name.
"""

import contextlib
import io
import warnings

from equistera.errors import UserError, explained
from equistera.mm import bridge

try:
    import torch
except Exception as error:
    # of any kind: its own variables (TORCH_LOGS), libraries of another CUDA (LD_LIBRARY_PATH), a broken install
    raise explained(error) or UserError(
        f"torch does not start: {type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}",
        hint="Unset what it names, and LD_LIBRARY_PATH or TORCH_* if they are set; ./setup.sh repairs the install",
    ) from error

bridge.install()

# mmdet announces optional packages that nobody here needs, on stdout and as warnings, while it is imported
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    import mmdet.datasets
    import mmdet.evaluation
    import mmdet.models  # noqa: F401
    import mmengine.device.utils
    import mmpose.datasets
    import mmpose.models  # noqa: F401

if not torch.cuda.is_available():
    # MMEngine would move models to whatever else it finds (Apple's mps, which lacks float64), unasked
    mmengine.device.utils.DEVICE = "cpu"
