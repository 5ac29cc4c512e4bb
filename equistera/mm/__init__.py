"""The only part that imports mmengine, mmcv, mmpose and mmdet.

Importing :mod:`equistera.mm.register` registers everything that configs name.
"""

import contextlib
import io
import warnings

from equistera.mm import bridge

bridge.install()

# mmdet announces optional packages that nobody here needs, on stdout and as warnings, while it is imported
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    import mmdet.datasets
    import mmdet.evaluation
    import mmdet.models  # noqa: F401
    import mmpose.datasets
    import mmpose.models  # noqa: F401
