#!/usr/bin/env python3
"""Writes the golden files: what PyTorch, in float64, says that doppel's models and ops should give.

    python3 tests/golden/make_golden.py [original villain ops ...]   # all unless named
    python3 tests/golden/make_golden.py --distance                   # also how far PyTorch's own float32 is from the files

Run it again for a model whose plan in bench/torch/models.py changed. The large ones take minutes; an OpenBLAS in LD_PRELOAD makes
them several times faster, because float64 convs run through the BLAS.

Needs PyTorch and numpy (Debian: apt install python3-torch). The models come from bench/torch/models.py; inputs and initial weights from
formula.py, which the C++ test repeats, so that a file holds answers only and stays small. Hyperparameters that doppel stores as float32
(learning rate, betas, epsilon) are rounded to float32 here too: 1 - beta2 would otherwise differ in its fifth digit.

A model's file, each entry a formula.summary (norm, projections, samples) in float64:
    start/<parameter>      the initial weights
    forward/<picture>      code_a, a_to_a, a_to_b, code_b, b_to_b, b_to_a of the initial weights on step 1's pictures
    gradient/<parameter>   of step 1's loss
    moved/<parameter>      weights after all steps, minus the initial ones; where there is more than one step
    losses                 [steps, 2]: each step's loss of A and B, before its update
One step: A and B each through the encoder and their decoder, DSSIM + MSE per side under the mask, the sum of both, Adam.
"""
import argparse
import collections
import pathlib
import sys
import time

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "bench" / "torch"))
import formula  # noqa: E402
import models  # noqa: E402
import tensor_file  # noqa: E402

# Pictures a side, training steps and learning rate of each model's run. The rate is as high as float32 can follow: rounding tips an activation
# over the kink of a leaky ReLU, or a gradient near zero to the other sign, and the steps amplify it. The weights that ten steps of PyTorch's float32
# move in `tiny` are 2e-4 from its float64's at 2e-5, 2e-2 at 5e-5, 0.2 at its own rate of 1e-3; of doppel's in `original`, 0.1 at 2e-5. In double
# `tiny` follows to 2e-7. The 128 px models show one step: their forward pass and gradients are what is new, and a step takes seconds.
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
    pictures = [models.nchw(formula.picture(f"{kind}_{side}", count, size, step)).to(dtype) for kind in ("input", "target")]
    return (*pictures, torch.from_numpy(formula.mask(f"mask_{side}", count, size, size, step))[:, None].to(dtype))


def doppel_parameters(model, value=lambda parameter: parameter):
    return {name: models.to_doppel(value(parameter).detach(), kind).numpy().copy() for name, parameter, kind in models.named_parameters(model)}


def run_model(name, dtype):
    """The entries of a model's golden file, computed in dtype."""
    model = models.build(name).to(dtype)
    models.assign(model, formula.parameter)
    size, run = model.plan.size, RUNS[name]
    start = doppel_parameters(model)
    entries = {"start/" + key: formula.summary(key, value) for key, value in start.items()}

    with torch.no_grad():
        for side, other in ("ab", "ba"):
            code = model.encoder(batch(side, 1, run.batch, size, dtype)[0])
            pictures = {f"code_{side}": code, f"{side}_to_{side}": model.decoders[side](code), f"{side}_to_{other}": model.decoders[other](code)}
            entries.update(("forward/" + key, formula.summary(key, models.nhwc(value).numpy())) for key, value in pictures.items())

    optimizer = torch.optim.Adam(model.parameters(), float(np.float32(run.learning_rate)), BETAS, EPSILON)
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
            entries.update(("gradient/" + key, formula.summary(key, value)) for key, value in gradients.items())
        optimizer.step()
    for key, value in doppel_parameters(model).items() if run.steps > 1 else ():
        entries["moved/" + key] = formula.summary(key, value.astype(np.float64) - start[key])
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


