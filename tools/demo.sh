#!/usr/bin/env bash
# From a fresh Debian 12 to a swapped clip: installs missing packages and the face networks,
# builds, and runs the demo. Without a network it goes on where the packages are there already.
#   tools/demo.sh [--no-install] [-o DIR] [more arguments of `doppel demo`]
set -euo pipefail
cd "$(dirname "$0")/.."
install=1
if [[ "${1:-}" == "--no-install" ]]; then install=0; shift; fi
if [[ $install == 1 ]]; then
  tools/install_deps.sh
  tools/install_deps.sh faces || echo "demo.sh: going on without all face networks" >&2
fi
cmake --preset release
cmake --build --preset release --target doppel
build/release/tools/doppel demo "$@"
