"""The models in PyTorch, written from their published layer tables and not from doppel's source.

    model, name = models.load("model.safetensors")
    faces_b = model(faces_a, "b")          # [N,3,size,size] RGB in [0,1]

Two conventions differ between the engines. Loading converts both, so the code below is plain
PyTorch:
  - doppel stores conv weights as OHWI, PyTorch as OIHW; a depthwise filter is [K,K,C] in doppel
    and [C,1,K,K] in PyTorch;
  - doppel's pixel shuffle reads channel (2i+j)*C + c for pixel (i,j) of a 2x2 block (TensorFlow's
    order), PixelShuffle reads c*4 + 2i+j. The output channels of a conv in front of a shuffle are
    permuted, which leaves the function the same.
Flattening is over (row, column, channel), as in doppel: free in channels_last.
"""

import collections
import math
import re

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import tensor_file

# convs: channels of the encoder's 5x5 stride-2 convs (None: VillainStem). code:
# features of the first dense layer; the second fills square x square pixels of
# square_channels. upscale: channels after the encoder's upscale. decoder: channels
# after each upscale, with `residuals` residual blocks behind it. slope: of the
# upscales' LeakyReLU.
FIELDS = "size convs code square square_channels upscale decoder residuals slope"
Plan = collections.namedtuple("Plan", FIELDS, defaults=(0, 0.1))
PLANS = {
    "original": Plan(64, (128, 256, 512, 1024), 1024, 4, 1024, 512, (256, 128, 64)),
    "lightweight": Plan(64, (128, 256, 512), 512, 4, 512, 256, (512, 256, 128)),
    "tiny": Plan(64, (16, 32, 64, 128), 256, 4, 128, 96, (64, 32, 16)),
    "villain": Plan(128, None, 1024, 8, 1024, 512, (512, 256, 128), 1, 0.2),
    "dfl_sae": Plan(128, (126, 252, 504, 1008), 512, 8, 512, 512, (504, 252, 126), 2, 0.2),
}


def pad_same(x):
    """Keras 'same' padding of a 5x5 stride-2 conv on an even size: one row before, two after."""
    return F.pad(x, (1, 2, 1, 2))


class DownConv(nn.Module):
    """5x5, stride 2, LeakyReLU."""

    def __init__(self, inputs, outputs, slope=0.1):
        super().__init__()
        self.conv, self.slope = nn.Conv2d(inputs, outputs, 5, stride=2), slope

    def forward(self, x):
        return F.leaky_relu(self.conv(pad_same(x)), self.slope)


class Separable(nn.Module):
    """A 5x5 filter per channel, stride 2, then a 1x1 conv; ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 5, stride=2, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return F.leaky_relu(self.pointwise(self.depthwise(pad_same(x))), 0.0)


class Upscale(nn.Module):
    """3x3 conv to four times the channels, LeakyReLU, pixel shuffle to twice the size."""

    def __init__(self, inputs, outputs, slope=0.1):
        super().__init__()
        self.conv, self.slope = nn.Conv2d(inputs, 4 * outputs, 3, padding=1), slope
        self.conv.before_shuffle = True

    def forward(self, x):
        return F.pixel_shuffle(F.leaky_relu(self.conv(x), self.slope), 2)


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv0, self.conv1 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return F.leaky_relu(x + self.conv1(F.leaky_relu(self.conv0(x), 0.2)), 0.2)


class VillainStem(nn.Module):
    """128x128x3 to 4x4x1024: sixteen residual blocks at 64x64 under a long skip, then down, twice
    after a pixel shuffle."""

    def __init__(self):
        super().__init__()
        widths = ((3, 128, 1.0), (128, 128), (32, 128), (32, 128), (256, 512))
        self.convs = nn.ModuleList(DownConv(*width) for width in widths)
        self.residuals = nn.ModuleList(Residual(128) for _ in range(16))
        self.separables = nn.ModuleList([Separable(128, 256), Separable(512, 1024)])
        for i in (1, 2):
            self.convs[i].conv.before_shuffle = True
        self.features = 4 * 4 * 1024

    def forward(self, x):
        first = self.convs[0](x)
        x = F.leaky_relu(first, 0.2)
        for block in self.residuals:
            x = block(x)
        x = x + F.leaky_relu(first, 0.1)
        x = F.pixel_shuffle(self.convs[1](x), 2)
        x = F.pixel_shuffle(self.convs[2](x), 2)
        x = self.separables[0](self.convs[3](x))
        return self.separables[1](self.convs[4](x))


class PlainStem(nn.Module):
    def __init__(self, size, channels):
        super().__init__()
        widths = (3, *channels)
        self.convs = nn.Sequential(*map(DownConv, widths, widths[1:]))
        self.features = (size >> len(channels)) ** 2 * channels[-1]

    def forward(self, x):
        return self.convs(x)


class Encoder(nn.Module):
    def __init__(self, plan):
        super().__init__()
        self.square, self.square_channels = plan.square, plan.square_channels
        self.stem = PlainStem(plan.size, plan.convs) if plan.convs else VillainStem()
        self.dense0 = nn.Linear(self.stem.features, plan.code)
        self.dense1 = nn.Linear(plan.code, plan.square ** 2 * plan.square_channels)
        self.upscales = nn.ModuleList([Upscale(plan.square_channels, plan.upscale)])

    def forward(self, x):
        x = self.stem(x)
        x = self.dense1(self.dense0(x.permute(0, 2, 3, 1).flatten(1)))
        x = x.view(-1, self.square, self.square, self.square_channels).permute(0, 3, 1, 2)
        return self.upscales[0](x)


class Decoder(nn.Module):
    def __init__(self, plan):
        super().__init__()
        widths = (plan.upscale, *plan.decoder)
        self.upscales = nn.ModuleList(Upscale(a, b, plan.slope) for a, b in zip(widths, widths[1:]))
        blocks = [Residual(width) for width in plan.decoder for _ in range(plan.residuals)]
        self.residuals, self.blocks_each = nn.ModuleList(blocks), plan.residuals
        self.output = nn.Conv2d(widths[-1], 3, 5, padding=2)

    def forward(self, x):
        for i, upscale in enumerate(self.upscales):
            x = upscale(x)
            for block in self.residuals[i * self.blocks_each : (i + 1) * self.blocks_each]:
                x = block(x)
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


def doppel_name(module_name):
    """encoder.stem.convs.3.conv -> encoder.conv3, decoders.a.upscales.0.conv ->
    decoder_a.upscale0.conv, ..."""
    name = re.sub(r"^decoders\.", "decoder_", module_name).replace(".stem.", ".")
    name = re.sub(r"\.convs\.(\d+)\.conv$", r".conv\1", name)
    return re.sub(r"\.(upscale|residual|separable)s\.(\d+)\.", r".\1\2.", name)


def named_parameters(model):
    """(doppel's name, parameter, kind of its layer): "dense", "conv", "shuffled" (a conv in front
    of a pixel shuffle) or "depthwise"."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            kind = "dense"
        elif isinstance(layer, nn.Conv2d):
            shuffled = getattr(layer, "before_shuffle", False)
            kind = "depthwise" if layer.groups > 1 else "shuffled" if shuffled else "conv"
        else:
            continue
        for own_name, parameter in layer.named_parameters():
            yield f"{doppel_name(name)}.{own_name}", parameter, kind


