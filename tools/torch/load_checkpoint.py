#!/usr/bin/env python3
"""Loads a doppel checkpoint into PyTorch and checks that it draws the same faces.

    python3 tools/torch/load_checkpoint.py MODEL_DIR -A FACES_A -B FACES_B
    python3 tools/torch/load_checkpoint.py MODEL_DIR --faces faces.safetensors

The first form runs `doppel inspect --dump-faces` for doppel's pictures; the second reads them. No
code of doppel's is involved otherwise: tensor_file.py reads the file, models.py is the network.
faces.safetensors has input_a, a_to_a, a_to_b, input_b, b_to_b, b_to_a, each [N,S,S,3] float32.

Exit codes: 0 within --tolerance (1e-4), 1 beyond it, 2 usage, 3 a file is missing or wrong or
doppel failed, 6 no PyTorch.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile


def fail(code, message):
    print(f"load_checkpoint: {message}", file=sys.stderr)
    sys.exit(code)


try:
    import numpy as np
    import torch

    import models
    import tensor_file
except ModuleNotFoundError as missing:
    fail(6, f"{sys.executable} has no {missing.name}: run tools/install_deps.sh torch, then "
            f"/usr/bin/python3 {sys.argv[0]}")

OUTPUTS = ("a_to_a", "a_to_b", "b_to_b", "b_to_a")


def dump_faces(options, path):
    command = [options.doppel, "inspect", options.model, "--dump-faces", path]
    command += ["-A", options.faces_a, "-B", options.faces_b, "--count", options.count]
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        fail(3, f"{options.doppel} does not run ({error.strerror}): build it, name it with "
                "--doppel, or give --faces")
    if done.returncode != 0:
        fail(3, f"doppel inspect ended with exit code {done.returncode}:\n{done.stdout.strip()}")


def compare(checkpoint, faces_path):
    """(report, a picture with rows of input, doppel's and PyTorch's output)"""
    model, name = models.load(checkpoint)
    faces, _ = tensor_file.read(faces_path, ["input_a", "input_b", *OUTPUTS])
    outputs, columns = {}, []
    for output in OUTPUTS:
        start, side = faces["input_" + output[0]], output[-1]
        with torch.no_grad():
            drawn = models.nhwc(model(models.nchw(start), side)).numpy()
        if drawn.shape != faces[output].shape:
            found, wanted = list(faces[output].shape), list(drawn.shape)
            raise ValueError(f"{faces_path}: '{output}' is {found}, the model draws {wanted}")
        difference = np.abs(drawn.astype(np.float64) - faces[output])
        largest, mean = float(difference.max()), float(difference.mean())
        outputs[output] = {"largest_difference": largest, "mean_difference": mean}
        columns += [np.concatenate(pictures) for pictures in (start, faces[output], drawn)]

    def apart(first, second):
        return float(np.abs(faces[first] - faces[second]).mean())

    report = {
        "checkpoint": str(checkpoint),
        "model": name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "outputs": outputs,
        "faces_per_side": len(faces["input_a"]),
        # Near zero for flat pictures or equal decoders, which would make the comparison
        # easy.
        "contrast": float(min(faces[output].std() for output in OUTPUTS)),
        "decoders_apart": min(apart("a_to_a", "a_to_b"), apart("b_to_b", "b_to_a")),
        "largest_difference": max(entry["largest_difference"] for entry in outputs.values()),
    }
    return report, np.concatenate(columns, 1)


def write_picture(path, picture):
    try:
        import matplotlib.image
    except ModuleNotFoundError:
        fail(6, "--picture needs matplotlib: tools/install_deps.sh plots installs it")
    matplotlib.image.imsave(path, np.clip(picture, 0, 1))


def main():
    summary, _, details = __doc__.partition("\n\n")
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=details, formatter_class=raw)
    add = parser.add_argument
    add("model", type=pathlib.Path, help="model folder or its .safetensors file")
    add("--faces", type=pathlib.Path, help="doppel's pictures; without it doppel draws them")
    add("-A", "--faces-a", type=pathlib.Path, help="face folder of A")
    add("-B", "--faces-b", type=pathlib.Path, help="face folder of B")
    add("--count", type=int, default=4, help="faces per person (default: 4)")
    doppel = pathlib.Path(__file__).resolve().parents[2] / "build/release/tools/doppel"
    add("--doppel", type=pathlib.Path, default=doppel, help="(default: %(default)s)")
    add("--tolerance", type=float, default=1e-4, help="(default: %(default)s)")
    picture = "rows of (input, doppel, PyTorch) for A->A, A->B, B->B, B->A"
    add("--picture", type=pathlib.Path, metavar="OUT.png", help=picture)
    add("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if not options.faces and not (options.faces_a and options.faces_b):
        parser.error("give --faces, or both -A and -B")
    folder = options.model.is_dir()
    checkpoint = options.model / "model.safetensors" if folder else options.model

    with tempfile.TemporaryDirectory(prefix="doppel-faces-") as folder:
        faces = options.faces or pathlib.Path(folder) / "faces.safetensors"
        if not options.faces:
            dump_faces(options, faces)
        try:
            report, picture = compare(checkpoint, faces)
        except (OSError, ValueError, KeyError) as error:
            fail(3, str(error))
    if options.picture:
        write_picture(options.picture, picture)
    largest = report["largest_difference"]
    same = largest <= options.tolerance
    if options.json:
        print(json.dumps({**report, "tolerance": options.tolerance, "same": same}, indent=2))
    else:
        print("{checkpoint}: {model}, {parameters:,} parameters, {faces_per_side} faces per "
              "person".format(**report))
        for output, entry in report["outputs"].items():
            name = output.replace("_to_", " -> ").upper()
            print(f"  {name:7}", "largest difference {:.2e}, mean {:.2e}".format(*entry.values()))
        print("  contrast {contrast:.3f}, decoders {decoders_apart:.3f} apart".format(**report))
    if not same:
        fail(1, f"the largest difference is {largest:.2e}, more than {options.tolerance:g}")


if __name__ == "__main__":
    main()
