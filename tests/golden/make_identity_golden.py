#!/usr/bin/env python3
"""Writes identity.safetensors: the 128 numbers of dlib's own run of its face recognition network.

    make_identity_golden.py ARCHIVE

ARCHIVE is the one of tools/faces/convert_identity.py. Needs numpy, g++ and Debian's libdlib-dev;
DLIB_FLAGS replaces the compiler's `-ldlib -lblas -llapack`, for a dlib that lies elsewhere. The
input is formula.picture of 152 pixels without its last two rows and columns; the file holds nothing
of the network itself.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "faces"))
import formula  # noqa: E402
from convert_identity import SIDE, read_from_archive, tensor_file  # noqa: E402


def run_dlib(network, pictures):
    """(numbers [N,128], ms a picture) of pictures [N,150,150,3], f32 in 0..1; network: the bytes
    of dlib's file."""
    flags = os.environ.get("DLIB_FLAGS", "-ldlib -lblas -llapack").split()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        program, model, source, result = (folder / n for n in ("run", "model", "in", "out"))
        subprocess.run(["g++", "-std=c++17", "-O2", HERE / "identity_by_dlib.cpp", "-o", program,
                        *flags, "-lpthread"], check=True)
        model.write_bytes(network)
        source.write_bytes(np.ascontiguousarray(pictures, "<f4").tobytes())
        printed = subprocess.run([program, model, source, result], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        return np.fromfile(result, "<f4").reshape(len(pictures), -1), float(printed)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    picture = formula.picture("face_identity", 1, SIDE + 2)[:, :SIDE, :SIDE]
    numbers, _ = run_dlib(read_from_archive(pathlib.Path(sys.argv[1])), picture)
    tensor_file.write(HERE / "identity.safetensors", {"face_identity/identity": numbers[0]},
                      {"runtime": "dlib"})


if __name__ == "__main__":
    main()
