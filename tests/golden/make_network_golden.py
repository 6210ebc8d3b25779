#!/usr/bin/env python3
"""Writes networks.safetensors: results of the face networks by the reference runtime.

    make_network_golden.py PACKAGES

PACKAGES holds the Python packages of tools/faces/convert_networks.py. Needs numpy and the package
ai-edge-litert. The input is formula.picture; the file holds a formula.summary of each output and
nothing of the networks themselves.
"""

import pathlib
import sys

from ai_edge_litert.interpreter import Interpreter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "torch"))
sys.path.insert(0, str(HERE.parents[1] / "tools" / "faces"))
import formula  # noqa: E402
import tensor_file  # noqa: E402
from convert_networks import SOURCES  # noqa: E402


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    entries = {}
    for name, (file, _, _, output_names) in SOURCES.items():
        interpreter = Interpreter(str(pathlib.Path(sys.argv[1]) / file))
        interpreter.allocate_tensors()
        size = int(interpreter.get_input_details()[0]["shape"][1])
        picture = formula.picture(name, 1, size)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
        interpreter.invoke()
        for output, details in zip(output_names, interpreter.get_output_details(), strict=True):
            values = interpreter.get_tensor(details["index"])
            entries[f"{name}/{output}"] = formula.summary(f"{name}/{output}", values)
    tensor_file.write(HERE / "networks.safetensors", entries, {"runtime": "ai-edge-litert"})


if __name__ == "__main__":
    main()
