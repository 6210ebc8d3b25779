"""The models in PyTorch, written from their published layer tables and not from doppel's source.

    model = models.build("original"); models.load(model, "model.safetensors")
    faces_b = model(faces_a, "b")          # [N,3,64,64] RGB in [0,1]

Two conventions differ between the engines, and both are bridged here, at load time, so that the PyTorch side stays what a PyTorch user
would write:
  - doppel keeps conv weights OHWI, PyTorch OIHW;
  - doppel's pixel shuffle takes channel (2i+j)*C + c for the pixel (i,j) of a 2x2 block (TensorFlow's order), torch's PixelShuffle
    takes c*4 + 2i+j. The convs in front of a shuffle get their output channels permuted; the function computed is the same.
Flattening runs over (row, column, channel), as in doppel: the NHWC view of an activation, which is free in channels_last.
"""
import collections
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import tensor_file

# encoder: channels of the 5x5 stride-2 convs. code: features of the first dense layer. The second dense layer fills a square of
# `square` x `square` pixels with `square_channels`. upscale: channels after the encoder's upscale. decoder: after each of its own.
Plan = collections.namedtuple("Plan", "size encoder code square square_channels upscale decoder")
PLANS = {
    "original": Plan(64, (128, 256, 512, 1024), 1024, 4, 1024, 512, (256, 128, 64)),
    "lightweight": Plan(64, (128, 256, 512), 512, 4, 512, 256, (512, 256, 128)),
    "tiny": Plan(64, (16, 32, 64, 128), 256, 4, 128, 96, (64, 32, 16)),
}
PARAMETER_COUNTS = {"original": 82_062_470, "lightweight": 51_066_374}


class DownConv(nn.Module):
    """5x5, stride 2, Keras 'same' padding (even sizes: one row before, two after), LeakyReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, stride=2)

    def forward(self, x):
        return F.leaky_relu(self.conv(F.pad(x, (1, 2, 1, 2))), 0.1)


class Upscale(nn.Module):
    """3x3 conv to four times the channels, LeakyReLU, pixel shuffle: the square doubles."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)

    def forward(self, x):
        return F.pixel_shuffle(F.leaky_relu(self.conv(x), 0.1), 2)


class Encoder(nn.Module):
    def __init__(self, plan):
        super().__init__()
        widths = (3, *plan.encoder)
        self.square, self.square_channels = plan.square, plan.square_channels
        self.convs = nn.ModuleList(DownConv(a, b) for a, b in zip(widths, widths[1:]))
        self.dense0 = nn.Linear((plan.size >> len(plan.encoder)) ** 2 * plan.encoder[-1], plan.code)
        self.dense1 = nn.Linear(plan.code, plan.square ** 2 * plan.square_channels)
        self.upscale = Upscale(plan.square_channels, plan.upscale)

    def forward(self, x):
        for conv in self.convs:
            x = conv(x)
        x = self.dense1(self.dense0(x.permute(0, 2, 3, 1).flatten(1)))
        return self.upscale(x.view(-1, self.square, self.square, self.square_channels).permute(0, 3, 1, 2))


class Decoder(nn.Module):
    def __init__(self, plan):
        super().__init__()
        widths = (plan.upscale, *plan.decoder)
        self.upscales = nn.ModuleList(Upscale(a, b) for a, b in zip(widths, widths[1:]))
        self.output = nn.Conv2d(widths[-1], 3, 5, padding=2)

    def forward(self, x):
        for upscale in self.upscales:
            x = upscale(x)
        return torch.sigmoid(self.output(x))


class Autoencoder(nn.Module):
    """One encoder, two decoders."""

    def __init__(self, plan):
        super().__init__()
        self.plan = plan
        self.encoder = Encoder(plan)
        self.decoders = nn.ModuleDict({"a": Decoder(plan), "b": Decoder(plan)})

    def forward(self, x, side):
        return self.decoders[side](self.encoder(x))


def build(name):
    return Autoencoder(PLANS[name])


def named_layers(model):
    """(doppel's name, layer, whether a pixel shuffle follows) for every layer with parameters, in the order of computation."""
    for i, block in enumerate(model.encoder.convs):
        yield f"encoder.conv{i}", block.conv, False
    yield "encoder.dense0", model.encoder.dense0, False
    yield "encoder.dense1", model.encoder.dense1, False
    yield "encoder.upscale0.conv", model.encoder.upscale.conv, True
    for side in "ab":
        for i, block in enumerate(model.decoders[side].upscales):
            yield f"decoder_{side}.upscale{i}.conv", block.conv, True
        yield f"decoder_{side}.output", model.decoders[side].output, False


