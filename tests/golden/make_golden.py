#!/usr/bin/env python3
"""Writes the golden files: the results of doppel's models and ops by PyTorch in float64.

    python3 tests/golden/make_golden.py [original villain ops ...]   # all unless named
    python3 tests/golden/make_golden.py --distance                   # also PyTorch's float32 error

Run it again for a model whose plan in tools/torch/models.py changed. The large ones take minutes;
an OpenBLAS in LD_PRELOAD makes them several times faster, because float64 convs use the BLAS.

Needs PyTorch and numpy (tools/install_deps.sh torch). The models are those of
tools/torch/models.py. Inputs and initial weights come from formula.py, which the C++ test repeats,
so a file holds results only. Hyperparameters that doppel stores as float32 (learning rate, betas,
epsilon) are rounded to float32 here too: 1 - beta2 would otherwise differ in its fifth digit.

A model's file, each entry a formula.summary (norm, projections, samples) in float64:
    start/<parameter>      the initial weights
    forward/<picture>      code_a, a_to_a, a_to_b, code_b, b_to_b, b_to_a, on step 1's pictures
    gradient/<parameter>   of step 1's loss
    moved/<parameter>      weights after all steps minus the initial ones, of more than one step
    losses                 [steps, 2]: the loss of A and B in each step, before its update
A step: A and B each through the encoder and their decoder, DSSIM + MSE per person under the mask,
the sum of both, Adam.
"""

import argparse
import collections
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools" / "torch"))
import formula  # noqa: E402
import models  # noqa: E402
import tensor_file  # noqa: E402

# Batch per person, training steps and learning rate of each model's run. The rate is as
# high as float32 can follow: rounding moves an activation over the kink of a leaky
# ReLU, or a gradient near zero to the other sign, and the steps amplify it. The 128 px
# models run one step, of seconds, for their forward pass and gradients.
Run = collections.namedtuple("Run", "batch steps learning_rate")
RUNS = {
    "original": Run(2, 10, 1e-6),
    "lightweight": Run(2, 10, 1e-6),
    "tiny": Run(2, 10, 2e-5),
    "villain": Run(1, 1, 1e-6),
    "dfl_sae": Run(1, 1, 1e-6),
}
BETAS, EPSILON = (float(np.float32(0.9)), float(np.float32(0.999))), float(np.float32(1e-7))


def batch(side, step, count, size, dtype):
    """input, target and mask of one step: [N,3,S,S], [N,3,S,S], [N,1,S,S]."""
    input_, target = (
        models.nchw(formula.picture(f"{kind}_{side}", count, size, step)).to(dtype)
        for kind in ("input", "target")
    )
    mask = torch.from_numpy(formula.mask(f"mask_{side}", count, size, size, step))
    return input_, target, mask[:, None].to(dtype)


def doppel_parameters(model, value=lambda parameter: parameter):
    return {
        name: models.to_doppel(value(parameter).detach(), kind).numpy().copy()
        for name, parameter, kind in models.named_parameters(model)
    }


def summaries(prefix, values):
    return {prefix + key: formula.summary(key, value) for key, value in values.items()}


def run_model(name, dtype):
    """The entries of a model's golden file, computed in dtype."""
    model = models.build(name).to(dtype)
    models.assign(model, formula.parameter)
    size, run = model.plan.size, RUNS[name]
    start = doppel_parameters(model)
    entries = summaries("start/", start)

    with torch.no_grad():
        for side, other in ("ab", "ba"):
            code = model.encoder(batch(side, 1, run.batch, size, dtype)[0])
            pictures = {f"code_{side}": code}
            for decoder in (side, other):
                pictures[f"{side}_to_{decoder}"] = model.decoders[decoder](code)
            pictures = {key: models.nhwc(value).numpy() for key, value in pictures.items()}
            entries.update(summaries("forward/", pictures))

    learning_rate = float(np.float32(run.learning_rate))
    optimizer = torch.optim.Adam(model.parameters(), learning_rate, BETAS, EPSILON)
    losses = []
    for step in range(1, run.steps + 1):
        optimizer.zero_grad(set_to_none=True)
        sides = []
        for side in "ab":
            pictures, target, weight = batch(side, step, run.batch, size, dtype)
            sides.append(models.training_loss(model(pictures, side), target, weight))
        sum(sides).backward()
        losses.append([loss.item() for loss in sides])
        if step == 1:
            gradients = doppel_parameters(model, lambda parameter: parameter.grad)
            entries.update(summaries("gradient/", gradients))
        optimizer.step()
    if run.steps > 1:
        end = doppel_parameters(model)
        moved = {key: value.astype(np.float64) - start[key] for key, value in end.items()}
        entries.update(summaries("moved/", moved))
    entries["losses"] = np.array(losses)
    return entries


