#!/usr/bin/env bash
# Packs into a new folder (.whl) what benchmarks/gpu.sh needs on a GPU machine without a network that has Python 3.12 and
# the packages named below: bash benchmarks/wheels.sh [DIR]
# Versions are those of requirements*.txt; what else these need is asked of the package index. pip 23 or newer does it,
# whatever its Python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-.whl}
[[ ! -e $out ]] || { echo "error: $out is there already; remove it, or name another folder" >&2; exit 1; }
python=python3
[[ ! -x venv/bin/python ]] || python=venv/bin/python

# the machine has these, in its own versions; they and what only they need are far larger than all the rest
there='torch torchvision numpy scipy matplotlib opencv-python opencv-python-headless pandas pyarrow h5py pillow tensorboard
  tqdm pyyaml jinja2 einops six rich contourpy cycler fonttools kiwisolver packaging pygments pyparsing python-dateutil
  markdown-it-py markupsafe mdurl setuptools typing-extensions'
# videos, photos of iPhones and tables of DeepLabCut: gpu.sh has none, and they are twice as large as all the rest
unused='av pillow-heif tables'

machine=(--only-binary=:all: --python-version 3.12 --implementation cp)
# pip takes each of these by its own name alone
for glibc in 39 35 34 31 28 27 24 17; do machine+=(--platform "manylinux_2_${glibc}_x86_64"); done
machine+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)

# requirements (lines of names with versions) less those in the lists above
less() {
  grep -oE '^[A-Za-z0-9_.-]+==[^ ;]+' | tr '_A-Z' '-a-z' | grep -vE "^($(echo $there $unused | tr ' ' '|'))=="
}

# pure Python that is published as source
MMCV_WITH_OPS=0 "$python" -m pip wheel -q --no-deps -w "$out" -r requirements-no-deps.txt \
  "$(grep -oE '^onedl-mmcv==[0-9.]+' requirements.txt)"
mapfile -t wanted < <(less <requirements.txt)
report=$(mktemp)
trap 'rm -f "$report"' EXIT
"$python" -m pip install -q --dry-run --ignore-installed --report "$report" --target "$out" "${machine[@]}" \
  --find-links "$out" "${wanted[@]}"
mapfile -t pins < <("$python" -c '
import json, sys
for each in json.load(open(sys.argv[1]))["install"]:
    print(each["metadata"]["name"] + "==" + each["metadata"]["version"])
' "$report" | less)
"$python" -m pip download -q --no-deps -d "$out" "${machine[@]}" --find-links "$out" "${pins[@]}"
du -sh "$out"
