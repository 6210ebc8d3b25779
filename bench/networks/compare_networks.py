#!/usr/bin/env python3
"""Compares the converted face networks with the reference runtime: numbers and time.

    compare_networks.py PACKAGES [PICTURE.png ...] [--runs N]

PACKAGES holds the Python packages of tools/faces/convert_networks.py, the networks lie in the cache
folder. Inputs: four random pictures, and the middle of each PICTURE. Needs numpy, the packages
ai-edge-litert and opencv-python-headless, and doppel_networks (ninja doppel_networks).
Exit code 1 if a difference exceeds 1e-4 of the largest number of an output.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "faces"))
from convert_networks import SOURCES  # noqa: E402

PROGRAM = HERE.parents[1] / "build/release/bench/doppel_networks"
TOLERANCE = 1e-4


def cache_folder():
    if "DOPPEL_CACHE_DIR" in os.environ:
        return pathlib.Path(os.environ["DOPPEL_CACHE_DIR"])
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "doppel"


def middle_of(path, size):
    picture = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = picture[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def reference(path, threads):
    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    return interpreter


def reference_outputs(interpreter, picture):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture[None])
    interpreter.invoke()
    return [interpreter.get_tensor(o["index"]).ravel() for o in interpreter.get_output_details()]


def reference_ms(interpreter, runs):
    times = []
    for _ in range(runs + 3):
        begin = time.perf_counter()
        interpreter.invoke()
        times.append(1000 * (time.perf_counter() - begin))
    return float(np.median(times[3:]))


def ours(network, pictures, runs, threads, folder):
    inputs, outputs = folder / "inputs", folder / "outputs"
    inputs.write_bytes(np.stack(pictures).astype("<f4").tobytes())
    environment = {**os.environ, "DOPPEL_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    printed = subprocess.run([PROGRAM, network, inputs, outputs, str(runs)], check=True, text=True,
                             capture_output=True, env=environment).stdout
    return np.fromfile(outputs, "<f4"), float(printed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", type=pathlib.Path)
    parser.add_argument("pictures", nargs="*")
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    random, worst = np.random.default_rng(1), 0
    print(f"{'network':22} {'output':9} {'numbers':>7} {'largest':>9} {'difference':>10}")
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (file, _, _, output_names) in SOURCES.items():
            network = cache_folder() / "networks" / f"{name}.safetensors"
            interpreter = reference(options.packages / file, 1)
            size = int(interpreter.get_input_details()[0]["shape"][1])
            pictures = [random.random((size, size, 3), np.float32) for _ in range(4)]
            pictures += [middle_of(path, size) for path in options.pictures]
            expected = [reference_outputs(interpreter, p) for p in pictures]
            found, one = ours(network, pictures, options.runs, 1, pathlib.Path(folder))
            _, two = ours(network, pictures[:1], options.runs, 2, pathlib.Path(folder))
            times.append((name, one, two, reference_ms(interpreter, options.runs),
                          reference_ms(reference(options.packages / file, 2), options.runs)))
            found, begin = found.reshape(len(pictures), -1), 0
            for i, output in enumerate(output_names):
                want = np.stack([outputs[i] for outputs in expected])
                got = found[:, begin : begin + want.shape[1]]
                begin += want.shape[1]
                largest, difference = np.abs(want).max(), np.abs(got - want).max()
                worst = max(worst, difference / max(largest, 1))
                print(f"{name:22} {output:9} {want.shape[1]:7} {largest:9.3f} {difference:10.2e}")
    print(f"\n{'ms a picture':22} {'doppel 1':>9} {'doppel 2':>9} {'litert 1':>9} {'litert 2':>9}")
    for name, *row in times:
        print(f"{name:22} " + " ".join(f"{ms:9.2f}" for ms in row))
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
