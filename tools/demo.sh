#!/usr/bin/env bash
# From a fresh Debian 12 to a swapped clip: installs missing packages, builds, and runs the demo.
#   tools/demo.sh [--no-install] [-o DIR] [more arguments of `doppel demo`]
set -euo pipefail
cd "$(dirname "$0")/.."
install=1
if [[ "${1:-}" == "--no-install" ]]; then install=0; shift; fi
if [[ $install == 1 ]]; then tools/install_deps.sh; fi
cmake --preset release
cmake --build --preset release --target doppel
build/release/tools/doppel demo "$@"
