#!/usr/bin/env bash
# Measures everything about a GPU within 8 minutes on a bare machine: bash benchmarks/gpu.sh --out DIR
# Where the project is installed (venv/), that is what runs. Else the python3 that is there, with torch, takes the wheels
# of .whl/ (benchmarks/wheels.sh), without a network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=python3
if [[ -x venv/bin/python ]]; then
  python=venv/bin/python
elif [[ -d .whl ]]; then
  site=$(mktemp -d)
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$site" .whl/*.whl
  export PYTHONPATH=$site
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} NO_ALBUMENTATIONS_UPDATE=1
exec "$python" benchmarks/gpu.py "$@"