def named_parameters(model):
    """(doppel's name, parameter, whether a pixel shuffle follows its layer)"""
    for name, layer, shuffled in named_layers(model):
        yield name + ".weight", layer.weight, shuffled
        yield name + ".bias", layer.bias, shuffled


def to_doppel(tensor, shuffled):
    """A parameter of the torch model, or its gradient, as doppel stores it."""
    if shuffled:  # [C, 4] -> [4, C] in the output channels
        tensor = tensor.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.dim() == 4 else tensor.contiguous()


def from_doppel(tensor, shuffled):
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 1, 2)
    return tensor.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1) if shuffled else tensor


def assign(model, value_of):
    """Fills every parameter from value_of(doppel's name, doppel's shape) -> array."""
    with torch.no_grad():
        for name, parameter, shuffled in named_parameters(model):
            shape = tuple(to_doppel(parameter, shuffled).shape)
            value = np.asarray(value_of(name, shape))
            if value.shape != shape:
                raise ValueError(f"tensor '{name}' has shape {list(value.shape)}, the model expects {list(shape)}")
            parameter.copy_(from_doppel(torch.from_numpy(np.array(value)), shuffled))


def plan_of(path):
    """(plan, model name) of a checkpoint, read off the shapes of its weights. ValueError where they are not such a model's."""
    header, metadata, _ = tensor_file.read_header(path)

    def shape(name):
        if name + ".weight" not in header:
            raise ValueError(f"{path}: tensor '{name}.weight' is missing: not a model of this family")
        return header[name + ".weight"]["shape"]

    def stack(pattern):
        names = [pattern.format(i) for i in range(16)]
        return tuple(shape(name)[0] for name in names if name + ".weight" in header)

    encoder, dense0, dense1, upscale = stack("encoder.conv{}"), shape("encoder.dense0"), shape("encoder.dense1"), shape("encoder.upscale0.conv")
    if not encoder:
        raise ValueError(f"{path}: there is no 'encoder.conv0.weight': not a model of this family")
    size = math.isqrt(dense0[1] // encoder[-1]) << len(encoder)
    plan = Plan(size, encoder, dense0[0], math.isqrt(dense1[0] // upscale[-1]), upscale[-1], upscale[0] // 4, tuple(n // 4 for n in stack("decoder_a.upscale{}.conv")))
    return plan, metadata.get("model", "unnamed")


def load(model, path):
    tensors, _ = tensor_file.read(path, [name for name, _, _ in named_parameters(model)])
    assign(model, lambda name, shape: tensors[name])


def gaussian_window(taps=11, sigma=1.5):
    weights = [math.exp(-0.5 * ((i - taps // 2) / sigma) ** 2) for i in range(taps)]
    return torch.tensor([weight / sum(weights) for weight in weights], dtype=torch.float64)


def ssim_map(a, b):
    """SSIM per pixel and channel (Wang et al. 2004; range 1), reflected at the edges. a, b: [N,C,H,W]."""
    maps = torch.cat([a, b, a * a, b * b, a * b], 1)
    channels = maps.shape[1]
    window = gaussian_window().to(maps)
    maps = F.pad(maps, (5, 5, 5, 5), mode="reflect")
    maps = F.conv2d(maps, window.view(1, 1, 1, 11).expand(channels, 1, 1, 11), groups=channels)
    maps = F.conv2d(maps, window.view(1, 1, 11, 1).expand(channels, 1, 11, 1), groups=channels)
    mean_a, mean_b, aa, bb, ab = maps.chunk(5, 1)
    c1, c2 = 0.01 ** 2, 0.03 ** 2
    return ((2 * mean_a * mean_b + c1) * (2 * (ab - mean_a * mean_b) + c2)
            / ((mean_a ** 2 + mean_b ** 2 + c1) * (aa - mean_a ** 2 + bb - mean_b ** 2 + c2)))


def masked_mean(values, mask):
    """Mean over all values, not over the mask's area. values: [N,C,H,W]; mask: [N,1,H,W] or None."""
    return (values if mask is None else values * mask).mean()


def dssim_loss(prediction, target, mask=None):
    return masked_mean((1 - ssim_map(prediction, target)) / 2, mask)


def mse_loss(prediction, target, mask=None):
    return masked_mean((prediction - target) ** 2, mask)


def mae_loss(prediction, target, mask=None):
    return masked_mean((prediction - target).abs(), mask)


def training_loss(prediction, target, mask):
    """doppel's default for one side."""
    return dssim_loss(prediction, target, mask) + mse_loss(prediction, target, mask)


def nchw(array):
    """[N,H,W,C] numpy -> [N,C,H,W] torch, in channels_last order without a copy."""
    return torch.from_numpy(np.array(array)).permute(0, 3, 1, 2)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous()
