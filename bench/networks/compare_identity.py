#!/usr/bin/env python3
"""Compares the converted identity network with dlib itself: numbers and time.

    compare_identity.py ARCHIVE

ARCHIVE is the one of tools/faces/convert_identity.py; the converted network lies in the cache
folder. Inputs: 20 random pictures. Needs what tests/golden/make_identity_golden.py needs, and
doppel_networks (ninja doppel_networks). Set OMP_NUM_THREADS and OPENBLAS_NUM_THREADS to compare
equal numbers of threads; ours is one. Exit code 1 if a difference exceeds 1e-4.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "golden"))
from make_identity_golden import SIDE, read_from_archive, run_dlib  # noqa: E402

PROGRAM = HERE.parents[1] / "build/release/bench/doppel_networks"
TOLERANCE = 1e-4


def cache_folder():
    if "DOPPEL_CACHE_DIR" in os.environ:
        return pathlib.Path(os.environ["DOPPEL_CACHE_DIR"])
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "doppel"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pictures = np.random.default_rng(1).random((20, SIDE, SIDE, 3), np.float32)
    want, dlib_ms = run_dlib(read_from_archive(pathlib.Path(sys.argv[1])), pictures)
    network = cache_folder() / "networks" / "face_identity.safetensors"
    with tempfile.TemporaryDirectory() as folder:
        source, result = pathlib.Path(folder, "in"), pathlib.Path(folder, "out")
        source.write_bytes(pictures.tobytes())
        printed = subprocess.run([PROGRAM, network, source, result, "20"], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        got = np.fromfile(result, "<f4").reshape(want.shape)
    difference = np.abs(got - want).max()
    print(f"largest number {np.abs(want).max():.3f}, largest difference {difference:.1e}")
    print(f"ms a picture: doppel {float(printed):.2f}, dlib {dlib_ms:.2f}")
    sys.exit(difference > TOLERANCE)


if __name__ == "__main__":
    main()
