"""One export that several tests look at: writing a graph takes seconds."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def work_dir(trained, tmp_path_factory) -> Path:
    """The tiny run, where a calibration may be stored beside its weights."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("to_export") / "run"))


@pytest.fixture(scope="session")
def exported(work_dir, horses, tmp_path_factory) -> Path:
    """``horse.onnx`` of the tiny run, for any number of crops; its card and calibration lie beside it."""
    from equistera.exporting import ExportOptions, settled
    from equistera.mm.export.export import export

    out = tmp_path_factory.mktemp("exported") / "horse.onnx"
    export(settled(ExportOptions([str(work_dir)], "onnx", str(out), dynamic_batch=True, data_root=str(horses))))
    return out
