#!/usr/bin/env python3
"""Loads a doppel checkpoint into PyTorch and checks that it draws the same faces.

    python3 bench/torch/load_checkpoint.py MODEL_DIR -A FACES_A -B FACES_B    # asks `doppel inspect --dump-faces` for doppel's pictures
    python3 bench/torch/load_checkpoint.py MODEL_DIR --faces faces.safetensors   # written before, perhaps elsewhere

Nothing of doppel's is used to read the file or to compute: tensor_file.py reads it, models.py is the network. faces.safetensors holds
input_a, a_to_a, a_to_b, input_b, b_to_b, b_to_a, each [N,S,S,3] float32. The script runs the inputs through its own network, compares
each of the four outputs, and reports the largest absolute difference. --picture writes rows of (input, doppel, PyTorch) to look at.

Exit codes: 0 within --tolerance (1e-4), 1 beyond it, 2 usage, 3 a file is missing, or not what it should be, or doppel failed, 6 no PyTorch.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent


def fail(code, message):
    print(f"load_checkpoint: {message}", file=sys.stderr)
    sys.exit(code)


try:
    import numpy as np
    import torch

    import models
    import tensor_file
except ModuleNotFoundError as missing:
    fail(6, f"{sys.executable} has no {missing.name}: on Debian, apt install python3-torch and run /usr/bin/python3 {sys.argv[0]}")

OUTPUTS = ("a_to_a", "a_to_b", "b_to_b", "b_to_a")
INPUTS = ("input_a", "input_b")


def write_png(path, picture):
    """picture: [H,W,3] in [0,1]."""
    rows = (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def dump_faces(arguments, path):
    command = [arguments.doppel, "inspect", arguments.model, "--dump-faces", path, "-A", arguments.faces_a, "-B", arguments.faces_b, "--count", arguments.count]
    try:
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        fail(3, f"{arguments.doppel} does not run ({error.strerror}): build it, name it with --doppel, or give --faces")
    if done.returncode != 0:
        fail(3, f"doppel inspect ended with exit code {done.returncode}:\n{done.stdout.strip()}")


def compare(checkpoint, faces_path):
    model, name = models.load(checkpoint)
    faces, _ = tensor_file.read(faces_path, [*INPUTS, *OUTPUTS])
    drawn, report = {}, {"checkpoint": str(checkpoint), "model": name, "parameters": sum(p.numel() for p in model.parameters()), "outputs": {}}
    with torch.no_grad():
        for output in OUTPUTS:
            source, side = output[0], output[-1]
            drawn[output] = models.nhwc(model(models.nchw(faces["input_" + source]), side)).numpy()
            if drawn[output].shape != faces[output].shape:
                raise ValueError(f"{faces_path}: '{output}' has shape {list(faces[output].shape)}, the model draws {list(drawn[output].shape)}")
            difference = np.abs(drawn[output].astype(np.float64) - faces[output])
            report["outputs"][output] = {"largest_difference": float(difference.max()), "mean_difference": float(difference.mean())}
    report["faces_per_side"] = len(faces["input_a"])
    # Pictures that hardly vary, or two decoders that draw alike, would make the comparison easy. These figures show that it is not.
    report["contrast"] = float(min(faces[output].std() for output in OUTPUTS))
    report["decoders_apart"] = float(min(np.abs(faces["a_to_a"] - faces["a_to_b"]).mean(), np.abs(faces["b_to_b"] - faces["b_to_a"]).mean()))
    report["largest_difference"] = max(entry["largest_difference"] for entry in report["outputs"].values())
    rows = []
    for i in range(len(faces["input_a"])):
        triples = [np.concatenate([faces[f"input_{output[0]}"][i], faces[output][i], drawn[output][i]], 1) for output in OUTPUTS]
        rows.append(np.concatenate(triples, 1))
    return report, np.concatenate(rows, 0)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog=__doc__.partition("\n\n")[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, help="model folder or its .safetensors file")
    parser.add_argument("--faces", type=pathlib.Path, help="what doppel drew; without it, doppel is asked for it")
    parser.add_argument("-A", "--faces-a", type=pathlib.Path, help="face folder of A")
    parser.add_argument("-B", "--faces-b", type=pathlib.Path, help="face folder of B")
    parser.add_argument("--count", type=int, default=4, help="faces a side (default: 4)")
    parser.add_argument("--doppel", type=pathlib.Path, default=HERE.parents[1] / "build/release/tools/doppel", help="(default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--picture", type=pathlib.Path, metavar="OUT.png", help="rows of (input, doppel, PyTorch) for A->A, A->B, B->B, B->A")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.faces and not (arguments.faces_a and arguments.faces_b):
        parser.error("give --faces, or both -A and -B so that doppel can be asked for its pictures")
    checkpoint = arguments.model / "model.safetensors" if arguments.model.is_dir() else arguments.model

    with tempfile.TemporaryDirectory(prefix="doppel-faces-") as folder:
        faces = arguments.faces or pathlib.Path(folder) / "faces.safetensors"
        if not arguments.faces:
            dump_faces(arguments, faces)
        try:
            report, picture = compare(checkpoint, faces)
        except (OSError, ValueError, KeyError) as error:
            fail(3, str(error))
    if arguments.picture:
        write_png(arguments.picture, picture)
    if arguments.json:
        print(json.dumps({**report, "tolerance": arguments.tolerance, "same": report["largest_difference"] <= arguments.tolerance}, indent=2))
    else:
        print(f"{report['checkpoint']}: {report['model']}, {report['parameters']:,} parameters, {report['faces_per_side']} faces a side")
        for output, entry in report["outputs"].items():
            print(f"  {output.replace('_to_', ' -> ').upper():7}  largest difference {entry['largest_difference']:.2e}, mean {entry['mean_difference']:.2e}")
        print(f"  contrast of the pictures {report['contrast']:.3f}; the decoders' pictures are {report['decoders_apart']:.3f} apart")
    if not report["largest_difference"] <= arguments.tolerance:
        fail(1, f"the largest difference is {report['largest_difference']:.2e}, more than {arguments.tolerance:g}")


if __name__ == "__main__":
    main()
