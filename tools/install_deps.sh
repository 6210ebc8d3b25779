#!/usr/bin/env bash
# Installs the Debian packages that doppel needs and that are missing. For Debian 12 and relatives; root, or sudo.
#   tools/install_deps.sh build              what the program is built from
#   tools/install_deps.sh build test         and what its tests and benchmarks need
#   tools/install_deps.sh build test torch   and PyTorch, to make the golden files again and for bench/peer
# What is installed already is left alone; with nothing missing, neither root nor a network is needed.
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config ccache git
       libfmt-dev nlohmann-json3-dev libcli11-dev libstb-dev libdnnl-dev
       libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libswresample-dev
       libopencv-objdetect-dev libopencv-imgproc-dev libopencv-dnn-dev opencv-data)
tests=(libgtest-dev libgmock-dev libbenchmark-dev clang-format)
torch=(python3-torch python3-numpy)

wanted=()
for group in "${@:-build}"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${tests[@]}") ;;
    torch) wanted+=("${torch[@]}") ;;
    *) echo "install_deps.sh: unknown group '$group': expected build, test or torch" >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_deps.sh: this is not a Debian system; please install what corresponds to: ${wanted[*]}" >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all installed"
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install_deps.sh: run this as root (there is no sudo here); missing: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "packages: installing ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >/dev/null
