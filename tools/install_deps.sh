#!/usr/bin/env bash
# Installs the missing Debian packages that doppel needs, on Debian 12 and relatives, as root or
# through sudo. With nothing missing, neither root nor a network is needed.
#   tools/install_deps.sh build              the program's libraries and tools
#   tools/install_deps.sh build test         and those of its tests and benchmarks
#   tools/install_deps.sh build test torch   and PyTorch, for new golden files and bench/torch
#   tools/install_deps.sh torch-pypi         PyPI's PyTorch, newer, in build/torch-venv (6 GB: its
#                                            wheel needs the CUDA libraries even on the host)
#   tools/install_deps.sh plots              matplotlib, for bench/report/report.py --svg
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=(build-essential cmake ninja-build pkg-config ccache git
       libfmt-dev nlohmann-json3-dev libcli11-dev libstb-dev libpng-dev libssl-dev libdnnl-dev
       libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libswresample-dev
       libopencv-objdetect-dev libopencv-imgproc-dev libopencv-dnn-dev opencv-data)
tests=(libgtest-dev libgmock-dev libbenchmark-dev clang-format)
torch=(python3-torch python3-numpy)
plots=(python3-matplotlib)

venv=
wanted=()
for group in "${@:-build}"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${tests[@]}") ;;
    torch) wanted+=("${torch[@]}") ;;
    torch-pypi)
      wanted+=(python3-venv)
      venv=build/torch-venv
      ;;
    plots) wanted+=("${plots[@]}") ;;
    *)
      echo "install_deps.sh: unknown group '$group': use build, test, torch, torch-pypi or" \
        "plots" >&2
      exit 2
      ;;
  esac
done

# Installs what is missing of the packages in `wanted`.
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

install_packages "${wanted[@]}"
[ -n "$venv" ] || exit 0
if "$venv/bin/python" -c 'import numpy, torch' 2>/dev/null; then
  echo "PyTorch: in $venv"
else
  echo "PyTorch: installing into $venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" --quiet install torch numpy
  "$venv/bin/python" -c 'import numpy, torch'
fi
