#!/usr/bin/env bash
# Installs the missing Debian packages that doppel needs, on Debian 12 and relatives, as root or
# through sudo. With nothing missing, neither root nor a network is needed.
#   tools/install_deps.sh build              the program's libraries and tools
#   tools/install_deps.sh build test         and those of its tests and benchmarks; where nvcc is,
#                                            NVIDIA's disassembler too, in ~/.cache/doppel
#   tools/install_deps.sh build test torch   and PyTorch: golden files, bench/torch, tools/torch
#   tools/install_deps.sh torch-pypi         PyPI's PyTorch, newer, in build/torch-venv (6 GB: its
#                                            wheel needs the CUDA libraries even on the host)
#   tools/install_deps.sh faces              and face networks, into the user's cache folder
#   tools/install_deps.sh plots              matplotlib, for bench/report/report.py --svg
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=(build-essential cmake ninja-build pkg-config ccache git
       libfmt-dev nlohmann-json3-dev libcli11-dev libstb-dev libpng-dev liblcms2-dev libssl-dev
       libdnnl-dev libcpp-httplib-dev
       libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libswresample-dev
       libopencv-objdetect-dev libopencv-imgproc-dev libopencv-dnn-dev opencv-data)
tests=(libgtest-dev libgmock-dev libbenchmark-dev clang-format python3-pip chromium)

groups=("${@:-build}") wanted=()
for group in "${groups[@]}"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${tests[@]}") ;;
    torch) wanted+=(python3-torch python3-numpy) ;;
    torch-pypi | faces) wanted+=(python3-venv) ;;
    plots) wanted+=(python3-matplotlib) ;;
    *)
      echo "install_deps.sh: unknown group '$group': use build, test, torch, torch-pypi, faces or" \
        "plots" >&2
      exit 2
      ;;
  esac
done
chosen() { case " ${groups[*]} " in *" $1 "*) ;; *) return 1 ;; esac; }

# Installs what is missing of these packages.
install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install_deps.sh: this is not a Debian system; install its packages for: $*" >&2
    return
  fi
  local missing=() package status
  for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo "packages: all installed"
    return
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "install_deps.sh: run this as root (there is no sudo here); missing: ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  echo "packages: installing ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "${missing[@]}" >/dev/null
}

# Reads the GPU kernels' machine code (tools/kernel_sass.sh). A test that misses it is skipped,
# and without nvcc there is nothing to read.
install_disassembler() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/doppel/disassembler
  [ ! -d "$folder" ] || return 0
  command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || return 0
  ! command -v nvdisasm >/dev/null || ! command -v cuobjdump >/dev/null || return 0
  echo "disassembler: installing nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm"
  local quiet=(--quiet --disable-pip-version-check --root-user-action ignore)
  if python3 -m pip install "${quiet[@]}" --target "$folder.part" \
    nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm; then
    mv "$folder.part" "$folder"
  else
    echo "install_deps.sh: no disassembler: install pip for python3 and run this again" >&2
  fi
}

install_torch() {
  local venv=build/torch-venv
  if "$venv/bin/python" -c 'import numpy, torch' 2>/dev/null; then
    echo "PyTorch: in $venv"
    return
  fi
  echo "PyTorch: installing into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" --quiet install torch numpy
  "$venv/bin/python" -c 'import numpy, torch'
}

install_packages "${wanted[@]}"
if chosen test; then install_disassembler; fi
if chosen torch-pypi; then install_torch; fi
if chosen faces; then tools/faces/install_networks.sh; fi