def same_padding(size, kernel, stride):
    """Keras 'same': ceil(size / stride) outputs, the odd row at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def leaf(name, shape, limit=1.0):
    return torch.from_numpy(formula.uniform(name, shape, limit)).double().requires_grad_()


def conv_case(name, n, height, width, inputs, outputs, kernel, stride, activation):
    x, bias = leaf(name + ".x", (n, height, width, inputs)), leaf(name + ".bias", (outputs,))
    weight = leaf(name + ".weight", (outputs, kernel, kernel, inputs), 0.3)
    (top, bottom), (left, right) = same_padding(height, kernel, stride), same_padding(width, kernel, stride)
    padded = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = torch.nn.functional.conv2d(padded, weight.permute(0, 3, 1, 2), bias, stride)
    y = {"leaky_relu": lambda v: torch.nn.functional.leaky_relu(v, 0.1), "relu": torch.relu, "sigmoid": torch.sigmoid, "none": lambda v: v}[activation](y).permute(0, 2, 3, 1)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}


def depthwise_case(name, n, size, channels, kernel, stride):
    x, weight = leaf(name + ".x", (n, size, size, channels)), leaf(name + ".weight", (kernel, kernel, channels))
    begin, end = same_padding(size, kernel, stride)
    padded = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (begin, end, begin, end))
    y = torch.nn.functional.conv2d(padded, weight.permute(2, 0, 1)[:, None], stride=stride, groups=channels).permute(0, 2, 3, 1)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad}


def add_leaky_relu_case(name, shape, slope):
    a, b = leaf(name + ".a", shape), leaf(name + ".b", shape)
    y = torch.nn.functional.leaky_relu(a + b, slope)
    y.backward(leaf(name + ".dy", shape).detach())
    return {"y": y, "da": a.grad, "db": b.grad}


def dense_case(name, n, inputs, outputs):
    x, weight, bias = leaf(name + ".x", (n, inputs)), leaf(name + ".weight", (outputs, inputs)), leaf(name + ".bias", (outputs,))
    y = torch.nn.functional.linear(x, weight, bias)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad, "dweight": weight.grad, "dbias": bias.grad}


def shuffle_case(name, n, height, width, channels, r):
    """Block-major: the channels of x are (row of the block, column of the block, channel)."""
    x = leaf(name + ".x", (n, height, width, r * r * channels))
    y = x.view(n, height, width, r, r, channels).permute(0, 1, 3, 2, 4, 5).reshape(n, height * r, width * r, channels)
    y.backward(leaf(name + ".dy", tuple(y.shape)).detach())
    return {"y": y, "dx": x.grad}


def loss_case(name, loss, masked):
    """The prediction leans towards the target, as it does in training."""
    n, height, width, _ = LOSS_SHAPE
    target = torch.from_numpy(formula.unit(name + ".target", LOSS_SHAPE)).double()
    noise = torch.from_numpy(formula.unit(name + ".noise", LOSS_SHAPE)).double()
    prediction = (0.5 * target + 0.5 * noise).float().double().requires_grad_()
    mask = torch.from_numpy(formula.mask(name + ".mask", n, height, width)).double()[:, None] if masked else None
    value = loss(prediction.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2), mask)
    value.backward()
    return {"loss": value.reshape(1), "dprediction": prediction.grad}


def adam_case(name, weight_decay):
    """Gradients from 1e-3 down to 1e-10, so that epsilon matters for some."""
    master = torch.nn.Parameter(torch.from_numpy(formula.uniform(name + ".start", (ADAM_COUNT,), 0.1)).double())
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    optimizer = kind([master], float(np.float32(1e-3)), BETAS, EPSILON, weight_decay=float(np.float32(weight_decay)))
    scales = torch.tensor([2.0 ** -(i % 24) for i in range(ADAM_COUNT)], dtype=torch.float64)
    for step in range(1, ADAM_STEPS + 1):
        master.grad = torch.from_numpy(formula.uniform(name + ".gradient", (ADAM_COUNT,), 1e-3, step)).double() * scales
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
    return {f"{case}/{name}": value.detach().contiguous().numpy() for case, values in cases.items() for name, value in values.items()}


def print_distance(name, golden):
    """The largest relative distance of each kind between PyTorch's float32 and the golden file: what rounding alone does."""
    other = run_model(name, torch.float32)
    worst = {"losses": (np.abs(other["losses"] / golden["losses"] - 1).max(), "")}
    for key, summary in golden.items():
        if key != "losses":
            difference = (other[key] - summary)[1:1 + formula.PROJECTIONS]
            kind, what = key.split("/")
            worst[kind] = max(worst.get(kind, (0, "")), (np.sqrt((difference ** 2).mean()) / summary[0], what))
    for kind, (distance, what) in worst.items():
        print(f"  {name} in float32: {kind} {distance:.2e} {what}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="*", help=f"{', '.join(models.PLANS)}, ops; all by default")
    parser.add_argument("--distance", action="store_true", help="also print how far PyTorch's own float32 is from the golden numbers")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    for name in arguments.what or [*models.PLANS, "ops"]:
        begin = time.time()
        entries = run_ops() if name == "ops" else run_model(name, torch.float64)
        path = arguments.output / f"{name}.safetensors"
        tensor_file.write(path, entries, {"made_by": "tests/golden/make_golden.py", "torch": torch.__version__, **(RUNS[name]._asdict() if name in RUNS else {})})
        print(f"{path}: {len(entries)} tensors, {path.stat().st_size} bytes, {time.time() - begin:.0f} s", flush=True)
        if arguments.distance and name != "ops":
            print_distance(name, entries)


if __name__ == "__main__":
    main()