def to_doppel(tensor, kind):
    """A parameter of the torch model, or its gradient, as doppel stores it."""
    if kind == "depthwise":  # [C,1,K,K] -> [K,K,C]
        return tensor[:, 0].permute(1, 2, 0).contiguous()
    if kind == "shuffled":  # [C,4] -> [4,C] in the output channels
        tensor = tensor.unflatten(0, (-1, 4)).transpose(0, 1).flatten(0, 1)
    return tensor.permute(0, 2, 3, 1).contiguous() if tensor.dim() == 4 else tensor.contiguous()


def from_doppel(tensor, kind):
    if kind == "depthwise":
        return tensor.permute(2, 0, 1)[:, None]
    if tensor.dim() == 4:
        tensor = tensor.permute(0, 3, 1, 2)
    if kind == "shuffled":
        tensor = tensor.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1)
    return tensor


def assign(model, value_of):
    """Fills every parameter from value_of(doppel's name, doppel's shape) -> array."""
    with torch.no_grad():
        for name, parameter, kind in named_parameters(model):
            shape = tuple(to_doppel(parameter, kind).shape)
            value = np.asarray(value_of(name, shape))
            if value.shape != shape:
                found, wanted = list(value.shape), list(shape)
                raise ValueError(f"tensor '{name}' has shape {found}, the model expects {wanted}")
            parameter.copy_(from_doppel(torch.from_numpy(np.array(value)), kind))


def load(path):
    """(model, its name) of a checkpoint. ValueError for a model outside PLANS or other tensors."""
    _, metadata, _ = tensor_file.read_header(path)
    name = metadata.get("model", "unnamed")
    if name not in PLANS:
        raise ValueError(f"{path}: unknown model '{name}', expected one of {', '.join(PLANS)}")
    model = build(name)
    tensors, _ = tensor_file.read(path, [parameter for parameter, _, _ in named_parameters(model)])
    assign(model, lambda parameter, shape: tensors[parameter])
    return model, name


def ssim_map(a, b):
    """SSIM per pixel and channel (Wang et al. 2004; range 1), reflected at the edges.
    a, b: [N,C,H,W]."""
    maps = torch.cat([a, b, a * a, b * b, a * b], 1)
    channels = maps.shape[1]
    window = [math.exp(-0.5 * ((i - 5) / 1.5) ** 2) for i in range(11)]
    window = torch.tensor([weight / sum(window) for weight in window], dtype=torch.float64).to(maps)
    maps = F.pad(maps, (5, 5, 5, 5), mode="reflect")
    maps = F.conv2d(maps, window.view(1, 1, 1, 11).expand(channels, 1, 1, 11), groups=channels)
    maps = F.conv2d(maps, window.view(1, 1, 11, 1).expand(channels, 1, 11, 1), groups=channels)
    mean_a, mean_b, aa, bb, ab = maps.chunk(5, 1)
    c1, c2 = 0.01**2, 0.03**2
    above = (2 * mean_a * mean_b + c1) * (2 * (ab - mean_a * mean_b) + c2)
    return above / ((mean_a**2 + mean_b**2 + c1) * (aa - mean_a**2 + bb - mean_b**2 + c2))


def mean(values, mask):
    """Over all values, masked ones too. values: [N,C,H,W]; mask: [N,1,H,W] or None."""
    return (values if mask is None else values * mask).mean()


def dssim_loss(prediction, target, mask=None):
    return mean((1 - ssim_map(prediction, target)) / 2, mask)


def mse_loss(prediction, target, mask=None):
    return mean((prediction - target) ** 2, mask)


def mae_loss(prediction, target, mask=None):
    return mean((prediction - target).abs(), mask)


def training_loss(prediction, target, mask):
    """doppel's default for one person."""
    return dssim_loss(prediction, target, mask) + mse_loss(prediction, target, mask)


def nchw(array):
    """[N,H,W,C] numpy -> [N,C,H,W] torch, in channels_last order without a copy."""
    return torch.from_numpy(np.array(array)).permute(0, 3, 1, 2)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous()