CONV_CASES = {  # n, height, width, inputs, outputs, kernel, stride, activation
    "conv_5x5_stride2": (2, 8, 8, 3, 8, 5, 2, "leaky_relu"),
    "conv_5x5_stride2_odd": (1, 9, 7, 4, 6, 5, 2, "leaky_relu"),
    "conv_3x3": (2, 6, 5, 5, 8, 3, 1, "leaky_relu"),
    "conv_5x5_sigmoid": (2, 7, 6, 6, 3, 5, 1, "sigmoid"),
    "conv_1x1": (1, 4, 5, 7, 4, 1, 1, "none"),
    "conv_1x1_relu": (2, 3, 4, 8, 5, 1, 1, "relu"),
}
LOSS_SHAPE = (2, 14, 11, 3)
ADAM_COUNT, ADAM_STEPS = 257, 10
ACTIVATIONS = {
    "leaky_relu": lambda v: F.leaky_relu(v, 0.1),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "none": lambda v: v,
}


def same_padding(size, kernel, stride):
    """Keras 'same': ceil(size / stride) outputs, the odd row at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def leaf(name, shape, limit=1.0):
    return torch.from_numpy(formula.uniform(name, shape, limit)).double().requires_grad_()


def conv_case(name, n, height, width, inputs, outputs, kernel, stride, activation):
    x, bias = leaf(name + ".x", (n, height, width, inputs)), leaf(name + ".bias", (outputs,))
    weight = leaf(name + ".weight", (outputs, kernel, kernel, inputs), 0.3)
    top, bottom = same_padding(height, kernel, stride)
    left, right = same_padding(width, kernel, stride)
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = F.conv2d(padded, weight.permute(0, 3, 1, 2), bias, stride)
    y = ACTIVATIONS[activation](y).permute(0, 2, 3, 1)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}


def depthwise_case(name, n, size, channels, kernel, stride):
    x = leaf(name + ".x", (n, size, size, channels))
    weight = leaf(name + ".weight", (kernel, kernel, channels))
    begin, end = same_padding(size, kernel, stride)
    padded = F.pad(x.permute(0, 3, 1, 2), (begin, end, begin, end))
    y = F.conv2d(padded, weight.permute(2, 0, 1)[:, None], stride=stride, groups=channels)
    y = y.permute(0, 2, 3, 1)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad}


def add_leaky_relu_case(name, shape, slope):
    a, b = leaf(name + ".a", shape), leaf(name + ".b", shape)
    y = F.leaky_relu(a + b, slope)
    y.backward(leaf(name + ".dy", shape).detach())
    return {"y": y, "da": a.grad, "db": b.grad}


def dense_case(name, n, inputs, outputs):
    x, bias = leaf(name + ".x", (n, inputs)), leaf(name + ".bias", (outputs,))
    weight = leaf(name + ".weight", (outputs, inputs))
    y = F.linear(x, weight, bias)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}


def shuffle_case(name, n, height, width, channels, r):
    """Block-major: the channels of x are (row of the block, column of the block, channel)."""
    x = leaf(name + ".x", (n, height, width, r * r * channels))
    y = x.view(n, height, width, r, r, channels).permute(0, 1, 3, 2, 4, 5)
    y = y.reshape(n, height * r, width * r, channels)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad}


def loss_case(name, loss, masked):
    """The prediction is half target, half noise, as in training."""
    n, height, width, _ = LOSS_SHAPE
    target = torch.from_numpy(formula.unit(name + ".target", LOSS_SHAPE)).double()
    noise = torch.from_numpy(formula.unit(name + ".noise", LOSS_SHAPE)).double()
    prediction = (0.5 * target + 0.5 * noise).float().double().requires_grad_()
    mask = None
    if masked:
        mask = torch.from_numpy(formula.mask(name + ".mask", n, height, width)).double()[:, None]
    value = loss(prediction.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2), mask)
    value.backward()
    return {"loss": value.reshape(1), "dprediction": prediction.grad}


def adam_case(name, weight_decay):
    """Gradients from 1e-3 down to 1e-10: epsilon matters for some."""
    start = formula.uniform(name + ".start", (ADAM_COUNT,), 0.1)
    master = torch.nn.Parameter(torch.from_numpy(start).double())
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    learning_rate, decay = float(np.float32(1e-3)), float(np.float32(weight_decay))
    optimizer = kind([master], learning_rate, BETAS, EPSILON, weight_decay=decay)
    scales = torch.tensor([2.0 ** -(i % 24) for i in range(ADAM_COUNT)], dtype=torch.float64)
    for step in range(1, ADAM_STEPS + 1):
        gradient = formula.uniform(name + ".gradient", (ADAM_COUNT,), 1e-3, step)
        master.grad = torch.from_numpy(gradient).double() * scales
        optimizer.step()
    state = optimizer.state[master]
    return {"master": master, "moment1": state["exp_avg"], "moment2": state["exp_avg_sq"]}


def run_ops():
    cases = {name: conv_case(name, *case) for name, case in CONV_CASES.items()}
    cases["dense"] = dense_case("dense", 3, 40, 7)
    cases["depthwise"] = depthwise_case("depthwise", 2, 8, 6, 5, 2)
    cases["add_leaky_relu"] = add_leaky_relu_case("add_leaky_relu", (2, 3, 5, 7), 0.2)
    cases["pixel_shuffle"] = shuffle_case("pixel_shuffle", 2, 3, 4, 5, 2)
    for loss in (models.mae_loss, models.mse_loss, models.dssim_loss):
        cases[loss.__name__] = loss_case(loss.__name__, loss, False)
        cases[loss.__name__ + "_masked"] = loss_case(loss.__name__ + "_masked", loss, True)
    cases["adam"] = adam_case("adam", 0.0)
    cases["adamw"] = adam_case("adamw", 0.004)
    return {
        f"{case}/{name}": value.detach().contiguous().numpy()
        for case, values in cases.items()
        for name, value in values.items()
    }


def print_distance(name, golden):
    """Prints the largest relative distance of each kind between PyTorch's float32 and the golden
    file, which is the effect of rounding alone."""
    other = run_model(name, torch.float32)
    worst = {"losses": (np.abs(other["losses"] / golden["losses"] - 1).max(), "")}
    for key, summary in golden.items():
        if key != "losses":
            difference = (other[key] - summary)[1 : 1 + formula.PROJECTIONS]
            kind, entry = key.split("/")
            distance = np.sqrt((difference**2).mean()) / summary[0]
            worst[kind] = max(worst.get(kind, (0, "")), (distance, entry))
    for kind, (distance, entry) in worst.items():
        print(f"  {name} in float32: {kind} {distance:.2e} {entry}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    names = f"{', '.join(models.PLANS)}, ops; all by default"
    parser.add_argument("names", nargs="*", help=names)
    distance = "also print the distance of PyTorch's own float32 from the golden numbers"
    parser.add_argument("--distance", action="store_true", help=distance)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    for name in arguments.names or [*models.PLANS, "ops"]:
        begin = time.time()
        entries = run_ops() if name == "ops" else run_model(name, torch.float64)
        path = arguments.output / f"{name}.safetensors"
        metadata = {"made_by": "tests/golden/make_golden.py", "torch": torch.__version__}
        if name in RUNS:
            metadata.update(RUNS[name]._asdict())
        tensor_file.write(path, entries, metadata)
        size, seconds = path.stat().st_size, time.time() - begin
        print(f"{path}: {len(entries)} tensors, {size} bytes, {seconds:.0f} s", flush=True)
        if arguments.distance and name != "ops":
            print_distance(name, entries)


if __name__ == "__main__":
    main()
